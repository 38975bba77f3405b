//! The memory of all databases together: SQLite's own limits are for the process.

/// Bytes of memory that SQLite may use in total before guests' statements are interrupted: a sort in a unit of work can use any amount.
pub(crate) const SQLITE_MEMORY_MAX: i64 = 512 << 20;
/// Bytes beyond which SQLite gets no memory: the statement that needs it fails.
pub(crate) const SQLITE_MEMORY_HARD_MAX: i64 = 1 << 30;
