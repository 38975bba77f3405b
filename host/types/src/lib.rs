//! The words that every part of the host shares: limits, positions, trace ids, the clock and the source of randomness.
//!
//! Pure data and two seams. Nothing here opens a file, a socket or a thread.

mod clock;
mod current;
pub mod limits;
mod position;
mod trace;
mod words;

pub use clock::{Clock, Random, SystemClock, SystemRandom, from_rfc3339, rfc3339};
pub use current::Current;
pub use position::Position;
pub use trace::TraceId;
pub use words::{is_control, own_words};

/// What the names of the host's own tables begin with. No guest statement may name such a table.
pub const HOST_TABLE_PREFIX: &str = "_bulkhead_";
