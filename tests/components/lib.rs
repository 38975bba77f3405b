//! Nothing: this crate is its tests. See `main.rs`.
