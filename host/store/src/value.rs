//! What goes into a statement and what comes out.

/// A value of a row or a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// A signed 64-bit integer.
    Integer(i64),
    /// A double. NaN is stored as NULL.
    Real(f64),
    /// UTF-8.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// All rows of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultSet {
    /// The columns' names, in order.
    pub columns: Vec<String>,
    /// The rows, each as long as `columns`.
    pub rows: Vec<Vec<Value>>,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecuteResult {
    /// Rows inserted, changed or deleted by the statement itself.
    pub rows_affected: u64,
    /// The number of the latest row that this unit of work inserted, if the engine numbers rows; otherwise 0.
    pub last_insert_rowid: i64,
}
