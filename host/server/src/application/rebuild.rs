//! Rebuilds a service that owns no data, from the event logs, while it serves.
//!
//! The rebuild has its own subscription workers, which fill a second database. When they have caught up, the old subscription workers stop
//! and the new ones consume the remaining events. Then the host replaces the file that names the database in use: that is the switch, also
//! for the next start. From then on the workers read the new database. Until the switch nothing in the old database changes, so a rebuild
//! that ends early, for whatever reason, leaves the service as it was.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bulkhead_manifest::ServiceSection;
use bulkhead_runtime::{Consumer, Deferred, Deliveries, SchedulerError, ServiceDatabase, Subscription};
use bulkhead_store::{Checkpointer, FileIdentity, ReplicaSpec, Settings, StatementError, StoreError};
use bulkhead_types::{Clock as _, Sequence, ServiceName, SystemClock, rfc3339};

use super::versions::HISTORY;
use super::{Application, ServiceEntry, after_commit, databases, files};
use crate::database_engine;

/// The longest time that a rebuild may run without consuming an event.
const STANDSTILL_MAX: Duration = Duration::from_secs(30);
/// The interval between two checks of the subscription workers' progress.
const LOOK: Duration = Duration::from_millis(5);

/// What a rebuild did.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Rebuilt {
    /// The service.
    pub service: ServiceName,
    /// Events that took effect.
    pub events: u64,
    /// Events that could not be consumed: parked events and dead letters.
    pub parked: u64,
    /// How long it took.
    pub milliseconds: u64,
}

/// Why a service is not rebuilt and serves as before. There is one exception: with [`RebuildError::DeliveryThreads`] it is rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// There is no such service.
    #[error("there is no service {0:?}")]
    Unknown(String),
    /// It owns data.
    #[error(
        "{0} can't be rebuilt: what it owns is in no log but its own; only a service that the manifest says is `rebuildable` can be"
    )]
    OwnsData(String),
    /// Another operation runs, and the rebuild would disturb it.
    #[error("a deploy, a reload, a check or another rebuild runs; wait for it to end")]
    Busy,
    /// The subscription workers make no progress.
    #[error("the events of {producer} were consumed up to number {applied} of {head}, and no further: {why}")]
    Standstill {
        /// The producer of the event log.
        producer: ServiceName,
        /// The last event that was consumed.
        applied: Sequence,
        /// The last event of the log.
        head: Sequence,
        /// Why, as far as it is known.
        why: String,
    },
    /// A database can't be created, read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The subscription workers that fill the second database can't be started.
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
    /// The service is rebuilt, and its own subscription workers could not be started again.
    #[error(
        "{service} is rebuilt and serves, and its subscription workers could not be started again: {error}; restart the host"
    )]
    DeliveryThreads {
        /// The service.
        service: ServiceName,
        /// Why not.
        error: Box<SchedulerError>,
    },
    /// The host could not count the events that were not consumed.
    #[error("count the events that could not be consumed: {0}")]
    Parked(StatementError),
    /// A file can't be written.
    #[error("write {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl Application {
    /// Rebuilds a service's database from the event logs. Blocks until it is done; the service serves meanwhile.
    ///
    /// # Errors
    ///
    /// See [`RebuildError`].
    pub fn rebuild(&self, name: &str) -> Result<Rebuilt, RebuildError> {
        let unknown = || RebuildError::Unknown(name.to_owned());
        let only = self.try_maintain();
        let manifest = self.manifest();
        let section = manifest.services.get(name).ok_or_else(unknown)?;
        let service_entry = self.service_entries.get(name).ok_or_else(unknown)?;
        if !section.rebuildable {
            return Err(RebuildError::OwnsData(name.to_owned()));
        }
        let _only = only.ok_or(RebuildError::Busy)?;
        let started = Instant::now();
        let base = manifest.data.join(section.database.as_deref().unwrap_or(Path::new("")));
        let before = databases::active(&base);
        let path = base.with_extension(format!("{}.db", SystemClock.now().as_millis()));
        let filled = Filling::start(self, section, service_entry, &path);
        let filling = match filled.and_then(|filling| filling.catch_up(self).map(|()| filling)) {
            Ok(filling) => filling,
            Err(error) => {
                databases::remove(&path);
                return Err(error);
            }
        };

        // From here on the old database consumes no more events. Only the events that came meanwhile are left. Nobody else replaces the
        // release.
        let _switching = self.switching();
        let stopped = self.stop_delivery_threads([name.into()].into());
        let switched = filling.catch_up(self).and_then(|()| {
            let (rebuilt, database) = filling.finish(name)?;
            // The active version is recorded in the database that serves, so the new one needs that record.
            if let Some(before) = self.database(name) {
                let mut activations = before.activations(HISTORY)?;
                activations.reverse();
                database.database.take_over_activations(&activations)?;
            }
            let pointed = point(&databases::pointer(&base), &path);
            match pointed {
                // The pointer was replaced, but it is unknown whether the change is on disk. So both databases stay until the next start,
                // which removes the one that the pointer does not name.
                Err(error) if databases::active(&base) == path => {
                    tracing::error!(service = name, %error, "a rebuild serves, and may be lost if the machine fails");
                    Ok((rebuilt, database, false))
                }
                pointed => pointed.map(|()| (rebuilt, database, true)),
            }
        });
        let switched = match switched {
            Ok((rebuilt, database, is_final)) => {
                service_entry.consumer.switch(service_entry.consumer.release().with_database(database));
                if let Ok(Some(checkpointer)) = self.checkpointer(service_entry)
                    && let Some((_, checkpoints)) =
                        &*self.running.lock().unwrap_or_else(PoisonError::into_inner)
                {
                    checkpoints.replace(name, checkpointer);
                }
                if is_final {
                    databases::remove(&before);
                }
                Ok(rebuilt)
            }
            Err(error) => {
                databases::remove(&path);
                Err(error)
            }
        };
        // They run on the new database, or on the old one again.
        let restarted = stopped.start_again();
        let rebuilt = switched?;
        restarted.map_err(|error| RebuildError::DeliveryThreads {
            service: name.into(),
            error: Box::new(error),
        })?;
        let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Rebuilt { milliseconds, ..rebuilt })
    }

    fn checkpointer(
        &self,
        service_entry: &ServiceEntry,
    ) -> Result<Option<Box<dyn Checkpointer>>, StoreError> {
        match service_entry.consumer.database() {
            Some(database) => database.database.checkpointer(),
            None => Err(StoreError::NoDatabase { service: service_entry.consumer.name().to_owned() }),
        }
    }
}

