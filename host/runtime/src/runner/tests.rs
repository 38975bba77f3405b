use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_store::Ended;
use bulkhead_types::Sequence;
use flume::Receiver;

use super::{HasRunner as _, Runner};
use crate::hold::Hold;
use crate::instance::Run;
use crate::job::{Failure, Outcome};
use crate::member::Member;
use crate::release::Release;
use crate::running::Calls;
use crate::trial::{Trial, answer, job, lines_with, run};

const LONG: Duration = Duration::from_secs(60);

/// A request whose batch was aborted and whose time is over, and the receiver of its outcome.
fn member(trial: &Trial, calls: Calls, again: bool) -> (Member, Receiver<Outcome>) {
    let (mut job, reply) = job(Instant::now(), None);
    job.again = again;
    (trial.aborted(job, calls), reply)
}

fn recover(trial: &Trial, runner: &mut Runner, member: Member) {
    let lease = trial.consumer.database().unwrap().writer.acquire(Instant::now() + LONG).unwrap();
    runner.recover(lease, vec![member]);
}

/// Whether somebody is inside the gate, so that a handler may run on the current schema.
fn is_inside(trial: &Trial) -> bool {
    trial.consumer.hold(Instant::now(), usize::MAX).is_err()
}

#[test]
fn request_that_read_from_others_is_run_again_once_without_the_lease() {
    let trial = Trial::new(LONG);
    let mut runner = trial.consumer.runner();
    let (first, reply) = member(&trial, Calls::Reading, false);
    recover(&trial, &mut runner, first);
    let job = runner.next_again().unwrap();
    assert!(job.again && job.deadline > Instant::now(), "with time of its own");
    assert!(reply.is_empty() && runner.next_again().is_none());

    for (calls, again) in [(Calls::Reading, true), (Calls::Effective, false)] {
        let (second, reply) = member(&trial, calls, again);
        let expected = calls.aborted();
        recover(&trial, &mut runner, second);
        assert!(runner.next_again().is_none(), "{calls:?}");
        assert_eq!(reply.try_recv().unwrap().unwrap_err(), expected);
    }
}

