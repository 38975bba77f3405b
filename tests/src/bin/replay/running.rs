//! The shop that runs, as all threads share it: where it listens now, whether it is being killed and started again, how far the work is, and
//! what went wrong first.
//!
//! Whoever waits does it here, woken by what it waits for, and ends with an error as soon as anything has failed anywhere.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bulkhead_tests::{Client, Host};
use bytes::Bytes;
use http::Method;
use tempfile::TempDir;

/// Without any progress for so long the run ends.
const NO_PROGRESS_MAX: Duration = Duration::from_secs(120);
/// How often it is looked at whether the host still runs and the work goes on.
const WATCH_INTERVAL: Duration = Duration::from_millis(200);
/// As many lines of what the host wrote are shown.
const SHOWN_LINES_MAX: usize = 60;

/// Where the shop's files are.
#[derive(Debug)]
pub(crate) struct Place {
    /// The manifest.
    pub(crate) manifest: PathBuf,
    /// The data folder.
    pub(crate) data: PathBuf,
    /// It goes with the last host that runs in it.
    pub(crate) folder: Arc<TempDir>,
}

impl Place {
    fn start(&self) -> Host {
        Host::start(&self.manifest, &self.data, &[], Arc::clone(&self.folder))
    }
}

/// The running shop.
#[derive(Debug)]
pub(crate) struct Running {
    place: Place,
    state: Mutex<State>,
    changed: Condvar,
    /// Steps of work that are done: it only ever grows.
    steps: AtomicU64,
    /// What the clients have met with.
    repeated: AtomicUsize,
    replayed: AtomicUsize,
    kills: AtomicUsize,
}

#[derive(Debug)]
struct State {
    /// None while it is killed and started again.
    host: Option<Host>,
    /// Grows whenever the address begins or ceases to hold.
    generation: u64,
    /// The first thing that went wrong.
    failure: Option<String>,
    /// The last thing that was waited for, or that had to be repeated.
    trouble: String,
    done: bool,
}

impl Running {
    /// Starts the host.
    pub(crate) fn start(place: Place) -> Running {
        let host = Some(place.start());
        let state = State { host, generation: 0, failure: None, trouble: String::new(), done: false };
        Running {
            place,
            state: Mutex::new(state),
            changed: Condvar::new(),
            steps: AtomicU64::new(0),
            repeated: AtomicUsize::new(0),
            replayed: AtomicUsize::new(0),
            kills: AtomicUsize::new(0),
        }
    }

