//! What an engine says of a failure.

/// What a database's engine says of a failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// Its message.
    pub message: String,
    /// It was interrupted at its deadline.
    pub interrupted: bool,
}
