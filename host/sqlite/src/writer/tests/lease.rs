//! Who has the writer lease, who waits for it, and what becomes of a batch that its holder drops.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bulkhead_store::Writer as _;

use super::{add, durable, honest, soon, world};

#[test]
fn lease_wait_ends_at_the_deadline() {
    let world = world();
    let lease = world.writer.acquire(soon()).unwrap();
    assert!(world.writer.acquire(Instant::now()).is_err());
    let writer = Arc::clone(&world.writer);
    let (sender, received) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || {
        sender.send(()).unwrap();
        add_by(&writer)
    });
    received.recv().unwrap();
    drop(lease);
    assert_eq!(waiting.join().unwrap(), ["late"]);
}

/// A holder keeps the batch open for those who wait, and hands the lease over to them.
#[test]
fn lease_says_whether_others_wait_and_wakes_them_when_it_is_dropped() {
    let world = world();
    let mut lease = world.writer.acquire(soon()).unwrap();
    assert!(!lease.others_wait() && !lease.stays_open(false));
    let writer = Arc::clone(&world.writer);
    // Nothing but the end of the lease ends this wait.
    let far = Instant::now() + Duration::from_secs(24 * 3600);
    let waiting = std::thread::spawn(move || drop(writer.acquire(far).unwrap()));
    while !lease.others_wait() {
        assert!(!waiting.is_finished(), "it got a lease that another holds");
        std::thread::yield_now();
    }
    assert!(lease.stays_open(false));
    drop(lease);
    waiting.join().unwrap();
    assert!(!world.writer.acquire(soon()).unwrap().others_wait());
}

fn add_by(writer: &crate::Writer<&'static str>) -> Vec<&'static str> {
    let (mut lease, _) = honest(writer.acquire(soon()).unwrap(), &mut "late");
    lease.push("late");
    durable(lease.commit())
}

#[test]
fn lease_dropped_with_an_open_batch_rolls_it_back() {
    let world = world();
    drop(add(&world, None, "a"));
    drop(add(&world, None, "b").commit());
    assert_eq!(world.notes(), ["b"]);
    assert_eq!(world.events(), ["b"]);
}

#[test]
fn lease_without_waiters_is_returned() {
    let world = world();
    let lease = add(&world, None, "a").pass_on();
    assert_eq!(durable(lease.unwrap().commit()), ["a"]);
}
