//! Metrics of the network side, for `/metrics`.

mod connections;
mod http;

pub(crate) use self::connections::Connections;
pub(crate) use self::http::HttpFigures;
