//! What a service is at one time: its code, its settings and its database, in one value.
//!
//! A deploy, a reload and a rebuild each replace the current release with another one. A handler runs on one release from its beginning to
//! its end, so no answer mixes the code of one release with the settings or the schema of another.

use std::sync::Arc;

use bulkhead_types::{Current, ServiceName};

use crate::component::Component;
use crate::database::ServiceDatabase;
use crate::gate::Gate;
use crate::host_context::HostContext;
use crate::member::AbortCount;
use crate::observer::Observed;
use crate::probation::Probation;
use crate::queues::Queues;
use crate::spec::ServiceSpec;

/// A release. It never changes.
pub struct Release {
    /// The code.
    pub component: Arc<Component>,
    /// What the manifest says about the service.
    pub spec: Arc<ServiceSpec>,
    /// The database, if the manifest gives the service one.
    pub database: Option<Arc<ServiceDatabase>>,
    /// Is notified of how its handlers end, while it is new.
    pub probation: Option<Arc<Probation>>,
}

impl Release {
    /// Makes queues let requests in as this release says.
    pub(crate) fn let_in(&self, queues: &Queues) {
        queues.follow(&self.spec, Arc::clone(&self.component.info.described));
    }

    /// The same on another database.
    #[must_use]
    pub fn with_database(&self, database: Arc<ServiceDatabase>) -> Self {
        Self {
            component: Arc::clone(&self.component),
            spec: Arc::clone(&self.spec),
            database: Some(database),
            probation: self.probation.clone(),
        }
    }
}

/// What the threads of a service share.
pub(crate) struct ServiceContext {
    pub(crate) name: ServiceName,
    pub(crate) release: Current<Release>,
    pub(crate) gate: Arc<Gate>,
    pub(crate) host_context: Arc<HostContext>,
    pub(crate) observed: Observed,
    pub(crate) aborts: Arc<AbortCount>,
}

impl ServiceContext {
    pub(crate) fn new(release: Release, host_context: Arc<HostContext>) -> Arc<Self> {
        Arc::new(Self {
            observed: host_context.observers.of(&release.spec.name),
            name: release.spec.name.clone(),
            release: Current::new(release),
            gate: Arc::default(),
            host_context,
            aborts: Arc::default(),
        })
    }
}
