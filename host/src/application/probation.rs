//! A new version that fails in its first seconds goes back by itself.

use std::sync::{Arc, Weak};

use bulkhead_runtime::{Component, Probation, Version};
use bulkhead_store::How;
use bulkhead_types::limits::PROBATION;

use super::{Application, DeployOptions};

/// Who goes back.
const AUTHOR: &str = "the host";

/// The probation of a version that begins to serve now.
pub(super) fn of(application: &Arc<Application>, name: &str, component: &Component) -> Arc<Probation> {
    let (weak, name) = (Arc::downgrade(application), name.to_owned());
    let version = component.version.clone();
    let failed = move |why: String| {
        tracing::error!(service = name, %version, why, "a version fails its probation");
        // A worker tells of it: it is not to wait for a deploy.
        let spawned = std::thread::Builder::new()
            .name(format!("{name}-return"))
            .spawn(move || go_back(&weak, &name, &version, &why));
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread to go back on");
        }
    };
    Arc::new(Probation::new(PROBATION, Box::new(failed)))
}

fn go_back(application: &Weak<Application>, name: &str, version: &Version, why: &str) {
    let Some(application) = application.upgrade() else { return };
    let _only = application.maintain();
    // Somebody may have been quicker.
    let serves =
        application.consumers().get(name).map(|consumer| consumer.release().component.version.clone());
    if serves.as_ref() != Some(version) {
        return;
    }
    let options = DeployOptions {
        author: AUTHOR.to_owned(),
        note: format!("{version} failed its probation: {why}"),
        ..DeployOptions::default()
    };
    match application.go_to(name, None, How::Return, &options) {
        Ok(deployed) => tracing::error!(
            service = name,
            failed = %version,
            serves = deployed.version,
            why,
            "the version failed its probation, and the one before it serves again"
        ),
        Err(error) => {
            tracing::error!(service = name, %version, %error, "the version fails, and the one before it can't serve");
        }
    }
}
