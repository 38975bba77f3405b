use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{DeferredWork, Kind, PAUSE};
use crate::supervise::Progress;
use crate::trial::Trial;

/// So many commits fail, one after the other, or so many attempts.
const FAILURES: u32 = 4;

/// The thread of timers, and what ends it.
fn timers(mut work: DeferredWork) -> (JoinHandle<()>, impl FnOnce()) {
    let (stop, deferred) = (Arc::clone(&work.stop), Arc::clone(&work.deferred));
    let thread = thread::spawn(move || work.run(Kind::Timers, &Progress::default()));
    let end = move || {
        stop.store(true, Ordering::Release);
        deferred.wake();
    };
    (thread, end)
}

#[test]
fn timer_whose_commit_fails_waits_before_it_is_tried_again() {
    let trial = Trial::new(Duration::from_secs(60));
    trial.set_timer("one");
    trial.fail_commits(FAILURES as usize);
    let began = Instant::now();
    let (thread, end) = timers(trial.deferred());
    let mut inbox = trial.inbox();
    while !trial.due_timers(&mut inbox).is_empty() {
        thread::yield_now();
    }
    assert!(began.elapsed() >= PAUSE * FAILURES, "{:?}", began.elapsed());
    end();
    thread.join().unwrap();
    assert_eq!(trial.failures.load(Ordering::Acquire), FAILURES as usize + 1, "one attempt for each commit");
}

#[test]
fn timer_for_which_the_lease_is_not_to_be_had_waits_before_it_is_tried_again() {
    let trial = Trial::new(Duration::from_millis(1));
    trial.set_timer("one");
    let writer = Arc::clone(&trial.consumer.database().unwrap().writer);
    let lease = writer.acquire(Instant::now() + Duration::from_secs(60)).unwrap();
    let began = Instant::now();
    let (thread, end) = timers(trial.deferred());
    while trial.failures.load(Ordering::Acquire) <= FAILURES as usize {
        thread::yield_now();
    }
    assert!(began.elapsed() >= PAUSE * FAILURES, "{:?}", began.elapsed());
    end();
    thread.join().unwrap();
    drop(lease);
}
