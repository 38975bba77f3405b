use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_store::ParkedState;
use bulkhead_types::Sequence;
use bulkhead_types::limits::SUBSCRIPTION_EVENTS_SKIPPED_MAX;

use super::{Halt, PAUSE};
use crate::running::Calls;
use crate::supervise::Progress;
use crate::trial::{Trial, event, job};

/// The number of commits that fail one after the other.
const FAILURES: u32 = 4;

#[test]
fn subscription_worker_waits_before_it_retries_a_failed_commit() {
    let trial = Trial::new(Duration::from_secs(60));
    let (subscription, mut subscription_worker) =
        trial.subscription_worker(vec![event(1, "maker.made", "a")]);
    trial.fail_commits(FAILURES as usize);
    let (stop, began) = (Arc::clone(&subscription_worker.stop), Instant::now());
    let thread = thread::spawn(move || subscription_worker.run(&Progress::default()));
    while subscription.applied() < Sequence::new(1) {
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
fn position_is_committed_after_many_skipped_events() {
    let skipped_max = i64::try_from(SUBSCRIPTION_EVENTS_SKIPPED_MAX).unwrap();
    for (passed, expected) in [(skipped_max - 1, None), (skipped_max, Some(Sequence::new(skipped_max)))] {
        let trial = Trial::new(Duration::from_secs(60));
        let (subscription, mut subscription_worker) =
            trial.subscription_worker(vec![event(1, "maker.gone", "a"), event(passed, "maker.gone", "a")]);
        subscription.refresh();
        assert!(subscription_worker.go(&Progress::default()).is_ok());
        let row = trial.inbox().cursor(&"maker".into()).unwrap();
        assert_eq!(row.map(|row| row.sequence), expected);
        assert_eq!(subscription.applied(), Sequence::new(passed));
    }
}

/// A consumer must not pass over events that were removed from the event log before it consumed them.
#[test]
fn subscription_worker_stops_if_the_event_log_begins_after_the_next_event() {
    for (consumed, first, goes_on) in [(0, 1, true), (0, 2, false), (2, 2, true), (2, 4, false)] {
        let trial = Trial::new(Duration::from_secs(60));
        if consumed > 0 {
            let events = (1..=consumed).map(|at| event(at, "maker.made", "a")).collect();
            let (subscription, mut before) = trial.subscription_worker(events);
            subscription.refresh();
            while before.step().unwrap().is_some() {}
        }
        let rest = (first..=5).map(|at| event(at, "maker.made", "a")).collect();
        let (subscription, mut worker) = trial.subscription_worker(rest);
        subscription.refresh();
        let went = worker.go(&Progress::default());
        let stopped = match went {
            Ok(()) => None,
            Err(Halt::Stopped(why)) => Some(why),
            Err(Halt::Pause(why)) => panic!("{why}"),
            Err(Halt::Stale) => panic!("stale"),
        };
        assert_eq!(stopped.is_none(), goes_on, "{stopped:?}");
        if let Some(why) = stopped {
            let expected =
                format!("the position is at event {consumed} of maker, and its log begins at event {first}");
            assert!(why.contains(&expected), "{why}");
            assert_eq!(subscription.applied(), Sequence::new(0), "it consumed nothing");
        }
    }
}

#[test]
fn only_the_event_in_progress_is_parked_with_the_panic_message() {
    let trial = Trial::new(Duration::from_secs(60));
    let events: Vec<_> =
        [(1, "a"), (2, "b")].map(|(sequence, subject)| event(sequence, "maker.made", subject)).into();
    let (subscription, mut subscription_worker) = trial.subscription_worker(events.clone());
    // Between two events the worker is at no event.
    subscription_worker.mend("no");
    assert_eq!((subscription_worker.alone, &subscription_worker.panicked), (None, &None));
    subscription_worker.consuming = Some(Sequence::new(2));
    subscription_worker.mend("no");
    assert_eq!((subscription_worker.alone, subscription_worker.consuming), (Some(Sequence::new(2)), None));
    assert!(subscription.stopped().is_some_and(|why| why.contains("its thread panicked")));
    for event in &events {
        subscription_worker.runner.enter_until(None);
        assert!(subscription_worker.consume(event, false).is_ok());
    }
    let rows = trial.inbox().parked().unwrap();
    // The other event is a dead letter: nothing consumes it here.
    let of = |sequence| rows.iter().find(|row| row.sequence == sequence).unwrap();
    assert_eq!(
        (of(Sequence::new(1)).state, of(Sequence::new(2)).state),
        (ParkedState::Dead, ParkedState::Parked)
    );
    assert!(
        of(Sequence::new(2)).reason.contains("the host panicked at it")
            && of(Sequence::new(2)).reason.ends_with(": no"),
        "{rows:?}"
    );
    assert!(!of(Sequence::new(1)).reason.contains("panicked"), "{rows:?}");
}

/// After the event, a request whose batch was aborted is run again on the same thread. If the host panics there, the event is not the
/// cause.
#[test]
fn event_is_not_blamed_for_a_panic_at_a_request_run_again_after_it() {
    let trial = Trial::new(Duration::from_secs(60));
    let (subscription, mut subscription_worker) =
        trial.subscription_worker(vec![event(1, "maker.made", "a")]);
    subscription.refresh();
    let (mut job, _) = job(Instant::now(), None);
    job.reply = Box::new(|_| panic!("told to"));
    let member = trial.aborted(job, Calls::Reading);
    subscription_worker.runner.parts.aborted.push(member);
    subscription_worker.runner.recover_aborted();
    let went = catch_unwind(AssertUnwindSafe(|| subscription_worker.go(&Progress::default()).is_ok()));
    assert!(went.is_err());
    subscription_worker.mend("no");
    assert_eq!(subscription_worker.panicked, None);
}

#[test]
fn worker_consumes_up_to_the_hold_position_and_no_further() {
    for (held_at, expected) in [(0, None), (1, Some(1)), (2, Some(2)), (9, Some(3))] {
        let trial = Trial::new(Duration::from_secs(60));
        let events = [1, 2, 3].map(|sequence| event(sequence, "maker.made", "a")).into();
        let (subscription, mut subscription_worker) = trial.subscription_worker(events);
        subscription.refresh();
        subscription.hold_at(Sequence::new(held_at));
        assert!(subscription_worker.go(&Progress::default()).is_ok());
        let row = trial.inbox().cursor(&"maker".into()).unwrap();
        assert_eq!(row.map(|row| row.sequence.get()), expected, "held at {held_at}");
    }
}

#[test]
fn stopping_worker_consumes_no_more_events() {
    let trial = Trial::new(Duration::from_secs(60));
    let (subscription, mut subscription_worker) =
        trial.subscription_worker(vec![event(1, "maker.made", "a")]);
    subscription.refresh();
    subscription_worker.stop.store(true, Ordering::Release);
    assert!(subscription_worker.go(&Progress::default()).is_ok());
    assert_eq!(trial.inbox().cursor(&"maker".into()).unwrap(), None);
}

#[test]
fn position_missing_from_the_log_stops_the_worker_and_says_what_is_there() {
    for (sequence, id, there) in [(4, "e4", "no event there"), (7, "e8", "event e7 there"), (7, "e7", "")] {
        let trial = Trial::new(Duration::from_secs(60));
        let (_, mut subscription_worker) = trial.subscription_worker(vec![event(7, "maker.made", "a")]);
        subscription_worker.seen = (Sequence::new(sequence), id.to_owned());
        match subscription_worker.read() {
            Ok(events) => assert!(there.is_empty() && events.is_empty()),
            Err(Halt::Stopped(why)) => assert!(!there.is_empty() && why.contains(there), "{why}"),
            Err(_) => panic!("{id}"),
        }
    }
}

/// A thread that panics at its start must wait before it starts again, also if it consumed something the time before.
#[test]
fn subscription_worker_progresses_once_it_consumes_more_than_before_its_start() {
    for (started_at, is_made) in [(0, true), (1, true), (2, false), (3, false)] {
        let trial = Trial::new(Duration::from_secs(60));
        let events = [(1, "a"), (2, "b")].map(|(sequence, subject)| event(sequence, "maker.made", subject));
        let (subscription, mut worker) = trial.subscription_worker(events.into());
        subscription.refresh();
        worker.started_at = Sequence::new(started_at);
        let progress = Progress::default();
        assert!(worker.go(&progress).is_ok());
        assert_eq!(subscription.applied(), Sequence::new(2));
        assert_eq!(progress.is_made(), is_made, "{started_at}");
    }
}
