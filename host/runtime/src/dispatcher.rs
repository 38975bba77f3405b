//! The dispatcher: a lane for each edge, and for each service a thread for its timers and one for its parked events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use bulkhead_store::{InboxReader, StoreError};

use crate::consumer::Consumer;
use crate::deferred::{Deferred, DeferredWork, Kind};
use crate::edge::Edge;
use crate::event_log::OpenLog;
use crate::lane::Lane;
use crate::supervise::{self, Progress};

/// Why a service's events can't be delivered.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// A database can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system gives no thread.
    #[error("start a thread: {0}")]
    Thread(#[from] std::io::Error),
    /// A service that takes events has no database.
    #[error("{0} takes events and has no database")]
    NoDatabase(String),
}

/// The threads that deliver events and timers to one service.
pub struct Deliveries {
    stop: Arc<AtomicBool>,
    edges: Vec<Arc<Edge>>,
    deferred: Arc<Deferred>,
    threads: Vec<JoinHandle<()>>,
}

impl Deliveries {
    /// Starts the lanes of `edges`, which all lead to `consumer`, and the threads for its timers and parked events.
    ///
    /// # Errors
    ///
    /// See [`DispatchError`].
    pub fn start(
        consumer: &Consumer,
        edges: &[Arc<Edge>],
        deferred: &Arc<Deferred>,
        open: &OpenLog<'_>,
    ) -> Result<Self, DispatchError> {
        let stop = Arc::new(AtomicBool::new(false));
        let name = consumer.name();
        let database =
            consumer.database().ok_or_else(|| DispatchError::NoDatabase(name.to_owned()))?.database.clone();
        let mut this = Self {
            stop: Arc::clone(&stop),
            edges: edges.to_vec(),
            deferred: Arc::clone(deferred),
            threads: Vec::new(),
        };
        for edge in edges {
            let producer = edge.spec.producer.as_str();
            let Some(log) = open(producer)? else { continue };
            let lane = Lane::new(
                Arc::clone(edge),
                log,
                consumer.runner(),
                InboxReader::open(&database)?,
                Arc::clone(deferred),
                Arc::clone(&stop),
            );
            let thread = format!("{producer}-{name}");
            let lane =
                supervise::spawn(thread, &stop, lane, |lane, progress| lane.run(progress), Lane::mend)?;
            this.threads.push(lane);
        }
        for kind in Kind::ALL {
            let mut sources = BTreeMap::new();
            for edge in edges.iter().filter(|_| kind == Kind::Parked) {
                if let Some(log) = open(&edge.spec.producer)? {
                    sources.insert(edge.spec.producer.clone(), (Arc::clone(edge), log));
                }
            }
            let inbox = InboxReader::open(&database)?;
            let work =
                DeferredWork::new(Arc::clone(deferred), consumer.runner(), inbox, sources, Arc::clone(&stop));
            let run = move |work: &mut DeferredWork, progress: &Progress| work.run(kind, progress);
            let thread = format!("{name}-{}", kind.name());
            this.threads.push(supervise::spawn(thread, &stop, work, run, DeferredWork::mend)?);
        }
        Ok(this)
    }

    /// Ends the threads, each when what it runs is done and committed. What is not taken yet is taken by the next that start.
    pub fn stop(mut self) {
        self.tell_to_stop();
        for thread in std::mem::take(&mut self.threads) {
            // Its panic stands in the log.
            let _ = thread.join();
        }
    }

    fn tell_to_stop(&self) {
        self.stop.store(true, Ordering::Release);
        for edge in &self.edges {
            edge.wake();
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