/// The component has no handler: that is the answer to a request that is run again. If no handler may run, the answer is the abort.
#[test]
fn request_is_logged_with_the_abort_if_no_handler_may_run_again() {
    let trial = Trial::new(LONG);
    for runs in [true, false] {
        let mut runner = trial.consumer.runner();
        let (again, reply) = member(&trial, Calls::Reading, false);
        recover(&trial, &mut runner, again);
        let lines = lines_with("a request failed", || {
            if runs { runner.run_again_alone() } else { runner.give_up_again() }
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        let failure = reply.try_recv().unwrap().unwrap_err();
        assert_eq!(failure != Failure::Aborted, runs, "{failure}");
    }
}

#[test]
fn runner_is_inside_afterwards_only_if_it_was_inside_before() {
    for is_before in [true, false] {
        for gives_up in [true, false] {
            let trial = Trial::new(LONG);
            let mut runner = trial.consumer.runner();
            if is_before {
                runner.enter();
            }
            let (again, reply) = member(&trial, Calls::Reading, false);
            runner.parts.aborted.push(again);
            runner.recover_aborted();
            assert_eq!(is_inside(&trial), is_before);
            if gives_up {
                runner.give_up_again();
            } else {
                runner.run_again_alone();
            }
            assert!(reply.try_recv().is_ok());
            assert_eq!(is_inside(&trial), is_before);
            drop(runner);
            assert!(!is_inside(&trial));
        }
    }
}

/// The batch that the runner keeps was opened after the abort: it stands.
#[test]
fn open_batch_is_committed_before_aborted_members_are_run_again() {
    let trial = Trial::new(LONG);
    let (mut runner, durable) = trial.with_open_batch();
    let (again, _) = member(&trial, Calls::Reading, false);
    runner.parts.aborted.push(again);
    runner.recover_aborted();
    assert_eq!(durable.try_recv(), Ok(true));
    assert!(runner.next_again().is_some());
}

#[test]
fn runner_waits_for_the_lease_before_it_gives_up_aborted_members() {
    let trial = Trial::new(LONG);
    let mut runner = trial.consumer.runner();
    let mut lease = trial.consumer.database().unwrap().writer.acquire(Instant::now() + LONG).unwrap();
    let (again, reply) = member(&trial, Calls::Reading, false);
    runner.parts.aborted.push(again);
    let waiting = thread::spawn(move || {
        runner.recover_aborted();
        runner.next_again().is_some()
    });
    // The lease goes to the thread that waits for it.
    while let Some(kept) = lease.pass_on() {
        lease = kept;
        if waiting.is_finished() {
            break;
        }
        thread::yield_now();
    }
    assert!(waiting.join().unwrap(), "{:?}", reply.try_recv());
}

#[test]
fn runner_follows_its_service_from_one_database_to_another_and_to_none() {
    let (trial, other) = (Trial::new(LONG), Trial::new(LONG));
    let (mut runner, durable) = trial.with_open_batch();
    let switch = |database| {
        let release = trial.context.release.get();
        trial.consumer.switch(Release {
            component: release.component.clone(),
            spec: release.spec.clone(),
            database,
            probation: None,
        });
    };
    let aborts = trial.context.aborts.count();
    for database in [other.consumer.database(), None, trial.consumer.database()] {
        switch(database.clone());
        runner.enter();
        assert_eq!(runner.parts.database.as_ref().map(Arc::as_ptr), database.as_ref().map(Arc::as_ptr));
        runner.leave();
    }
    assert_eq!(durable.try_recv(), Ok(true), "what was carried is of the first");
    assert_eq!(trial.context.aborts.count(), aborts);
}

#[test]
fn logged_failure_of_a_request_gets_no_second_line() {
    let trial = Trial::new(LONG);
    let runner = trial.consumer.runner();
    for is_logged in [false, true] {
        let (mut job, _) = job(Instant::now(), None);
        job.logged = is_logged;
        let lines = lines_with("a request failed", || runner.report_failure(&job, &Failure::Aborted));
        assert_eq!(lines.is_empty(), is_logged, "{lines:?}");
    }
}

/// What a request did in another service stands: so its key counts as used, although it wrote nothing here.
#[test]
fn unit_of_work_is_joined_for_a_key_only_if_another_service_had_effects() {
    for (key, calls, is_joined) in [
        (Some("key"), Calls::Effective, true),
        (Some("key"), Calls::Reading, false),
        (Some("key"), Calls::None, false),
        (None, Calls::Effective, false),
    ] {
        let trial = Trial::new(LONG);
        let mut runner = trial.consumer.runner();
        let (job, _) = job(Instant::now() + LONG, key);
        let run = Run { calls, ..run(Ok(answer(&[])), true) };
        runner.join_to_remember(&job, &run);
        assert_eq!(matches!(runner.parts.hold, Hold::Joined(_)), is_joined, "{key:?} {calls:?}");
    }
}

#[test]
fn instance_stays_warm_only_if_its_unit_of_work_was_kept() {
    let trial = Trial::new(LONG);
    for (ended, is_warm) in [(Ended::Kept { position: Sequence::new(1) }, true), (Ended::RolledBack, false)] {
        let mut runner = trial.consumer.runner();
        let (mut job, _) = job(Instant::now(), None);
        runner.warm_up();
        assert!(runner.instance.is_warm());
        drop(runner.settled(Err(Failure::Deadline), None, &ended, &mut job));
        assert_eq!(runner.instance.is_warm(), is_warm);
    }
}

#[test]
fn thread_that_lets_go_commits_its_open_batch() {
    let trial = Trial::new(LONG);
    let (mut runner, durable) = trial.with_open_batch();
    assert!(durable.is_empty());
    runner.let_go();
    assert!(!runner.keeps_batch());
    assert_eq!(durable.try_recv(), Ok(true));
}
