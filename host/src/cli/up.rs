//! `bulkhead up`.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context as _;
use bulkhead_manifest::address::refused;
use bulkhead_manifest::{AccessLog, Given, Manifest};
use bulkhead_server::admin::Admin;
use bulkhead_server::application::Application;
use bulkhead_server::http::{Listening, serve};
use bulkhead_server::tasks;
use bulkhead_server::telemetry::{self, one_line};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::ApplicationArgs;
use super::output::print;
use crate::watch::Watch;

/// Serves until it gets a stop signal.
pub(super) fn run(
    arguments: ApplicationArgs,
    watch: bool,
    access_log: Option<AccessLog>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("network")
        .build()
        .context("start the network threads")?;
    // First, before anything that takes time: without a handler, SIGHUP ends the process. A signal that comes meanwhile is handled
    // afterwards.
    let hangup = {
        let _entered = runtime.enter();
        signal(SignalKind::hangup()).context("listen for SIGHUP")?
    };
    let asked = arguments.admin.is_some();
    let manifest = arguments.read()?;
    let given = Given { access_log, ..manifest.given.clone() };
    let manifest = manifest.with(given);
    telemetry::set_access_log(manifest.access_log);
    let listener = listen(manifest.listen, "listen")?;
    let admin_listener = listen_for_operators(&manifest, asked)?;
    let application = Application::start(&manifest)
        .map_err(|error| anyhow::anyhow!("start the application {}:\n{error}", manifest.name))?;
    let application = Arc::new(application);
    let server = Listening::application(listener, &application);
    let admin = Admin::new(Arc::clone(&application))
        .and_then(|admin| admin.listening(admin_listener))
        .context("write the admin port's token and address into the data folder")?;
    let address = server.address().context("find the listener's address")?;
    let admin_address = admin.address().context("find the admin listener's address")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        announce(&format!("admin on http://{admin_address}"));
        announce(&format!("listening on http://{address}"));
        let admin = tasks::lasting("admin port", async move {
            let served = serve(admin, std::future::pending()).await;
            served.err().map_or_else(|| "it was asked to stop".to_owned(), |error| error.to_string())
        });
        let watching = if watch { Some(Watch::start(Arc::clone(&application))?) } else { None };
        let reloads = tasks::lasting("reload at SIGHUP", reload_at_hangups(hangup, Arc::clone(&application)));
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping: open requests are answered first");
        };
        let served = serve(server, stop).await.with_context(|| format!("serve on {address}"));
        admin.abort();
        reloads.abort();
        drop(watching);
        served
    })?;
    application.stop();
    // An operator's check or rebuild may still wait for a subscription worker. It would never end.
    runtime.shutdown_background();
    tracing::info!("stopped");
    Ok(())
}

/// Reloads the manifest at each SIGHUP. Returns why it no longer does.
async fn reload_at_hangups(mut hangup: Signal, application: Arc<Application>) -> String {
    while hangup.recv().await.is_some() {
        let application = Arc::clone(&application);
        // A signal that came while something else was running is handled afterwards.
        let reload = move || application.reload(&application.maintain());
        match tokio::task::spawn_blocking(reload).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::error!(error = one_line(&error), "SIGHUP: the manifest was not reloaded")
            }
            Err(error) => tracing::error!(%error, "SIGHUP: the host failed at the reload"),
        }
    }
    "the system tells of no more signals".to_owned()
}

fn listen(address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| {
        let (why, remedy) = refused(&error, address, option);
        anyhow::anyhow!("listen on {address}: {why}; {remedy}")
    })
}

/// The admin port. A port that the user named must be free. If another host uses the manifest's port, any other port is fine:
/// `bulkhead status` and similar commands find it in the data folder.
fn listen_for_operators(manifest: &Manifest, asked: bool) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(manifest.admin) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && !asked => {
            tracing::warn!(address = %manifest.admin, "the admin port is taken by another process; another one is used");
            listen(SocketAddr::new(manifest.admin.ip(), 0), "admin")
        }
        Ok(listener) => Ok(listener),
        Err(_) => listen(manifest.admin, "admin"),
    }
}

/// Tells the user that the host serves. Standard output has only these lines, and the last one means that the host accepts requests. If
/// standard output can't be written, the host serves all the same.
fn announce(line: &str) {
    if let Err(error) = print(&format!("{line}\n")) {
        tracing::warn!(line, error = format!("{error:#}"), "standard output can't be written to");
    }
}
