//! All SQL of the service, a file per table. The statements' texts are fixed, so that the host's statement cache holds them.

pub mod address;
pub mod login_failure;
pub mod preference;
pub mod signing_key;
pub mod user;
