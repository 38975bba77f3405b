//! What a deploy tells: its steps as they end, and what came of it.

use std::time::{Duration, Instant};

use serde::Serialize;

/// What came of a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The version serves.
    Deployed,
    /// It was the active one already, and nothing was done.
    Unchanged,
    /// All was tried but the switch.
    Tried,
}

/// A step that ended.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// Its name.
    pub step: &'static str,
    /// How long it took.
    pub milliseconds: f64,
    /// What there is to say of it; empty for nothing.
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
    /// Whether it is undone, and not applied.
    pub undone: bool,
    /// Whether it has what undoes it.
    pub reversible: bool,
    /// How long its statements ran.
    pub milliseconds: f64,
}

/// A table whose rows the migrations made more or fewer, or that came or went.
#[derive(Debug, Clone, Serialize)]
pub struct TableReport {
    /// Its name.
    pub table: String,
    /// How many rows it had; none where there was no such table.
    pub before: Option<u64>,
    /// How many it has; none where there is no such table.
    pub after: Option<u64>,
}

/// A deploy that was not refused.
#[derive(Debug, Clone, Serialize)]
pub struct Deployed {
    /// The service.
    pub service: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The version, as `Bulkhead-Version` shows it.
    pub version: String,
    /// Its SHA-256.
    pub sha256: String,
    /// The version that was active before.
    pub before: String,
    /// What was done, and how long it took.
    pub steps: Vec<StepReport>,
    /// The migrations of the rehearsal.
    pub migrations: Vec<MigrationReport>,
    /// The tables, with how many rows they have before and after the migrations.
    pub tables: Vec<TableReport>,
    /// What is no reason to refuse it, and is to be known.
    pub warnings: Vec<String>,
    /// How long requests waited for the switch; none where nobody had to.
    pub pause_milliseconds: Option<f64>,
    /// From the call until it served.
    pub milliseconds: f64,
    /// For how many seconds it is on probation; 0 for not at all.
    pub probation_seconds: u64,
}

/// How far a deploy is.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Progress {
    /// Raised with each deploy since the host started.
    pub number: u64,
    /// The service.
    pub service: String,
    /// The steps that ended.
    pub steps: Vec<StepReport>,
    /// The step that runs; none when the deploy has ended.
    pub running: Option<&'static str>,
}

pub(super) fn milliseconds(time: Duration) -> f64 {
    // Microseconds are as much as anybody wants to read.
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// The time of a step, from now on.
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
