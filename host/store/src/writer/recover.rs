//! An aborted batch is not a lost request: its members are run again.
//!
//! First together, in their order, without the one under which the batch was aborted. If that batch is aborted as well, by another
//! culprit, each of the rest is run in a batch of its own. A member whose COMMIT fails twice is given up.
//!
//! Members come here only from a batch that is undone for good (`commit.rs`): run again, none can have its effects twice.

use std::collections::VecDeque;

use super::abort::Abort;
use super::commit::Commit;
use super::lease::Lease;
use super::unit::Ended;

/// What became of a member.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It is durable.
    Durable,
    /// It has had no effect, because of this.
    Aborted(Abort),
    /// Nobody can tell, because of this: after a crash it may be there.
    Unknown(String),
}

/// What a run of a member gave: the lease, and how the unit of work ended; `None` where none could be begun, and the member has
/// its answer.
pub type Recovered<M> = (Lease<M>, Option<Ended<M>>);

/// Runs `members` again, under `lease`: `run` runs one, from [`Lease::begin`] to [`super::UnitOfWork::finish`]. Every member is
/// given to `settle` once, in the order in which they become settled.
pub fn recover<M>(
    mut lease: Lease<M>,
    members: Vec<M>,
    mut run: impl FnMut(Lease<M>, &mut M) -> Recovered<M>,
    mut settle: impl FnMut(M, Fate),
) -> Lease<M> {
    let mut left = VecDeque::from(members);
    let mut together = true;
    while let Some(mut member) = left.pop_front() {
        let ended;
        (lease, ended) = run(lease, &mut member);
        match ended {
            Some(Ended::Aborted { abort, neighbours }) => {
                settle(member, Fate::Aborted(abort));
                for neighbour in neighbours.into_iter().rev() {
                    left.push_front(neighbour);
                }
                together = false;
            }
            _ => lease.push(member),
        }
        if !together || left.is_empty() {
            let (members, fate) = match lease.commit() {
                Commit::Durable(members) => (members, Fate::Durable),
                Commit::Aborted { members, abort } => (members, Fate::Aborted(abort)),
                Commit::Unknown { members, reason } => (members, Fate::Unknown(reason)),
            };
            for member in members {
                settle(member, fate.clone());
            }
        }
    }
    lease
}
