//! Metrics that are counted while they happen, for `/metrics`.

mod connections;
mod http;
mod runtime;

pub(crate) use self::connections::Connections;
pub(crate) use self::http::HttpFigures;
pub(crate) use self::runtime::RuntimeFigures;
