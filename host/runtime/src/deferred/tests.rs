use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bulkhead_store::{
    Damage, EventLog, KeptAnswer, Known, Logged, Parked, ParkedState, RequestKey, StatementError, Waker,
};
use bulkhead_types::{Clock, Sequence, Subject, SystemClock};

use super::{Deferred, DeferredWork, Kind, PAUSE, UNREADABLE_WAIT};
use crate::instance::NotConsumed;
use crate::member::commit;
use crate::supervise::Progress;
use crate::trial::{STORAGE, Trial, event, lines_with};

/// The number of commits, or of attempts, that fail one after the other.
const FAILURES: u32 = 4;

/// The thread of timers, and a function that ends it.
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
fn both_threads_are_woken_and_have_their_names() {
    let deferred = Deferred::default();
    deferred.wake();
    // It does not wait for a thread that has not looked yet.
    deferred.wake();
    for (kind, name) in [(Kind::Timers, "timers"), (Kind::Parked, "parked")] {
        assert_eq!(deferred.of(kind).woken.drain().count(), 1);
        assert_eq!(kind.name(), name);
    }
}

#[test]
fn timer_whose_commit_fails_waits_before_its_retry() {
    let trial = Trial::new(Duration::from_secs(60));
    trial.set_timer("one");
    trial.fail_commits(FAILURES as usize);
    let began = Instant::now();
    let (thread, end) = timers(trial.deferred(Vec::new()));
    let mut inbox = trial.inbox();
    while !trial.due_timers(&mut *inbox).is_empty() {
        thread::yield_now();
    }
    assert!(began.elapsed() >= PAUSE * FAILURES, "{:?}", began.elapsed());
    end();
    thread.join().unwrap();
    assert_eq!(trial.failures.load(Ordering::Acquire), FAILURES as usize + 1, "one attempt for each commit");
}

#[test]
fn timer_that_cannot_get_the_lease_waits_before_its_retry() {
    let trial = Trial::new(Duration::from_millis(1));
    trial.set_timer("one");
    let writer = Arc::clone(&trial.consumer.database().unwrap().writer);
    let lease = writer.acquire(Instant::now() + Duration::from_secs(60)).unwrap();
    let began = Instant::now();
    let (thread, end) = timers(trial.deferred(Vec::new()));
    while trial.failures.load(Ordering::Acquire) <= FAILURES as usize {
        thread::yield_now();
    }
    assert!(began.elapsed() >= PAUSE * FAILURES, "{:?}", began.elapsed());
    end();
    thread.join().unwrap();
    drop(lease);
}

#[test]
fn panic_is_attributed_only_to_the_item_in_progress() {
    let trial = Trial::new(Duration::from_secs(60));
    let mut work = trial.deferred(Vec::new());
    let (timer, parked) = ((None, Sequence::new(7)), (Some("maker".into()), Sequence::new(7)));
    work.consuming = Some(timer.clone());
    work.mend("no");
    assert_eq!(work.panicked_at(&parked), None);
    let outcome = work.panicked_at(&timer);
    assert!(matches!(&outcome, Some(NotConsumed::Retry(why)) if why.ends_with(": no")), "{outcome:?}");
    assert_eq!(work.panicked_at(&timer), None, "once");
}

#[test]
fn host_panic_at_a_parked_event_counts_as_an_attempt() {
    let trial = Trial::new(Duration::from_secs(60));
    let event = event(1, "maker.made", "a");
    trial.park(&event);
    let mut work = trial.deferred(vec![event]);
    work.consuming = Some((Some("maker".into()), Sequence::new(1)));
    work.mend("no");
    let row = tried(&trial, &mut work);
    assert_eq!((row.state, row.attempts), (ParkedState::Parked, 2), "{row:?}");
    assert!(row.reason.contains("the host panicked at it"), "{row:?}");
}

