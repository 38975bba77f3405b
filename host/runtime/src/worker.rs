//! A worker: a thread that takes jobs from a queue, and has each run.

use std::time::Instant;

use flume::Receiver;
use prometheus_client::metrics::histogram::Histogram;

use crate::diagnosis;
use crate::job::{Failure, Job};
use crate::runner::Runner;
use crate::service::Work;
use crate::supervise::{self, Progress};

pub(crate) struct Worker {
    runner: Runner,
    queue: Receiver<Work>,
    /// How long jobs have stood in it.
    wait: Histogram,
    stopped: bool,
}

impl Worker {
    pub(crate) fn new(runner: Runner, queue: Receiver<Work>, wait: Histogram) -> Self {
        Self { runner, queue, wait, stopped: false }
    }

    /// Takes jobs until it is told to stop.
    pub(crate) fn run(mut self, progress: &Progress) {
        while let Some(job) = self.next() {
            // Whatever becomes of it, the next is another one.
            progress.made();
            // While the gate is held, jobs whose time is over are answered all the same.
            if self.runner.begin_until(Some(job.deadline)) && Instant::now() < job.deadline {
                supervise::point("turn");
                self.runner.run_job(job, || !self.queue.is_empty());
                self.runner.recover_lost();
            } else {
                let release = &self.runner.release;
                diagnosis::tell_of_late_job(&release.component, &release.spec, &job.request);
                (job.reply)(Err(Failure::Deadline));
            }
            self.runner.end();
        }
    }

    /// The next job, waited for. While a batch is carried there is no waiting: with no job at hand the batch is committed.
    fn next(&mut self) -> Option<Job> {
        loop {
            if let Some(job) = self.runner.next_again() {
                return Some(job);
            }
            if self.stopped {
                return None;
            }
            let work = if self.runner.carries() {
                self.queue.try_recv().ok()
            } else {
                Some(self.queue.recv().unwrap_or(Work::Stop))
            };
            match work {
                Some(Work::Job(job, since)) => {
                    let waited = since.elapsed();
                    self.wait.observe(waited.as_secs_f64());
                    job.waited.tell(waited);
                    return Some(job);
                }
                Some(Work::Stop) => self.stopped = true,
                None => {}
            }
            self.runner.commit_carried();
        }
    }
}