    /// Where the shop's files are.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the shop listens, and the number of this address. Waits while it is being started again.
    ///
    /// # Errors
    /// The run has failed.
    pub(crate) fn address(&self) -> Result<(u64, SocketAddr)> {
        let mut state = self.state();
        loop {
            state.check()?;
            if let Some(host) = &state.host {
                return Ok((state.generation, host.address()));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Where the admin port listens.
    pub(crate) fn admin_address(&self) -> Result<SocketAddr> {
        let state = self.state();
        state.check()?;
        let host = state.host.as_ref().context("the host does not run")?;
        host.admin_address().context("the host did not print an address of an admin port")
    }

    /// Whether an address of this number still holds.
    pub(crate) fn holds(&self, generation: u64) -> bool {
        self.state().generation == generation
    }

    /// Waits for so long, or until the host was started again, or anything failed.
    ///
    /// # Errors
    /// The run has failed.
    pub(crate) fn pause(&self, pause: Duration) -> Result<()> {
        let state = self.state();
        let generation = state.generation;
        let waits = |state: &mut State| state.failure.is_none() && state.generation == generation;
        let (state, _) =
            self.changed.wait_timeout_while(state, pause, waits).unwrap_or_else(PoisonError::into_inner);
        state.check()
    }

    /// A step of work is done.
    pub(crate) fn advance(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// The steps that are done.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// A request has to be repeated, because of this.
    pub(crate) fn repeat(&self, because: String) {
        self.repeated.fetch_add(1, Ordering::Relaxed);
        self.trouble(because);
    }

    /// The host has given an answer again.
    pub(crate) fn replayed(&self) {
        self.replayed.fetch_add(1, Ordering::Relaxed);
    }

    /// Kills, repeated requests, and answers that were given again.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let of = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        (of(&self.kills), of(&self.repeated), of(&self.replayed))
    }

    /// Keeps what is waited for, to be shown where it never comes.
    pub(crate) fn trouble(&self, text: String) {
        self.state().trouble = text;
    }

    /// The run has failed: everybody who waits or asks is told. The first failure counts.
    pub(crate) fn fail(&self, text: String) {
        self.state().failure.get_or_insert(text);
        self.changed.notify_all();
    }

    /// # Errors
    /// The run has failed.
    pub(crate) fn check(&self) -> Result<()> {
        self.state().check()
    }

    /// Does a thread's work; where it fails or panics, the whole run has failed.
    pub(crate) fn guard(&self, work: impl FnOnce() -> Result<()>) {
        struct Panicking<'a>(&'a Running);
        impl Drop for Panicking<'_> {
            fn drop(&mut self) {
                if thread::panicking() {
                    self.0.fail("a thread of the replay panicked, see above".to_owned());
                }
            }
        }
        let _panicking = Panicking(self);
        if let Err(error) = work() {
            self.fail(format!("{error:#}"));
        }
    }

    /// Ends the host as a power cut would, and starts it again on the same data.
    pub(crate) fn kill_and_start(&self) {
        let host = {
            let mut state = self.state();
            state.generation += 1;
            state.host.take()
        };
        if let Some(host) = host {
            host.kill();
        }
        let host = self.place.start();
        let mut state = self.state();
        state.generation += 1;
        state.host = Some(host);
        drop(state);
        self.changed.notify_all();
        self.kills.fetch_add(1, Ordering::Relaxed);
    }

    /// Watches until the run is done: a host that ends by itself, and work that stands still, are failures.
    pub(crate) fn watch(&self) {
        let (mut steps, mut since) = (self.steps(), Instant::now());
        let mut state = self.state();
        while !state.done && state.failure.is_none() {
            if let Some(status) = state.host.as_mut().and_then(Host::ended) {
                state.failure = Some(format!("the host has ended by itself ({status})"));
            } else if self.steps() != steps {
                (steps, since) = (self.steps(), Instant::now());
            } else if since.elapsed() > NO_PROGRESS_MAX {
                let seconds = NO_PROGRESS_MAX.as_secs();
                state.failure = Some(format!(
                    "no progress for {seconds} s; waiting for this, among others: {}",
                    state.trouble
                ));
            }
            if state.failure.is_some() {
                self.changed.notify_all();
                return;
            }
            let waited = self.changed.wait_timeout(state, WATCH_INTERVAL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The run is done: nobody watches any more.
    pub(crate) fn done(&self) {
        self.state().done = true;
        self.changed.notify_all();
    }

    /// Stops the host, and fails where it does not end well.
    pub(crate) fn stop(&self) -> Result<()> {
        let host = self.state().host.take().context("the host does not run")?;
        host.terminate();
        let finished = host.wait();
        if finished.status.code() != Some(0) {
            bail!(
                "the host did not end well ({}); it wrote:\n{}",
                finished.status,
                last_lines(&finished.stderr)
            );
        }
        Ok(())
    }

    /// The end of what the host has written to standard error.
    pub(crate) fn stderr(&self) -> String {
        self.state().host.as_ref().map(|host| last_lines(&host.stderr())).unwrap_or_default()
    }

    /// `/metrics` of the admin port.
    pub(crate) fn metrics(&self) -> Result<String> {
        let mut client = Client::new(self.admin_address()?);
        let file = self.place.data.join("admin.token");
        let token =
            std::fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
        let authorization = format!("Bearer {}", token.trim());
        let headers = [("authorization", authorization.as_str())];
        let answer = client
            .try_send(Method::GET, "/metrics", &headers, Bytes::new())
            .map_err(|error| anyhow::anyhow!("the admin port gives no metrics: {error}"))?;
        if answer.status != 200 {
            bail!("{answer}");
        }
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }
}

impl State {
    fn check(&self) -> Result<()> {
        match &self.failure {
            Some(failure) => bail!("{failure}"),
            None => Ok(()),
        }
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(SHOWN_LINES_MAX);
    lines.get(from..).unwrap_or_default().join("\n")
}
