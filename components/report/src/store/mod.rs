//! All SQL of the service. The statements' texts are fixed, so that the host's statement cache holds them.

pub mod catalogue;
pub mod order;
pub mod sale;
