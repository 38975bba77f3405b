//! A service that loses batches often runs unbatched for a while.

use bulkhead_types::limits::{BATCH_LOSS_WINDOW, BATCH_LOSSES_MAX};

use super::{World, add, soon, world};
use crate::writer::commit::{Commit, CommitFault};
use crate::writer::{Ended, Lease};

type Held = Lease<&'static str>;

/// Loses a batch with another member in it.
fn lose(world: &World, lease: Held) -> Held {
    let mut unit = world.begin(Some(add(world, Some(lease), "a")));
    unit.execute("INSERT INTO refused VALUES (1)", &[]).unwrap_err();
    let (lease, ended) = unit.finish(true);
    assert!(matches!(ended, Ended::Lost { .. }));
    lease
}

fn lose_at_commit(world: &World, lease: Held) -> Held {
    let mut lease = add(world, Some(lease), "a");
    lease.faults().plan(CommitFault::BeforeDurable);
    assert!(matches!(lease.commit(), Commit::Lost { .. }));
    lease
}

/// How many of so many units of work may share a batch with the next one.
fn shared(lease: &mut Held, units: u32) -> usize {
    (0..units).filter(|_| lease.stays_open(true)).count()
}

#[test]
fn service_that_keeps_losing_batches_runs_unbatched_for_a_while() {
    for lose in [lose, lose_at_commit] {
        let world = world();
        let mut lease = world.writer.acquire(soon()).unwrap();
        for _ in 0..BATCH_LOSSES_MAX {
            assert!(lease.stays_open(true));
            lease = lose(&world, lease);
        }
        assert_eq!(shared(&mut lease, BATCH_LOSS_WINDOW + 10), 11);
    }
}

/// Rare losses, however many there were in all, cost nothing.
#[test]
fn losses_are_forgotten_after_so_many_units_of_work() {
    for (units, is_forgotten) in [(BATCH_LOSS_WINDOW - 1, false), (BATCH_LOSS_WINDOW, true)] {
        let world = world();
        let mut lease = world.writer.acquire(soon()).unwrap();
        for _ in 1..BATCH_LOSSES_MAX {
            lease = lose(&world, lease);
        }
        assert_eq!(shared(&mut lease, units), units as usize);
        lease = lose(&world, lease);
        assert_eq!(lease.stays_open(true), is_forgotten, "{units}");
    }
}