/// A database that is being filled, by subscription workers of its own.
struct Filling {
    consumer: Consumer,
    database: Arc<ServiceDatabase>,
    subscriptions: Vec<Arc<Subscription>>,
    deliveries: Deliveries,
}

impl Filling {
    fn start(
        application: &Application,
        section: &ServiceSection,
        service_entry: &ServiceEntry,
        path: &Path,
    ) -> Result<Self, RebuildError> {
        let settings = Settings { path: path.to_owned(), storage: section.spec.limits.storage };
        // Created for its owner alone, before the database is opened: the files beside it get the same mode.
        FileIdentity::of(path)?;
        let database = database_engine().open(settings, Arc::new(SystemClock))?;
        let manifest = application.manifest();
        let owners = application.databases();
        let find = |replica: &ReplicaSpec| {
            databases::owner(&manifest, replica, owners.get(&replica.owner), database.path())
        };
        databases::fill(&*database, section, &find)?;
        let release = service_entry.consumer.release();
        database.migrate(&release.component.migrations, &rfc3339(SystemClock.now()))?;
        let after = after_commit(Arc::clone(&service_entry.deferred), None);
        let database = Arc::new(ServiceDatabase::open(database, after)?);
        let consumer = service_entry.consumer.on(Arc::clone(&database));
        let subscriptions: Vec<Arc<Subscription>> = application
            .subscriptions_of(&section.spec.name)
            .iter()
            .map(|subscription| Arc::new(Subscription::new(subscription.spec.clone())))
            .collect();
        let deferred = Arc::new(Deferred::default());
        let open = |producer: &ServiceName| application.logs.open(producer);
        let deliveries = Deliveries::start(&consumer, &subscriptions, &deferred, &open)?;
        Ok(Self { consumer, database, subscriptions, deliveries })
    }

    /// Waits until the subscription workers have consumed all events that are in the logs now.
    fn catch_up(&self, application: &Application) -> Result<(), RebuildError> {
        for subscription in &self.subscriptions {
            let head = application.logs.head(&subscription.spec.producer).unwrap_or(Sequence::BEFORE_FIRST);
            subscription.wake_for(head);
            let (mut applied, mut moved) = (subscription.applied(), Instant::now());
            while subscription.applied() < head {
                std::thread::sleep(LOOK);
                if subscription.applied() > applied {
                    (applied, moved) = (subscription.applied(), Instant::now());
                }
                let stopped = subscription.stopped();
                if stopped.is_some() || moved.elapsed() > STANDSTILL_MAX {
                    return Err(RebuildError::Standstill {
                        producer: subscription.spec.producer.clone(),
                        applied,
                        head,
                        why: stopped.unwrap_or_else(|| "the log says why".to_owned()),
                    });
                }
            }
        }
        Ok(())
    }

    /// Ends the subscription workers, and returns the database.
    fn finish(self, name: &str) -> Result<(Rebuilt, Arc<ServiceDatabase>), RebuildError> {
        let Self { consumer, database, subscriptions, deliveries } = self;
        deliveries.stop();
        let delivered = |subscription: &Arc<Subscription>| {
            subscription.counts.delivered.load(std::sync::atomic::Ordering::Relaxed)
        };
        let events = subscriptions.iter().map(delivered).sum();
        let inbox = consumer.inbox()?;
        let mut parked = 0;
        for subscription in &subscriptions {
            let (waiting, dead) = inbox.counts(&subscription.spec.producer).map_err(RebuildError::Parked)?;
            parked += waiting + dead;
        }
        Ok((Rebuilt { service: name.into(), events, parked, milliseconds: 0 }, database))
    }
}

/// Makes the pointer file name another database, durably. The file is whole before and after.
fn point(pointer: &Path, path: &Path) -> Result<(), RebuildError> {
    let failed = |source| RebuildError::File { path: pointer.to_owned(), source };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files::replace(pointer, name.as_bytes()).map_err(failed)
}
