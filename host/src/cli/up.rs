//! `bulkhead up`.

use std::net::TcpListener;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::ApplicationArgs;
use crate::application::Application;
use crate::http::{Server, serve};
use crate::manifest::Manifest;

/// Serves until told to stop.
pub(super) fn run(arguments: ApplicationArgs) -> anyhow::Result<()> {
    let manifest = arguments.read()?;
    let listener = listen(&manifest)?;
    let application = Application::start(&manifest)
        .map_err(|error| anyhow::anyhow!("start the application {}:\n{error}", manifest.name))?;
    let server = Server::new(listener, &application);
    let address = server.address().context("find the listener's address")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("network")
        .build()
        .context("start the network threads")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        announce(&format!("listening on http://{address}"));
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping: open requests are answered first");
        };
        serve(server, stop).await.with_context(|| format!("serve on {address}"))
    })?;
    application.stop();
    tracing::info!("stopped");
    Ok(())
}

fn listen(manifest: &Manifest) -> anyhow::Result<TcpListener> {
    TcpListener::bind(manifest.listen).with_context(|| {
        format!(
            "listen on {}: is another process there? Stop it, or choose another address with --listen or application.listen",
            manifest.listen
        )
    })
}

/// Tells the one who started the host that it serves: standard output has this line alone.
#[expect(clippy::print_stdout, reason = "the line is for whoever started the host, and is no log line")]
fn announce(line: &str) {
    println!("{line}");
}
