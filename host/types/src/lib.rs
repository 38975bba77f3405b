//! The types that every part of the host shares: limits, names, sequences and positions, trace ids, the clock and the source of randomness.
//!
//! Pure data and two traits. Nothing here opens a file or a socket, or starts a thread.

mod clock;
mod current;
pub mod limits;
mod position;
mod sequence;
mod text;
mod trace;
mod words;

pub use clock::{Clock, Random, SystemClock, SystemRandom, from_rfc3339, rfc3339};
pub use current::Current;
pub use position::Position;
pub use sequence::Sequence;
pub use text::{ServiceName, Subject};
pub use trace::{SpanId, TraceContext, TraceId};
pub use words::{is_control, own_words};

/// The prefix of the host's own tables. No guest statement may name such a table.
pub const HOST_TABLE_PREFIX: &str = "_bulkhead_";
/// How names of tables begin that neither guests nor the manifest may use: those of the host, and those of a database engine.
pub const RESERVED_TABLE_PREFIXES: [&str; 2] = [HOST_TABLE_PREFIX, "sqlite_"];
