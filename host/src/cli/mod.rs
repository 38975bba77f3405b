//! The command line: a file for each verb.

mod build;
mod describe;
mod up;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::manifest::Manifest;
use crate::telemetry::{self, LogFormat};

/// Runs microservices as sandboxed WebAssembly components, each with its own SQLite database.
#[derive(Debug, Parser)]
#[command(name = "bulkhead", version)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    log: Log,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start the application and serve it until SIGTERM or Ctrl-C
    Up {
        #[command(flatten)]
        application: ApplicationArgs,
    },
    /// Print what the components say of themselves: routes, whom they answer, events
    Describe {
        #[command(flatten)]
        application: ApplicationArgs,
        /// All of it, with the schemas, as JSON
        #[arg(long)]
        json: bool,
    },
    /// Build the components of the services whose source is a crate
    Build {
        #[command(flatten)]
        manifest: ManifestArg,
        /// Only these services; all if none is named
        services: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct Log {
    /// How log lines on standard error look
    #[arg(long, global = true, value_enum, default_value = "text", env = "BULKHEAD_LOG_FORMAT")]
    log_format: LogFormat,
    /// Which log lines there are: a level, or for example `info,service=debug`
    #[arg(long, global = true, default_value = "info", env = "BULKHEAD_LOG")]
    log: String,
}

#[derive(Debug, Args)]
struct ManifestArg {
    /// The application's manifest
    #[arg(long, default_value = "bulkhead.toml", env = "BULKHEAD_MANIFEST")]
    manifest: PathBuf,
}

#[derive(Debug, Args)]
struct ApplicationArgs {
    #[command(flatten)]
    manifest: ManifestArg,
    /// The folder of the databases, in place of the manifest's
    #[arg(long, env = "BULKHEAD_DATA")]
    data: Option<PathBuf>,
    /// Where to listen, in place of the manifest's; with port 0 the system chooses one
    #[arg(long, env = "BULKHEAD_LISTEN")]
    listen: Option<SocketAddr>,
}

impl ApplicationArgs {
    fn read(self) -> anyhow::Result<Manifest> {
        let mut manifest = Manifest::read(&self.manifest.manifest)?;
        manifest.data = self.data.unwrap_or(manifest.data);
        manifest.listen = self.listen.unwrap_or(manifest.listen);
        Ok(manifest)
    }
}

/// Runs the command that the arguments say. Status 1 when it failed, 2 when the arguments are wrong.
pub fn run() -> ExitCode {
    let command = Command::parse();
    let result =
        telemetry::start(command.log.log_format, &command.log.log).and_then(|()| match command.verb {
            Verb::Up { application } => up::run(application),
            Verb::Describe { application, json } => describe::run(application, json),
            Verb::Build { manifest, services } => build::run(&manifest.manifest, &services),
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the reason for a failure goes to the one who called, whatever the log's format"
)]
fn report(error: &anyhow::Error) {
    eprintln!("error: failed to {error:#}");
}
