//! The faults that a test can inject.

/// The fault of one request or one delivery. Numbers count from 1. If the fault does not occur, the test fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// At the handler's n-th database call the disk does not work: the unit of work is aborted. If the call reads a snapshot, only that
    /// call fails.
    ///
    /// Database calls are statements, events that are published or erased, timers that are set or cancelled, and declarations about kept
    /// answers.
    Statement(u32),
    /// At the n-th database call the database is full: the unit of work is aborted. Only for calls that write.
    StorageFull(u32),
    /// At the n-th database call the database is busy until its deadline. The handler may continue.
    StatementBusy(u32),
    /// Every COMMIT fails: nothing is kept, and the client must try again. Only for requests: an event or a timer is retried until it
    /// works.
    Commit,
    /// The first COMMIT fails, and its outcome is unknown: 503 `outcome-unknown`. It is not in the database, and an event or a timer is
    /// consumed again.
    CommitUnknown,
    /// The first COMMIT fails: its handlers are run again.
    CommitOnce,
    /// The handler's n-th call to another service fails, because that service is unavailable.
    Call(u32),
    /// The handler gets no more memory than an instance has at the start.
    Memory,
}

/// Nothing decides the result of an event whose commit never works.
pub(crate) const NO_END: &str = "an event or a timer whose COMMIT fails is tried again until it works, and Fault::Commit has it never work: \
    have Fault::CommitOnce fail it once";
