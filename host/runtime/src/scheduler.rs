//! The scheduler: a subscription worker for each subscription, and for each service a thread for its timers and one for its parked events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use bulkhead_store::{OpenLog, StoreError};
use bulkhead_types::ServiceName;

use crate::consumer::Consumer;
use crate::deferred::{Deferred, DeferredWork, Kind};
use crate::subscription::Subscription;
use crate::subscription_worker::SubscriptionWorker;
use crate::supervise::{self, Progress};

/// Why a service's events can't be delivered.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// A database can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no thread.
    #[error("start a thread: {0}")]
    Thread(#[from] std::io::Error),
    /// A service that consumes events has no database.
    #[error("{0} consumes events and has no database")]
    NoDatabase(ServiceName),
}

/// The threads that deliver events and timers to one service.
pub struct Deliveries {
    stop: Arc<AtomicBool>,
    subscriptions: Vec<Arc<Subscription>>,
    deferred: Arc<Deferred>,
    threads: Vec<JoinHandle<()>>,
}

impl Deliveries {
    /// Starts the subscription workers of `subscriptions`, which are all those of `consumer`, and the threads for its timers and parked
    /// events.
    ///
    /// # Errors
    ///
    /// See [`SchedulerError`].
    pub fn start(
        consumer: &Consumer,
        subscriptions: &[Arc<Subscription>],
        deferred: &Arc<Deferred>,
        open: &OpenLog<'_>,
    ) -> Result<Self, SchedulerError> {
        let stop = Arc::new(AtomicBool::new(false));
        let name = consumer.name();
        let database =
            consumer.database().ok_or_else(|| SchedulerError::NoDatabase(name.clone()))?.database.clone();
        let mut this = Self {
            stop: Arc::clone(&stop),
            subscriptions: subscriptions.to_vec(),
            deferred: Arc::clone(deferred),
            threads: Vec::new(),
        };
        for subscription in subscriptions {
            let producer = &subscription.spec.producer;
            let Some(log) = open(producer)? else { continue };
            let worker = SubscriptionWorker::new(
                Arc::clone(subscription),
                log,
                consumer.runner(),
                database.inbox()?,
                Arc::clone(deferred),
                Arc::clone(&stop),
            );
            let thread = format!("{producer}-{name}");
            let handle = supervise::spawn(
                thread,
                &stop,
                worker,
                |worker, progress| worker.run(progress),
                SubscriptionWorker::mend,
            )?;
            this.threads.push(handle);
        }
        for kind in Kind::ALL {
            let mut sources = BTreeMap::new();
            for subscription in subscriptions.iter().filter(|_| kind == Kind::Parked) {
                if let Some(log) = open(&subscription.spec.producer)? {
                    sources.insert(subscription.spec.producer.clone(), (Arc::clone(subscription), log));
                }
            }
            let inbox = database.inbox()?;
            let work =
                DeferredWork::new(Arc::clone(deferred), consumer.runner(), inbox, sources, Arc::clone(&stop));
            let run = move |work: &mut DeferredWork, progress: &Progress| work.run(kind, progress);
            let thread = format!("{name}-{}", kind.name());
            this.threads.push(supervise::spawn(thread, &stop, work, run, DeferredWork::mend)?);
        }
        Ok(this)
    }

    /// Ends the threads, each when what it runs is done and committed. What is not consumed yet is consumed by the next threads that are
    /// started.
    pub fn stop(mut self) {
        self.tell_to_stop();
        for thread in std::mem::take(&mut self.threads) {
            // Its panic is in a log line.
            let _ = thread.join();
        }
    }

    fn tell_to_stop(&self) {
        self.stop.store(true, Ordering::Release);
        for subscription in &self.subscriptions {
            subscription.wake();
        }
        self.deferred.wake();
    }
}

impl Drop for Deliveries {
    /// Threads that nobody waits for end as well.
    fn drop(&mut self) {
        self.tell_to_stop();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bulkhead_store::{EventLog, MemoryLog};

    use super::*;
    use crate::trial::Trial;

    fn started(trial: &Trial) -> (Arc<Deferred>, Deliveries) {
        let deferred = Arc::new(Deferred::default());
        let (subscription, worker) = trial.subscription_worker(Vec::new());
        drop(worker);
        let open = |_: &ServiceName| Ok(Some(Box::new(MemoryLog::default()) as Box<dyn EventLog>));
        let deliveries = Deliveries::start(&trial.consumer, &[subscription], &deferred, &open).unwrap();
        assert_eq!(deliveries.threads.len(), 3);
        (deferred, deliveries)
    }

    /// How many threads have it, and this one.
    fn holders(deferred: &Arc<Deferred>) -> usize {
        Arc::strong_count(deferred)
    }

    #[test]
    fn threads_have_ended_when_the_scheduler_is_stopped() {
        let trial = Trial::new(Duration::from_secs(60));
        let (deferred, deliveries) = started(&trial);
        assert!(holders(&deferred) > 1);
        deliveries.stop();
        assert_eq!(holders(&deferred), 1);
    }

    #[test]
    fn threads_of_a_dropped_scheduler_end() {
        let trial = Trial::new(Duration::from_secs(60));
        let (deferred, deliveries) = started(&trial);
        drop(deliveries);
        while holders(&deferred) > 1 {
            std::thread::yield_now();
        }
    }
}
