//! A service whose batches are often aborted runs unbatched for a while.

use bulkhead_store::{Commit, CommitFault, Lease, Writer as _};
use bulkhead_types::limits::{BATCH_ABORT_WINDOW, BATCH_ABORTS_MAX};

use super::{World, add, events, soon, world};

type Held = Box<dyn Lease<&'static str>>;

/// Aborts a batch with another member in it.
fn abort(world: &World, lease: Held) -> Held {
    events::abort(add(world, Some(lease), "a"), "INSERT INTO refused VALUES (1)")
}

fn abort_at_commit(world: &World, lease: Held) -> Held {
    let mut lease = add(world, Some(lease), "a");
    world.faults.plan(CommitFault::BeforeDurable);
    assert!(matches!(lease.commit(), Commit::Aborted { .. }));
    lease
}

/// How many of `units` units of work may share a batch with the next one.
fn shared(lease: &mut Held, units: u32) -> usize {
    (0..units).filter(|_| lease.stays_open(true)).count()
}

#[test]
fn service_whose_batches_keep_being_aborted_runs_unbatched_for_a_while() {
    for abort in [abort, abort_at_commit] {
        let world = world();
        let mut lease = world.writer.acquire(soon()).unwrap();
        for _ in 0..BATCH_ABORTS_MAX {
            assert!(lease.stays_open(true));
            lease = abort(&world, lease);
        }
        assert_eq!(shared(&mut lease, BATCH_ABORT_WINDOW + 10), 11);
    }
}

/// Rare aborts, however many there were in all, cost nothing.
#[test]
fn aborts_are_forgotten_after_a_number_of_units_of_work() {
    for (units, is_forgotten) in [(BATCH_ABORT_WINDOW - 1, false), (BATCH_ABORT_WINDOW, true)] {
        let world = world();
        let mut lease = world.writer.acquire(soon()).unwrap();
        for _ in 1..BATCH_ABORTS_MAX {
            lease = abort(&world, lease);
        }
        assert_eq!(shared(&mut lease, units), units as usize);
        lease = abort(&world, lease);
        assert_eq!(lease.stays_open(true), is_forgotten, "{units}");
    }
}
