use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_types::limits::SUBSCRIPTION_EVENTS_SKIPPED_MAX;

use super::PAUSE;
use crate::supervise::Progress;
use crate::trial::{Trial, event};

/// So many commits fail, one after the other.
const FAILURES: u32 = 4;

#[test]
fn subscription_worker_waits_before_it_tries_again_what_was_not_committed() {
    let trial = Trial::new(Duration::from_secs(60));
    let (subscription, mut subscription_worker) =
        trial.subscription_worker(vec![event(1, "maker.made", "a")]);
    trial.fail_commits(FAILURES as usize);
    let (stop, began) = (Arc::clone(&subscription_worker.stop), Instant::now());
    let thread = thread::spawn(move || subscription_worker.run(&Progress::default()));
    while subscription.applied() < 1 {
        thread::yield_now();
    }
    assert!(began.elapsed() >= PAUSE * FAILURES, "{:?}", began.elapsed());
    stop.store(true, Ordering::Release);
    subscription.wake();
    thread.join().unwrap();
    assert_eq!(trial.commits.clear(), 0);
    assert_eq!(trial.failures.load(Ordering::Acquire), FAILURES as usize + 1, "one attempt for each commit");
}

#[test]
fn position_is_made_durable_for_the_sake_of_many_events_that_were_passed_over() {
    for (passed, expected) in [
        (SUBSCRIPTION_EVENTS_SKIPPED_MAX - 1, None),
        (SUBSCRIPTION_EVENTS_SKIPPED_MAX, Some(SUBSCRIPTION_EVENTS_SKIPPED_MAX)),
    ] {
        let trial = Trial::new(Duration::from_secs(60));
        let (subscription, mut subscription_worker) =
            trial.subscription_worker(vec![event(passed, "maker.gone", "a")]);
        subscription.refresh();
        assert!(subscription_worker.go(&Progress::default()).is_ok());
        let row = trial.inbox().cursor("maker").unwrap();
        assert_eq!(row.map(|row| row.sequence), expected);
        assert_eq!(subscription.applied(), passed);
    }
}