/// What is parked after a look that found something.
fn tried(trial: &Trial, work: &mut DeferredWork) -> Parked {
    let lines = lines_with("an event was not consumed", || {
        assert!(work.consume_some(Kind::Parked).unwrap().found);
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    let mut rows = trial.inbox().parked().unwrap();
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

#[test]
fn reason_for_a_missing_parked_event_says_if_it_has_a_subscription() {
    let trial = Trial::new(Duration::from_secs(60));
    for (producer, is_subscribed, why) in [
        ("maker", true, "the event is no longer in the log"),
        ("maker", false, "the manifest lets this service consume nothing of maker any more"),
        // A timer of the service itself.
        ("taker", false, "the event is no longer in the log"),
    ] {
        let row = trial.row(&event(1, "maker.made", "a"), &retry_later());
        trial.park_row(&Parked { producer: producer.into(), ..row });
        let mut work = trial.deferred(Vec::new());
        if !is_subscribed {
            work.sources.clear();
        }
        let row = tried(&trial, &mut work);
        assert_eq!((row.state, &*row.reason), (ParkedState::Dead, why), "{row:?}");
        assert!(trial.consumer.drop_dead(&producer.into(), Sequence::new(1)).unwrap());
    }
}

fn retry_later() -> NotConsumed {
    NotConsumed::Retry("no".into())
}

/// The first attempt after an operator asked for it does not count as a repeated one.
#[test]
fn event_counts_as_retried_from_its_second_attempt() {
    let trial = Trial::new(Duration::from_secs(60));
    let event = event(1, "maker.made", "a");
    for (attempts, counted) in [(0, 0), (1, 1)] {
        trial.park_row(&Parked { attempts, ..trial.row(&event, &retry_later()) });
        let mut work = trial.deferred(vec![event.clone()]);
        tried(&trial, &mut work);
        let (subscription, _) = work.sources.values().next().unwrap();
        assert_eq!(subscription.counts.retried.load(Ordering::Relaxed), counted);
        assert!(trial.consumer.drop_dead(&"maker".into(), Sequence::new(1)).unwrap());
    }
}

/// Runs `work` while another thread requests the lease again and again.
fn beside_a_rival(trial: &Trial, work: impl FnOnce()) {
    let writer = Arc::clone(&trial.consumer.database().unwrap().writer);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let mut lease = writer.acquire(Instant::now() + Duration::from_secs(60)).unwrap();
                // A batch that was passed on stays open for a while.
                thread::yield_now();
                assert!(commit(&mut *lease, &trial.context.observed).is_empty());
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        done.store(true, Ordering::Release);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn consumed_timer_is_not_due_at_the_next_check_even_if_others_wait_for_the_lease() {
    let trial = Trial::new(Duration::from_secs(60));
    let (mut work, mut inbox) = (trial.deferred(Vec::new()), trial.inbox());
    beside_a_rival(&trial, || {
        for n in 0..30 {
            trial.set_timer(&format!("t{n}"));
            assert!(work.consume_some(Kind::Timers).unwrap().found);
            assert_eq!(trial.due_timers(&mut *inbox), [0; 0], "timer {n}");
        }
    });
}

#[test]
fn retried_parked_event_is_not_due_at_the_next_check_even_if_others_wait_for_the_lease() {
    let trial = Trial::new(Duration::from_secs(60));
    // Of the producer's events, one is passed over by now, and the other is no longer in the event log.
    let passed = event(1, "maker.gone", "a");
    let (mut work, inbox) = (trial.deferred(vec![passed.clone()]), trial.inbox());
    beside_a_rival(&trial, || {
        for n in 0..15 {
            for event in [passed.clone(), event(2 + n, "maker.made", "b")] {
                trial.park(&event);
                assert!(work.consume_some(Kind::Parked).unwrap().found);
                let (due, _) = inbox.next_parked(trial.consumer.runner().time()).unwrap();
                assert_eq!(due, None, "{} in round {n}", event.kind);
            }
        }
    });
}

/// Otherwise the sweep would find the same answers again without end.
#[test]
fn sweep_stops_if_its_commit_fails_and_the_next_sweep_deletes_the_answers() {
    let trial = Trial::new(Duration::from_secs(60));
    let key = RequestKey::new(
        trial.consumer.database().unwrap().database.secret(),
        (&"ann".into(), None),
        "k",
        &[b"POST"],
    );
    let remember = || {
        let mut is_new = false;
        trial.write(|unit| {
            is_new = unit.remember(
                &key,
                &KeptAnswer::none(Sequence::new(0), Vec::new()),
                Duration::from_millis(1),
            )?;
            Ok(())
        });
        is_new
    };
    assert!(remember());
    let mut work = trial.deferred(Vec::new());
    trial.fail_commits(100);
    work.sweep();
    assert_eq!(trial.commits.clear(), 99, "one commit was tried");
    assert!(!remember(), "it is still there");
    work.undone.store(false, Ordering::Release);
    work.sweep();
    assert!(remember(), "it is gone");
}

/// An event log that can't be read now.
struct Unreadable;

impl EventLog for Unreadable {
    fn id(&self) -> &str {
        "unreadable"
    }

    fn head(&self) -> Result<Sequence, StatementError> {
        Err(StatementError::Busy)
    }

    fn trim_point(&self) -> Result<Sequence, StatementError> {
        Err(StatementError::Busy)
    }

    fn read(&self, _: Sequence, _: u32) -> Result<Vec<Logged>, StatementError> {
        Err(StatementError::Busy)
    }

    fn read_without_data(&self, _: Sequence, _: &mut dyn FnMut(Logged)) -> Result<(), StatementError> {
        Err(StatementError::Busy)
    }

    fn newest(
        &self,
        _: Option<&str>,
        _: Option<&Subject>,
        _: Sequence,
        _: u32,
    ) -> Result<Vec<Logged>, StatementError> {
        Err(StatementError::Busy)
    }

    fn last_of(&self, _: &Subject, _: [&str; 2], _: Sequence) -> Result<Option<Logged>, StatementError> {
        Err(StatementError::Busy)
    }

    fn has_later(&self, _: &Subject, _: [&str; 2], _: (Sequence, Sequence)) -> Result<bool, StatementError> {
        Err(StatementError::Busy)
    }

    fn damages(&self) -> Result<Vec<Damage>, StatementError> {
        Err(StatementError::Busy)
    }

    fn tail(&self, _: Waker) {}
}

#[test]
fn unreadable_parked_event_is_postponed_with_the_reason() {
    let trial = Trial::new(Duration::from_secs(60));
    trial.park(&event(1, "maker.made", "a"));
    let mut work = trial.deferred(Vec::new());
    for (_, log) in work.sources.values_mut() {
        *log = Box::new(Unreadable);
    }
    let now = trial.consumer.runner().time();
    assert!(work.consume_some(Kind::Parked).unwrap().found);
    let rows = trial.inbox().parked().unwrap();
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert!(row.next.as_millis() >= (now + UNREADABLE_WAIT).as_millis(), "{row:?}");
    assert!(row.reason.contains("the event can't be read"), "{row:?}");
    assert_eq!((row.state, row.attempts), (ParkedState::Parked, 1), "nothing was attempted");
}

#[test]
fn everything_that_is_due_is_consumed_before_the_thread_waits() {
    let trial = Trial::new(Duration::from_secs(60));
    let (mut work, mut inbox) = (trial.deferred(Vec::new()), trial.inbox());
    assert_eq!(work.consume_all(Kind::Timers).unwrap(), None, "nothing is due, ever");
    // More than one look reads.
    for n in 0..70 {
        trial.set_timer(&format!("t{n}"));
    }
    assert_eq!(work.consume_all(Kind::Timers).unwrap(), None);
    assert_eq!(trial.due_timers(&mut *inbox), [0; 0]);
}

#[test]
fn all_old_answers_are_deleted_however_many_there_are() {
    const MANY: usize = 1001;
    let trial = Trial::new(Duration::from_secs(60));
    let database = Arc::clone(&trial.consumer.database().unwrap().database);
    let key = |number: usize| {
        RequestKey::new(database.secret(), (&"".into(), None), &number.to_string(), &[b"request"])
    };
    trial.write(|unit| {
        (0..MANY).try_for_each(|number| {
            unit.remember(&key(number), &KeptAnswer::none(Sequence::new(0), Vec::new()), Duration::ZERO)
                .map(drop)
        })
    });
    trial.deferred(Vec::new()).sweep();
    let mut reader = database.reader().unwrap();
    for number in [0, MANY - 1] {
        let known = reader.known(&key(number), Duration::ZERO).unwrap();
        assert!(matches!(known, Known::No), "{number}");
    }
}

/// The operating system's clock, which a test sets.
#[derive(Default)]
struct SetClock(AtomicU64);

impl Clock for SetClock {
    fn now(&self) -> Duration {
        SystemClock.now() + Duration::from_secs(self.0.load(Ordering::Acquire))
    }

    fn steady(&self) -> Duration {
        SystemClock.steady()
    }
}

/// Otherwise a restart would take the step for time that has passed.
#[test]
fn wall_clock_step_is_recorded_once() {
    let clock = Arc::new(SetClock::default());
    let trial = Trial::with_clock(Duration::from_secs(60), STORAGE, clock.clone());
    let database = Arc::clone(&trial.consumer.database().unwrap().database);
    let mut work = trial.deferred(Vec::new());
    let mut lines = || lines_with("the wall clock was set", || work.write_time_if_set()).len();
    assert_eq!(lines(), 0);
    clock.0.store(3600, Ordering::Release);
    assert!(database.clock_was_set());
    assert_eq!(lines(), 1);
    assert!(!database.clock_was_set());
    assert_eq!(lines(), 0);
}
