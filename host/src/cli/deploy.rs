//! `bulkhead deploy` and `bulkhead rollback`.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bulkhead_build::{Freshness, freshness};
use bulkhead_types::limits::COMPONENT_BYTES_MAX;
use bytes::Bytes;
use clap::Args;
use http::Method;
use serde_json::Value;

use super::client::{HostArgs, escaped};
use super::output::{items, print, print_json, print_table};
use crate::manifest::Source;
use crate::telemetry;

/// How often the host is asked how far it is.
const LOOK: Duration = Duration::from_millis(100);

/// How it is to be done.
#[derive(Debug, Args)]
pub(super) struct How {
    /// Do all but the switch: what would be refused is, and migrations are rehearsed
    #[arg(long)]
    dry_run: bool,
    /// Let requests wait for longer than half of their time while migrations run: some may fail
    #[arg(long)]
    allow_pause: bool,
    /// Who does it
    #[arg(long, env = "USER", default_value = "")]
    author: String,
    /// What is to stand beside the version
    #[arg(long, default_value = "")]
    note: String,
}

impl How {
    fn query(&self) -> String {
        let Self { dry_run, allow_pause, author, note } = self;
        let (author, note) = (escaped(author), escaped(note));
        format!("dry_run={dry_run}&allow_pause={allow_pause}&author={author}&note={note}")
    }
}

pub(super) fn run(
    host: &HostArgs,
    service: &str,
    file: Option<PathBuf>,
    how: &How,
    force: bool,
    json: bool,
) -> anyhow::Result<()> {
    let file = file.map_or_else(|| component_of(host, service), Ok)?;
    let reading = || format!("read the component {}", file.display());
    let size = std::fs::metadata(&file).with_context(reading)?.len();
    if size > COMPONENT_BYTES_MAX as u64 {
        bail!(
            "deploy {}: it has {} MiB, and a component has at most {} MiB: is it the right file?",
            file.display(),
            size >> 20,
            COMPONENT_BYTES_MAX >> 20
        );
    }
    let bytes = std::fs::read(&file).with_context(reading)?;
    let path = format!("/api/deploys/{}?force={force}&{}", escaped(service), how.query());
    ask(host, &path, bytes.into(), json)
}

/// Where the manifest has a service's component come from.
fn component_of(host: &HostArgs, service: &str) -> anyhow::Result<PathBuf> {
    let manifest = host.manifest()?;
    match manifest.services.get(service) {
        Some(entry) => {
            let component = entry.source.component(service);
            // Who names no file means what the sources say now.
            if let Source::Crate(folder) = &entry.source
                && let Freshness::Stale(newer) = freshness(folder, &component)
            {
                bail!(
                    "deploy {service}: {} is older than {}; build it with `bulkhead build {service}`, or name the file to deploy it as it is",
                    component.display(),
                    newer.display()
                );
            }
            Ok(component)
        }
        None => {
            let names = manifest.services.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            bail!("deploy {service}: {} has no such service; it has {names}", manifest.path.display());
        }
    }
}

pub(super) fn roll_back(
    host: &HostArgs,
    service: &str,
    to: Option<&str>,
    how: &How,
    json: bool,
) -> anyhow::Result<()> {
    let to = to.map(|to| format!("to={}&", escaped(to))).unwrap_or_default();
    let path = format!("/api/rollbacks/{}?{to}{}", escaped(service), how.query());
    ask(host, &path, Bytes::new(), json)
}

/// Has the host do it, and tells of each step as it ends where somebody looks.
fn ask(host: &HostArgs, path: &str, body: Bytes, json: bool) -> anyhow::Result<()> {
    let before = host.ask(Method::GET, "/api/deploys")?;
    let (ended, until) = channel();
    let watched = std::io::stderr().is_terminal();
    let answer = thread::scope(|scope| {
        let asking = scope.spawn(move || {
            let answer = host.ask_with(Method::POST, path, body);
            let _ = ended.send(());
            answer
        });
        let (mut told, mut ended) = (0, !watched);
        while !ended {
            ended = until.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout);
            tell(host, &before, &mut told);
        }
        asking.join().unwrap_or_else(|_| bail!("ask the host"))
    })?;
    if json {
        return print_json(&answer);
    }
    print_report(&answer, !watched)
}

/// Tells of the steps that ended since.
fn tell(host: &HostArgs, before: &Value, told: &mut usize) {
    let Ok(progress) = host.ask(Method::GET, "/api/deploys") else { return };
    if progress.get("number") == before.get("number") {
        return;
    }
    for step in items(&progress, "steps").iter().skip(*told) {
        telemetry::say(&step_line(step));
        *told += 1;
    }
}

fn step_line(step: &Value) -> String {
    let text = |member| step.get(member).and_then(Value::as_str).unwrap_or_default();
    let time = step.get("milliseconds").and_then(Value::as_f64).unwrap_or_default();
    format!("  {:<10}{time:>9.1} ms  {}", text("step"), text("detail")).trim_end().to_owned()
}

fn print_report(answer: &Value, with_steps: bool) -> anyhow::Result<()> {
    let text = |member| answer.get(member).and_then(Value::as_str).unwrap_or_default();
    let number = |member| answer.get(member).and_then(Value::as_f64);
    let (service, version, before) = (text("service"), text("version"), text("before"));
    for step in items(answer, "steps").iter().filter(|_| with_steps) {
        print(&format!("{}\n", step_line(step)))?;
    }
    let migrations = items(answer, "migrations");
    if !migrations.is_empty() {
        let columns =
            [("MIGRATION", "version"), ("NAME", "name"), ("UNDONE", "undone"), ("MS", "milliseconds")];
        print("\n")?;
        print_table(migrations, &columns, "")?;
        print("\n")?;
        print_table(
            items(answer, "tables"),
            &[("TABLE", "table"), ("ROWS BEFORE", "before"), ("AFTER", "after")],
            "it has no tables",
        )?;
        print("\n")?;
    }
    let total = number("milliseconds").unwrap_or_default();
    print(&match text("outcome") {
        "unchanged" => format!("{service}@{version} is the active version already: nothing was done\n"),
        "tried" => {
            format!(
                "{service}@{version} could be deployed ({total:.1} ms); {before} serves on: it was a dry run\n"
            )
        }
        _ => {
            let pause = match number("pause_milliseconds") {
                Some(pause) => format!("; requests waited for {pause:.1} ms"),
                None => String::new(),
            };
            let probation = match number("probation_seconds").unwrap_or_default() {
                seconds if seconds > 0.0 => format!("; on probation for {seconds} s"),
                _ => String::new(),
            };
            format!("{service}@{version} serves, after {before} ({total:.1} ms{pause}{probation})\n")
        }
    })
}
