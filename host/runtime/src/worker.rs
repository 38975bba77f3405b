//! A worker: a thread that takes jobs from a queue, and runs them.

use std::time::Instant;

use flume::Receiver;

use crate::diagnosis;
use crate::job::{Failure, Job};
use crate::kind::Kind;
use crate::observer::{Limit, Observation};
use crate::queues::Work;
use crate::runner::Runner;
use crate::supervise::{self, Progress};

pub(crate) struct Worker<'s> {
    runner: Runner,
    queue: Receiver<Work>,
    /// Whose queue it is.
    kind: Kind,
    /// The worker got its [`Work::Stop`]. This outlives a panic, because there is no second one.
    stopped: &'s mut bool,
}

impl<'s> Worker<'s> {
    pub(crate) fn new(runner: Runner, queue: Receiver<Work>, kind: Kind, stopped: &'s mut bool) -> Self {
        Self { runner, queue, kind, stopped }
    }

    /// Runs jobs until it must stop.
    pub(crate) fn run(mut self, progress: &Progress) {
        while let Some(job) = self.next() {
            // Whatever becomes of this job, the next one is another job.
            progress.made();
            // Jobs whose time is over are answered also while the gate is held.
            self.runner.inside_until(Some(job.deadline), |runner, is_inside| {
                if is_inside && Instant::now() < job.deadline {
                    supervise::point("turn");
                    runner.run_job(job, || has_more(&self.queue));
                } else {
                    let release = &runner.release;
                    diagnosis::report_late_job(&release.component.info, &release.spec, &job.request);
                    runner.context.observed.notify_limit(Limit::RequestTimeout);
                    (job.reply)(Err(Failure::Deadline));
                    runner.commit_open_batch_when_due();
                }
                runner.recover_aborted();
            });
        }
    }

    /// Waits for the next job. While the runner keeps an open batch there is no waiting: if no job is at hand, the batch is committed.
    fn next(&mut self) -> Option<Job> {
        loop {
            if let Some(job) = self.runner.next_again() {
                return Some(job);
            }
            if *self.stopped {
                return None;
            }
            let work = if self.runner.keeps_batch() {
                self.queue.try_recv().ok()
            } else {
                Some(self.queue.recv().unwrap_or(Work::Stop))
            };
            match work {
                Some(Work::Job(job, since)) => {
                    let waited = since.elapsed();
                    job.waited.record(waited);
                    let queue = self.kind.name();
                    self.runner.context.observed.notify(&Observation::Started { queue, waited });
                    return Some(job);
                }
                Some(Work::Stop) => *self.stopped = true,
                None => {}
            }
            self.runner.commit_open_batch();
        }
    }
}

/// Whether a worker has another job at hand: then it keeps the batch open for that job.
fn has_more(queue: &Receiver<Work>) -> bool {
    !queue.is_empty()
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use bulkhead_store::{KeptAnswer, RequestKey};
    use bulkhead_types::Sequence;

    use super::{Worker, has_more};
    use crate::job::Failure;
    use crate::kind::Kind;
    use crate::member::Settle;
    use crate::queues::Work;
    use crate::supervise::Progress;
    use crate::trial::{Trial, job, lines_with};

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn worker_has_more_to_do_while_its_queue_has_jobs() {
        let (to, queue) = flume::unbounded();
        assert!(!has_more(&queue));
        to.send(Work::Job(job(Instant::now(), None).0, Instant::now())).unwrap();
        assert!(has_more(&queue));
    }

    #[test]
    fn due_batch_is_committed_after_a_job_whose_answer_was_kept() {
        let trial = Trial::new(LONG);
        let database = Arc::clone(&trial.consumer.database().unwrap().database);
        let other = RequestKey::new(database.secret(), (&"".into(), None), "key", &[b"another request"]);
        trial.write(|unit| {
            let now = unit.time();
            unit.remember(&other, &KeptAnswer::none(Sequence::new(0), Vec::new()), now).map(drop)
        });
        let (mut runner, durable) = trial.with_open_batch();
        let (job, outcome) = job(Instant::now() + LONG, Some("key"));
        runner.run_job(job, || true);
        assert_eq!(outcome.recv().unwrap().unwrap_err(), Failure::KeyReused);
        assert_eq!(durable.try_recv(), Ok(true));
    }

    #[test]
    fn due_batch_is_committed_after_a_late_job() {
        let trial = Trial::new(LONG);
        let (runner, durable) = trial.with_open_batch();
        let (to, queue) = flume::unbounded();
        let (first, _first) = job(Instant::now(), None);
        let (mut second, _) = job(Instant::now(), None);
        let committed = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&committed);
        second.reply = Box::new(move |_| seen.store(durable.try_recv() == Ok(true), Ordering::Release));
        for work in [Work::Job(first, Instant::now()), Work::Job(second, Instant::now()), Work::Stop] {
            to.send(work).unwrap();
        }
        let lines = lines_with("a request failed", || {
            Worker::new(runner, queue, Kind::Write, &mut false).run(&Progress::default());
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines.iter().all(|line| line.contains("before a worker was free")), "{lines:?}");
        assert!(committed.load(Ordering::Acquire), "before the next job");
    }

    #[test]
    fn worker_that_panics_after_its_stop_needs_no_second_stop() {
        let trial = Trial::new(LONG);
        let mut runner = trial.consumer.runner();
        let mark = |_: &mut crate::database::UnitOfWork| Ok(true);
        // On a busy machine the batch may be due at once, and its commit panics here.
        while !runner.keeps_batch() {
            let settle = Settle::new(|_| panic!("told to"));
            drop(catch_unwind(AssertUnwindSafe(|| runner.write(mark, settle, true))));
        }
        let (to, queue) = flume::unbounded();
        to.send(Work::Stop).unwrap();
        let mut stopped = false;
        let worker = Worker::new(runner, queue, Kind::Write, &mut stopped);
        assert!(catch_unwind(AssertUnwindSafe(|| worker.run(&Progress::default()))).is_err());
        assert!(stopped);
        // As after a restart: the queue is empty, and nobody closes it.
        let (_to, queue) = flume::unbounded();
        Worker::new(trial.consumer.runner(), queue, Kind::Write, &mut stopped).run(&Progress::default());
    }
}
