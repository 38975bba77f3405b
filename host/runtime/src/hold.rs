//! What a worker holds of its service's writer lease.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_store::{StatementError, Writer};

use crate::database::{Lease, UnitOfWork};
use crate::member::{AbortedMembers, Member, commit};
use crate::observer::{Observation, Observed};

/// What a worker holds while a handler runs, and between two handlers.
#[derive(Default)]
pub(crate) enum Hold {
    /// Nothing.
    #[default]
    Nothing,
    /// The lease, with the open batch of earlier handlers, which the current handler has not joined. The batch is committed as soon as it
    /// is due, or before anything that may take long.
    OpenBatch(Box<Lease>),
    /// The lease, for a handler that is run again; the batch waits for it.
    Reserved(Box<Lease>),
    /// The unit of work of this handler, and when it joined.
    Joined(Box<UnitOfWork>),
}

impl Hold {
    /// Joins the unit of work, unless this handler has joined it already. The lease is held until `now + lease_hold` at most, and not
    /// beyond `deadline`.
    pub(crate) fn join(
        &mut self,
        writer: &Arc<dyn Writer<Member>>,
        deadline: Instant,
        lease_hold: Duration,
        observed: &Observed,
    ) -> Result<Joined<'_>, StatementError> {
        let mut newly = None;
        if !matches!(self, Self::Joined(_)) {
            let (lease, reserved) = match std::mem::take(self) {
                Self::Reserved(lease) => (lease, true),
                Self::OpenBatch(lease) => (lease, false),
                _ => (writer.acquire(deadline).map_err(|_| StatementError::Busy)?, false),
            };
            match lease.begin() {
                Ok(mut unit) => {
                    // The time counts from here on, because opening the batch may have truncated the WAL.
                    let until = deadline.min(Instant::now() + lease_hold);
                    unit.end_at(until);
                    newly = Some(until);
                    *self = Self::Joined(unit);
                    observed.notify(&Observation::Joined);
                }
                Err((lease, error)) => {
                    // A handler that is run again keeps the lease, for the members that come after it.
                    *self = if reserved { Self::Reserved(lease) } else { Self::Nothing };
                    return Err(error);
                }
            }
        }
        match self {
            Self::Joined(unit) => Ok(Joined { unit: &mut **unit, until: newly }),
            _ => Err(StatementError::Other("the unit of work could not be joined".into())),
        }
    }

    /// Commits the batch that the worker keeps, if there is one. Called before anything that may take long.
    pub(crate) fn commit_open_batch(&mut self, observed: &Observed) -> AbortedMembers {
        match std::mem::take(self) {
            Self::OpenBatch(mut lease) => commit(&mut *lease, observed),
            other => {
                *self = other;
                Vec::new()
            }
        }
    }

    /// Commits the batch that the worker keeps, if it is due.
    pub(crate) fn commit_open_batch_when_due(&mut self, observed: &Observed) -> AbortedMembers {
        let due = match self {
            Self::OpenBatch(lease) => lease.is_due(),
            _ => false,
        };
        if due { self.commit_open_batch(observed) } else { Vec::new() }
    }
}

/// See [`Hold::join`].
pub(crate) struct Joined<'h> {
    pub(crate) unit: &'h mut UnitOfWork,
    /// Until when the lease may be held, if it was acquired just now.
    pub(crate) until: Option<Instant>,
}
