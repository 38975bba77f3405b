//! The report of a deploy: its steps as they end, and its result.

use std::time::{Duration, Instant};

use bulkhead_types::ServiceName;
use serde::Serialize;

/// The result of a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeployOutcome {
    /// The version serves.
    Deployed,
    /// It was already the active version, and nothing was done.
    Unchanged,
    /// Everything was tried, but the switch was not made.
    Tried,
}

/// A step that ended.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// Its name.
    pub step: &'static str,
    /// How long it took.
    pub milliseconds: f64,
    /// Details; empty if there are none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// A migration that was rehearsed.
#[derive(Debug, Clone, Serialize)]
pub struct MigrationReport {
    /// Its number.
    pub version: u32,
    /// Its name.
    pub name: String,
    /// Whether the switch undoes this step (a rollback) instead of applying it.
    pub undone: bool,
    /// Whether it has reverse SQL.
    pub reversible: bool,
    /// How long its statements ran.
    pub milliseconds: f64,
}

/// A table that the migrations created or removed, or whose number of rows they changed.
#[derive(Debug, Clone, Serialize)]
pub struct TableReport {
    /// Its name.
    pub table: String,
    /// Its rows before; none if the table did not exist.
    pub before: Option<u64>,
    /// Its rows after; none if the table does not exist.
    pub after: Option<u64>,
}

/// A deploy that was not refused.
#[derive(Debug, Clone, Serialize)]
pub struct Deployed {
    /// The service.
    pub service: ServiceName,
    /// The result.
    pub outcome: DeployOutcome,
    /// The version, as `Bulkhead-Version` shows it.
    pub version: String,
    /// Its SHA-256.
    pub sha256: String,
    /// The version that was active before.
    pub before: String,
    /// The steps that were done, and how long each took.
    pub steps: Vec<StepReport>,
    /// The migrations of the rehearsal.
    pub migrations: Vec<MigrationReport>,
    /// The tables, with how many rows they have before and after the migrations.
    pub tables: Vec<TableReport>,
    /// Facts to know that are no reason to refuse the version.
    pub warnings: Vec<String>,
    /// How long requests waited for the switch; none if no request had to wait.
    pub pause_milliseconds: Option<f64>,
    /// From the call until it served.
    pub milliseconds: f64,
    /// The length of its probation in seconds; 0 for no probation.
    pub probation_seconds: u64,
}

/// The progress of a deploy.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Progress {
    /// Increased with each deploy since the host started.
    pub number: u64,
    /// The service.
    pub service: ServiceName,
    /// The steps that ended.
    pub steps: Vec<StepReport>,
    /// The running step; none when the deploy has ended.
    pub running: Option<&'static str>,
}

pub(super) fn milliseconds(time: Duration) -> f64 {
    // Nobody needs more precision than microseconds.
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Measures the time of a step, from now on.
pub(super) struct Stopwatch {
    pub(super) step: &'static str,
    started: Instant,
}

impl Stopwatch {
    pub(super) fn start(step: &'static str) -> Self {
        Self { step, started: Instant::now() }
    }

    pub(super) fn stop(&self, detail: String) -> StepReport {
        StepReport { step: self.step, milliseconds: milliseconds(self.started.elapsed()), detail }
    }
}
