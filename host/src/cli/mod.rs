//! The command line: one file for each verb.

mod build;
mod check;
mod client;
mod dead_letters;
mod deploy;
mod describe;
mod doctor;
mod events;
mod manifest_arg;
mod new;
mod openapi;
mod output;
mod ownership;
mod problems;
mod reload;
mod replay;
mod status;
mod up;
mod versions;
mod words;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use bulkhead_manifest::{AccessLog, Given, Manifest};
use bulkhead_runtime::supervise;
use bulkhead_server::interface;
use bulkhead_server::telemetry::{self, LogFormat};
use clap::{Args, Parser, Subcommand};

use self::client::{HostArgs, Refusal};
use self::manifest_arg::ManifestArg;

/// Runs microservices as sandboxed WebAssembly components, each with its own database.
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
        /// Build and deploy a component when its source changes, and reload the manifest when that does
        #[arg(long)]
        watch: bool,
        /// Whether to log a line for each request, and in which format; overrides the manifest
        #[arg(long, value_parser = words::access_log(), env = "BULKHEAD_ACCESS_LOG")]
        access_log: Option<AccessLog>,
    },
    /// Create a service with a route, a table, a migration, an event and tests; and the application, if there is no manifest
    New {
        /// The name of the service and of its crate: lower-case letters, digits and hyphens
        name: String,
        #[command(flatten)]
        manifest: ManifestArg,
        /// The folder of Bulkhead's sources, which contain the guest SDK; default: those that the workspace uses, or else those that this command was built from
        #[arg(long, value_name = "DIR")]
        bulkhead: Option<PathBuf>,
    },
    /// Check what an application needs before it starts: toolchain, manifest, folders, ports, components, databases
    Doctor {
        #[command(flatten)]
        application: ApplicationArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print what the components describe: routes, who may call them, events
    Describe {
        #[command(flatten)]
        application: ApplicationArgs,
        /// Print all of it as JSON, with the schemas
        #[arg(long)]
        json: bool,
    },
    /// Print the OpenAPI document of the application, or of one of its services
    Openapi {
        #[command(flatten)]
        application: ApplicationArgs,
        /// The version of OpenAPI: 3.0 for tools that do not read 3.1
        #[arg(long, value_parser = words::openapi_version(), default_value = "3.1")]
        version: interface::Format,
        /// The service; default: all services in one document
        service: Option<String>,
    },
    /// Print in Markdown who owns which data, and who keeps which copies
    Ownership {
        #[command(flatten)]
        application: ApplicationArgs,
    },
    /// Print every problem code in Markdown: what it means, and what to do
    Problems {
        #[command(flatten)]
        application: ApplicationArgs,
    },
    /// Show the state of a running host: its services, and how far each has consumed the events of others
    Status {
        #[command(flatten)]
        host: HostArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List events of a service's event log, newest first
    Events {
        #[command(flatten)]
        host: HostArgs,
        #[command(flatten)]
        which: events::Which,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List, show, retry or drop events that a service could not consume
    DeadLetters {
        #[command(subcommand)]
        action: dead_letters::Action,
        #[command(flatten)]
        host: HostArgs,
        /// Print JSON
        #[arg(long, global = true)]
        json: bool,
    },
    /// Compare copies with their owners, references with what they refer to, and events with what was published
    Check {
        #[command(flatten)]
        host: HostArgs,
        /// Repair copies that differ from their owner's data
        #[arg(long)]
        repair: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Rebuild a service that owns nothing from the event logs, while it serves
    Replay {
        /// The service
        service: String,
        #[command(flatten)]
        host: HostArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Deploy another version of a service's component, while the host serves: try it, rehearse its migrations on a copy, and switch
    Deploy {
        /// The service
        service: String,
        /// The component, as `bulkhead build` makes it; default: that of the manifest's source
        file: Option<PathBuf>,
        #[command(flatten)]
        how: deploy::How,
        /// Swap even if this version is already active
        #[arg(long)]
        force: bool,
        /// Wait until the version has passed its probation; fail if it is rolled back
        #[arg(long, conflicts_with = "dry_run")]
        wait: bool,
        #[command(flatten)]
        host: HostArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List the versions of a service's component that were active, newest first
    Versions {
        /// The service
        service: String,
        #[command(flatten)]
        host: HostArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Roll back to the version that was active before, or to any other version that was active
    Rollback {
        /// The service
        service: String,
        /// The version, by the first digits of its hash; default: the one before the active one
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
        #[command(flatten)]
        how: deploy::How,
        #[command(flatten)]
        host: HostArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Reload the manifest of a running host: routes, limits, grants, config and replicas, all of it or nothing
    Reload {
        #[command(flatten)]
        host: HostArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Build the components of the services whose source is a crate
    Build {
        #[command(flatten)]
        manifest: ManifestArg,
        /// Only these services; default: all
        services: Vec<String>,
    },
}

#[derive(Debug, Args)]
struct Log {
    /// The format of log lines on standard error
    #[arg(long, global = true, value_parser = words::log_format(), default_value = "text", env = "BULKHEAD_LOG_FORMAT")]
    log_format: LogFormat,
    /// Which log lines to write: a level, or for example `info,service=debug`
    #[arg(long, global = true, default_value = "info", env = "BULKHEAD_LOG")]
    log: String,
}

#[derive(Debug, Args)]
struct ApplicationArgs {
    #[command(flatten)]
    manifest: ManifestArg,
    /// The folder of the databases; overrides the manifest
    #[arg(long, env = "BULKHEAD_DATA")]
    data: Option<PathBuf>,
    /// Where to listen; overrides the manifest; with port 0 the system chooses one
    #[arg(long, env = "BULKHEAD_LISTEN", value_parser = bulkhead_manifest::address::parse)]
    listen: Option<SocketAddr>,
    /// Where operators reach the host; overrides the manifest
    #[arg(long, env = "BULKHEAD_ADMIN", value_parser = bulkhead_manifest::address::parse)]
    admin: Option<SocketAddr>,
}

impl ApplicationArgs {
    fn read(self) -> anyhow::Result<Manifest> {
        let Self { manifest, data, listen, admin } = self;
        let manifest =
            Manifest::read(&manifest.manifest)?.with(Given { listen, admin, data, access_log: None });
        if !manifest.admin.ip().is_loopback() {
            anyhow::bail!(
                "serve operators on {}: it can be reached from other machines; give an address of this one, for example --admin 127.0.0.1:9090",
                manifest.admin
            );
        }
        // The manifest's own addresses were checked when it was read.
        if let Some(clash) = manifest.clash_of_addresses() {
            anyhow::bail!("serve clients and operators: {clash}");
        }
        Ok(manifest)
    }
}

/// The exit status of a command that panicked, the same as Rust's.
const PANICKED: u8 = 101;

/// Runs the command that the arguments name. The status is 1 if it failed, and 2 if the arguments are wrong.
pub(crate) fn run() -> ExitCode {
    let command = Command::parse();
    // Messages wait in a queue until they are written. They must not be lost with the process, however it ends.
    let mut result = None;
    let panicked = supervise::caught(|| result = Some(command.run()));
    if panicked.is_some() {
        telemetry::flush();
        return ExitCode::from(PANICKED);
    }
    if let Some(Err(error)) = result {
        telemetry::say(&match error.downcast_ref::<Refusal>() {
            // Nothing failed: the host refused, and gave the reason.
            Some(refusal) => format!("error: {refusal}"),
            None => format!("error: failed to {error:#}"),
        });
        telemetry::flush();
        return ExitCode::FAILURE;
    }
    telemetry::flush();
    ExitCode::SUCCESS
}

impl Command {
    fn run(self) -> anyhow::Result<()> {
        telemetry::start(self.log.log_format, &self.log.log)?;
        match self.verb {
            Verb::Up { application, watch, access_log } => up::run(application, watch, access_log),
            Verb::New { name, manifest, bulkhead } => new::run(name, manifest.manifest, bulkhead),
            Verb::Doctor { application, json } => doctor::run(application, json),
            Verb::Describe { application, json } => describe::run(application, json),
            Verb::Openapi { application, version, service } => {
                openapi::run(application, version, service.as_deref())
            }
            Verb::Ownership { application } => ownership::run(application),
            Verb::Problems { application } => problems::run(application),
            Verb::Status { host, json } => status::run(&host, json),
            Verb::Events { host, which, json } => events::run(&host, &which, json),
            Verb::DeadLetters { action, host, json } => dead_letters::run(&host, &action, json),
            Verb::Check { host, repair, json } => check::run(&host, repair, json),
            Verb::Replay { service, host, json } => replay::run(&host, &service, json),
            Verb::Deploy { service, file, how, force, wait, host, json } => {
                deploy::run(&host, &service, file, &how, &deploy::Then { force, wait, json })
            }
            Verb::Versions { service, host, json } => versions::run(&host, &service, json),
            Verb::Rollback { service, to, how, host, json } => {
                deploy::roll_back(&host, &service, to.as_deref(), &how, json)
            }
            Verb::Reload { host, json } => reload::run(&host, json),
            Verb::Build { manifest, services } => build::run(&manifest.manifest, &services),
        }
    }
}
