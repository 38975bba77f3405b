//! What an application shows of its interface.

pub mod problems;
