//! A running service: its worker threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use flume::Sender;

use crate::compute::give_way;
use crate::consumer::Consumer;
use crate::engine::Engine;
use crate::host_context::HostContext;
use crate::kind::Kind;
use crate::queues::{QueueEnds, Queues, Work};
use crate::release::{Release, ServiceContext};
use crate::runner::Runner;
use crate::spec::Limits;
use crate::supervise::{self, Progress};
use crate::worker::Worker;

/// A running service. Dropping it without [`Service::stop`] leaves its threads to end with the process.
pub struct Service {
    stopping: Arc<AtomicBool>,
    /// The queue of each worker.
    stops: Vec<Sender<Work>>,
    workers: Vec<JoinHandle<()>>,
    consumer: Consumer,
}

impl Service {
    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(
        engine: &Engine,
        release: Release,
        host_context: &Arc<HostContext>,
        queues: &Queues,
        ends: QueueEnds,
    ) -> std::io::Result<Self> {
        release.let_in(queues);
        // A later version may have routes that compute, so the workers for them are started as well.
        let Limits { read_workers, write_workers, compute_workers, .. } = release.spec.limits;
        let context = ServiceContext::new(release, Arc::clone(host_context));
        let kinds = [
            (Kind::Read, ends.reads, read_workers),
            (Kind::Write, ends.writes, write_workers),
            (Kind::Compute, ends.computations, compute_workers),
        ];
        let (mut workers, mut stops) = (Vec::new(), Vec::new());
        for (kind, queue, count) in kinds {
            let sender = queues.of(kind);
            for number in 0..count {
                let (engine, context, queue) = (engine.clone(), Arc::clone(&context), queue.clone());
                let name = format!("{}-{}-{number}", context.name, kind.name());
                stops.push(sender.clone());
                // What a worker holds belongs to its runner, and is dropped with it. That the worker was asked to stop is not dropped.
                let work = move |stopped: &mut bool, progress: &Progress| {
                    if kind == Kind::Compute {
                        give_way();
                    }
                    let runner = Runner::new(engine.clone(), Arc::clone(&context));
                    Worker::new(runner, queue.clone(), kind, stopped).run(progress);
                };
                workers.push(supervise::spawn(name, queues.stopping(), false, work, |_, _| {})?);
            }
        }
        let consumer = Consumer::new(engine.clone(), context, queues.clone());
        Ok(Self { stopping: Arc::clone(queues.stopping()), stops, workers, consumer })
    }

    /// The service as subscription workers and operators reach it.
    #[must_use]
    pub fn consumer(&self) -> Consumer {
        self.consumer.clone()
    }

    /// Accepts no more jobs, answers the jobs in the queues, and ends the threads.
    pub fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        // After all accepted jobs: one for each worker, which takes nothing after it.
        for queue in &self.stops {
            let _ = queue.send(Work::Stop);
        }
        for worker in self.workers {
            // Its panic is in a log line.
            let _ = worker.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bulkhead_types::limits::{COMPUTE_NICE, MEMORY_DEFAULT};

    use super::*;
    use crate::job::Failure;
    use crate::observer::Observers;
    use crate::queues::queues;
    use crate::trial::{Trial, job};

    fn started(trial: &Trial) -> (Queues, Service) {
        let before = trial.consumer.release();
        let mut spec = (*before.spec).clone();
        let limits = &mut spec.limits;
        (limits.read_workers, limits.write_workers, limits.compute_workers) = (1, 1, 1);
        let (queues, ends) = queues(&spec, &Observers::default());
        let release = Release {
            component: Arc::clone(&before.component),
            spec: Arc::new(spec),
            database: before.database.clone(),
            probation: None,
        };
        let engine = Engine::new(4, MEMORY_DEFAULT).unwrap();
        let host_context = &trial.context.host_context;
        let service = Service::start(&engine, release, host_context, &queues, ends).unwrap();
        (queues, service)
    }

    /// The priority of this process's thread of a name, as the system has it: field 19 of its line (proc(5)). The name has no blank.
    fn nice(thread: &str) -> Option<i32> {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok()).find_map(
            |line| {
                let fields: Vec<&str> = line.split(' ').collect();
                (fields[1] == format!("({thread})")).then(|| fields[18].parse().unwrap())
            },
        )
    }

    #[test]
    fn only_compute_workers_have_a_low_priority() {
        let trial = Trial::new(Duration::from_secs(60));
        let own = rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        let (_queues, service) = started(&trial);
        // A thread names itself, and gives way, some time after it was started.
        let until = Instant::now() + Duration::from_secs(60);
        let threads = ["taker-compute-0", "taker-read-0", "taker-write-0"];
        let seen = || threads.map(nice);
        while seen() != [Some(own.max(COMPUTE_NICE)), Some(own), Some(own)] {
            assert!(Instant::now() < until, "{:?}, and this thread has {own}", seen());
            std::thread::yield_now();
        }
        service.stop();
    }

    #[test]
    fn stopped_service_answers_accepted_jobs_and_accepts_no_more() {
        let trial = Trial::new(Duration::from_secs(60));
        let (queues, service) = started(&trial);
        let (last, answered) = job(Instant::now() + Duration::from_secs(60), None);
        queues.submit(&queues.admission_limits(), last).unwrap();
        service.stop();
        assert!(answered.try_recv().is_ok());
        let late = job(Instant::now() + Duration::from_secs(60), None).0;
        assert_eq!(queues.submit(&queues.admission_limits(), late), Err(Failure::Stopping));
    }
}
