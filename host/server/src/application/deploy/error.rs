//! Why a version is not deployed, or why its deploy was not completed.

use std::time::Duration;

use bulkhead_runtime::SchedulerError;
use bulkhead_store::StoreError;
use bulkhead_types::limits::COMPONENT_BYTES_MAX;

use crate::application::Fault;

/// Why a version is not deployed and the previous one still serves. If the version serves all the same, what is missing: see
/// [`DeployError::serves`].
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// There is no such service.
    #[error("there is no service {0:?}")]
    Unknown(String),
    /// There is no such version.
    #[error("{0}")]
    NoVersion(String),
    /// The file is too large.
    #[error("the component has more than {} MiB: is it the right file?", COMPONENT_BYTES_MAX >> 20)]
    TooLarge,
    /// The component, the manifest or the migrations are wrong.
    #[error("{}", .0.join("\n"))]
    Refused(Vec<String>),
    /// Requests would wait for too long.
    #[error(
        "the migrations took {} ms in the rehearsal, and requests may wait for {} ms, half of limits.request_timeout; deploy it with \
         --allow-pause, or have the migrations do less at a time",
        .took.as_millis(), .allowed.as_millis()
    )]
    Pause {
        /// How long the migrations took.
        took: Duration,
        /// How long requests may wait.
        allowed: Duration,
    },
    /// More requests would wait than the queues have room for.
    #[error(
        "while the migrations run, some {expected} requests would wait, and the queues have room for {room} more; deploy it with \
         --allow-pause, raise limits.queue, or wait until fewer requests come"
    )]
    Room {
        /// How many would wait.
        expected: u64,
        /// How many can.
        room: usize,
    },
    /// While handlers of the previous version were ending, more requests came than can wait.
    #[error(
        "more requests came while handlers of the version that serves ended than there is room for; try again when fewer come, raise \
         limits.queue, or deploy it with --allow-pause"
    )]
    Crowded,
    /// Handlers of the previous version did not end in time.
    #[error("handlers of the version that serves did not end within {} ms; try again, or deploy it with --allow-pause", .0.as_millis())]
    Drain(Duration),
    /// COMMIT failed, and it is unknown which version is active after a crash.
    #[error(
        "{why}; {serves} serves now; deploy it again, or look with `bulkhead versions` after the next start"
    )]
    OutcomeUnknown {
        /// The version that serves now.
        serves: String,
        /// The version that serves is the one to be deployed.
        is_new: bool,
        /// What failed, and what is known about the state.
        why: String,
    },
    /// The version serves, and subscription workers that were stopped for the deploy could not be started again.
    #[error(
        "the version serves, and subscription workers that were stopped for it could not be started again: {0}; restart the host"
    )]
    DeliveryThreads(SchedulerError),
    /// A database can't be read or written, or a migration failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The host could not do it.
    #[error("{0}")]
    Host(String),
}

impl DeployError {
    /// Whether the version serves all the same.
    #[must_use]
    pub fn serves(&self) -> bool {
        matches!(self, Self::DeliveryThreads(_) | Self::OutcomeUnknown { is_new: true, .. })
    }
}

impl From<Vec<String>> for DeployError {
    fn from(wrong: Vec<String>) -> Self {
        Self::Refused(wrong)
    }
}

impl From<Vec<Fault>> for DeployError {
    fn from(wrong: Vec<Fault>) -> Self {
        Self::Refused(Fault::messages(wrong))
    }
}
