//! An aborted batch loses no request: its members are run again.
//!
//! First they are run together, in order, as far as a batch takes them, without the member that aborted the batch. If that batch is aborted as well, by another culprit,
//! each of the rest is run in its own batch. A member whose COMMIT fails twice is given up.
//!
//! All members come from a batch that is undone, and this is final. So no member that is run again can have its effects
//! twice.

use std::collections::VecDeque;

use super::abort::Abort;
use super::{Commit, Ended, Lease};

/// What became of a member.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It is durable.
    Durable,
    /// It has had no effect, for this reason.
    Aborted(Abort),
    /// Nobody can tell, for this reason. After a crash it may be there.
    Unknown(String),
}

/// The result of a member's run: the lease, and how the unit of work ended. `None` if no unit of work could be begun; then the member has
/// its answer.
pub type Recovered<M> = (Box<dyn Lease<M>>, Option<Ended<M>>);

/// Runs `members` again, under `lease`. `run` runs one member, from [`Lease::begin`] to [`super::UnitOfWork::finish`]. `settle` gets every
/// member once, those of a batch together, in the order in which they are settled.
pub fn recover<M>(
    mut lease: Box<dyn Lease<M>>,
    members: Vec<M>,
    mut run: impl FnMut(Box<dyn Lease<M>>, &mut M) -> Recovered<M>,
    mut settle: impl FnMut(Vec<M>, &Fate),
) -> Box<dyn Lease<M>> {
    let mut left = VecDeque::from(members);
    let mut together = true;
    while let Some(mut member) = left.pop_front() {
        let ended;
        (lease, ended) = run(lease, &mut member);
        match ended {
            Some(Ended::Aborted { abort, neighbours }) => {
                settle(vec![member], &Fate::Aborted(abort));
                for neighbour in neighbours.into_iter().rev() {
                    left.push_front(neighbour);
                }
                together = false;
            }
            _ => lease.push(member),
        }
        if !together || left.is_empty() || lease.is_due() {
            let (members, fate) = match lease.commit() {
                Commit::Durable(members) => (members, Fate::Durable),
                Commit::Aborted { members, abort } => {
                    together = false;
                    (members, Fate::Aborted(abort))
                }
                Commit::Unknown { members, reason } => (members, Fate::Unknown(reason)),
            };
            settle(members, &fate);
        }
    }
    lease
}
