//! The argument that names the application.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(super) struct ManifestArg {
    /// The application's manifest
    #[arg(long, global = true, default_value = "bulkhead.toml", env = "BULKHEAD_MANIFEST")]
    pub(super) manifest: PathBuf,
}
