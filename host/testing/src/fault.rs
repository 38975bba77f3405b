//! What a test has fail.

/// What fails in one request or one delivery. It counts from 1; what does not come about fails the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The handler's n-th database call meets a disk that does not work: the unit of work is aborted. A read of a snapshot fails alone.
    ///
    /// A database call is a statement, an event that is published or erased, a timer that is set or cancelled, or what is said of kept
    /// answers.
    Statement(u32),
    /// The n-th finds the database full: the unit of work is aborted. It is for calls that write.
    StorageFull(u32),
    /// The n-th finds the database busy until its deadline. The handler may go on.
    StatementBusy(u32),
    /// Every COMMIT fails: nothing is kept, and the client is to try again. For requests: an event or a timer is tried again until it
    /// works.
    Commit,
    /// The first COMMIT fails, and nobody can tell what became of it: 503 `outcome-unknown`. It is not in the
    /// database; an event or a timer is taken again.
    CommitUnknown,
    /// The first COMMIT fails: what it would have kept is run again.
    CommitOnce,
    /// The handler's n-th call to another service finds that unavailable.
    Call(u32),
    /// The handler gets no more memory than an instance begins with.
    Memory,
}

/// What becomes of an event whose commit never works is decided by nobody.
pub(crate) const NO_END: &str = "an event or a timer whose COMMIT fails is tried again until it works, and Fault::Commit has it never work: \
    have Fault::CommitOnce fail it once";
