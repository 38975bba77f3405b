//! Runs one service of the manifest, alone.

use crate::application::Builder;
use crate::component::manifest;
use crate::service::Service;

impl Service {
    /// Runs one service of the manifest, alone. Its database is new, and the clock stands at the beginning of 2026. The test delivers the
    /// events that it consumes from other services.
    ///
    /// # Panics
    ///
    /// When the manifest has no such service, or its component can't be built or loaded.
    #[must_use]
    #[track_caller]
    pub fn start(name: &str) -> Self {
        Self::with(name).start().service(name)
    }

    /// The same with stand-ins for other services, other settings or another seed.
    #[track_caller]
    pub fn with(name: &str) -> Builder {
        Builder::new(manifest(), vec![name.to_owned().into()])
    }
}
