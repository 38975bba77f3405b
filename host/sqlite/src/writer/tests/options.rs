//! A writer's options, which a reopened writer keeps, and the quota, which a reload may change.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bulkhead_store::{
    CommitFault, CommitFaults, Fate, Lease, StatementError, Writer, WriterOptions, recover,
};

use super::{begin, durable, honest, options, soon, world, write};

#[test]
fn reopened_writer_keeps_its_options_and_its_commit_callback() {
    let world = world();
    let (faults, notified) = (CommitFaults::default(), Arc::new(AtomicUsize::new(0)));
    let options =
        WriterOptions { batch_members: 2, batch_age: Duration::from_secs(3600), faults: faults.clone() };
    let count = Arc::clone(&notified);
    let after_commit = Arc::new(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let writer: Arc<dyn Writer<&'static str>> =
        crate::Writer::open(Arc::clone(&world.database), options, after_commit).unwrap();
    let writer = writer.reopened();

    let add = |lease: Box<dyn Lease<&'static str>>, id: &'static str| {
        let mut unit = begin(lease);
        write(&mut *unit, id);
        let (mut lease, _) = unit.finish(true);
        lease.push(id);
        lease
    };
    let mut lease = add(writer.acquire(soon()).unwrap(), "a");
    assert!(!lease.is_due(), "there is room for another");
    lease = add(lease, "b");
    assert!(lease.is_due(), "and for no third");
    durable(lease.commit());
    assert_eq!(notified.load(Ordering::Relaxed), 1);

    faults.plan(CommitFault::BeforeDurable);
    let mut lease = add(lease, "c");
    assert!(
        !matches!(lease.commit(), bulkhead_store::Commit::Durable(_)),
        "the failure is planned for this writer too"
    );
    assert_eq!(faults.clear(), 0);
    assert_eq!(world.notes(), ["a", "b"]);
}

/// A reload sets the quota while the service runs.
#[test]
fn changed_quota_applies_from_the_next_batch() {
    let world = world();
    let fill = |units: &[Result<(), StatementError>]| {
        let mut lease = world.writer.acquire(soon()).unwrap();
        for expected in units {
            let mut unit = begin(lease);
            let written =
                unit.execute("INSERT INTO note SELECT count(*), hex(zeroblob(50000)) FROM note", &[]);
            assert_eq!(written.map(drop), *expected);
            (lease, _) = unit.finish(expected.is_ok());
            lease.push("a");
        }
        drop(lease.commit());
    };
    fill(&[Ok(())]);
    world.database.set_storage(1);
    fill(&[Err(StatementError::StorageFull)]);
    world.database.set_storage(1 << 30);
    fill(&[Ok(()), Ok(())]);
}

/// Members that run again share a batch only as far as any units of work do.
#[test]
fn members_that_run_again_obey_the_batch_size_limit() {
    let world = world();
    let options = WriterOptions { batch_members: 2, ..options() };
    let writer = crate::Writer::open(Arc::clone(&world.database), options, Arc::new(|_| {})).unwrap();
    let mut batches = Vec::new();
    let members = vec!["a", "b", "c", "d", "e"];
    recover(writer.acquire(soon()).unwrap(), members, honest, |members, fate| {
        assert_eq!(*fate, Fate::Durable);
        batches.push(members);
    });
    assert_eq!(batches, [vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
    assert_eq!(world.notes(), ["a", "b", "c", "d", "e"]);
}
