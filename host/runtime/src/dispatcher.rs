//! The dispatcher: a lane for each edge, and for each service a thread for its timers and parked events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use bulkhead_store::{Database, InboxReader, StoreError};

use crate::consumer::Consumer;
use crate::deferred::{Deferred, DeferredWork};
use crate::edge::Edge;
use crate::event_log::{Bell, EmbeddedLog, EventLog};
use crate::lane::Lane;

/// The logs of an application, by the service that writes them.
pub type Logs = BTreeMap<String, (Arc<Database>, Arc<Bell>)>;

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
    /// Starts the lanes of `edges`, which all lead to `consumer`, and the thread for its timers and parked events.
    ///
    /// # Errors
    ///
    /// See [`DispatchError`].
    pub fn start(
        consumer: &Consumer,
        edges: &[Arc<Edge>],
        deferred: &Arc<Deferred>,
        logs: &Logs,
    ) -> Result<Self, DispatchError> {
        let stop = Arc::new(AtomicBool::new(false));
        let name = consumer.name();
        let database =
            consumer.database().ok_or_else(|| DispatchError::NoDatabase(name.to_owned()))?.database.clone();
        let open = |edge: &Edge| -> Result<Option<Box<dyn EventLog>>, StoreError> {
            let Some((producer, bell)) = logs.get(&edge.spec.producer) else { return Ok(None) };
            Ok(Some(Box::new(EmbeddedLog::open(producer, bell)?)))
        };
        let mut this = Self {
            stop: Arc::clone(&stop),
            edges: edges.to_vec(),
            deferred: Arc::clone(deferred),
            threads: Vec::new(),
        };
        let mut sources = BTreeMap::new();
        for edge in edges {
            let (Some(log), Some(second)) = (open(edge)?, open(edge)?) else { continue };
            sources.insert(edge.spec.producer.clone(), (Arc::clone(edge), second));
            let lane = Lane::new(
                Arc::clone(edge),
                log,
                consumer.runner(),
                InboxReader::open(&database)?,
                Arc::clone(deferred),
                Arc::clone(&stop),
            );
            let thread = thread::Builder::new().name(format!("{}-{name}", edge.spec.producer));
            this.threads.push(thread.spawn(move || lane.run())?);
        }
        let work = DeferredWork::new(
            Arc::clone(deferred),
            consumer.runner(),
            InboxReader::open(&database)?,
            sources,
            Arc::clone(&stop),
        );
        let thread = thread::Builder::new().name(format!("{name}-timers"));
        this.threads.push(thread.spawn(move || work.run())?);
        Ok(this)
    }

    /// Ends the threads, each when what it runs is done and committed. What is not taken yet is taken by the next that start.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        for edge in &self.edges {
            edge.wake();
        }
        self.deferred.wake();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a lane had panicked");
            }
        }
    }
}

/// Has the lane of an edge be woken when its producer's log grows. To be called once.
pub fn follow(edge: &Edge, logs: &Logs) {
    if let Some((_, bell)) = logs.get(&edge.spec.producer) {
        bell.follow(edge.waker());
    }
}
