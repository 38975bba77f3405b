//! `bulkhead deploy` and `bulkhead rollback`.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bulkhead_build::freshness;
use bulkhead_manifest::Source;
use bulkhead_server::telemetry;
use bulkhead_types::ServiceName;
use bulkhead_types::limits::COMPONENT_BYTES_MAX;
use bytes::Bytes;
use clap::Args;
use http::Method;
use serde_json::Value;

use super::client::{HostArgs, escaped};
use super::output::{items, print, print_json, print_table};

/// How often to ask the host for its progress.
const LOOK: Duration = Duration::from_millis(100);

/// How it is to be done.
#[derive(Debug, Args)]
pub(super) struct How {
    /// Do everything except the switch: check the version, and rehearse its migrations
    #[arg(long)]
    dry_run: bool,
    /// Let requests wait for longer than half of their time while migrations run: some may fail
    #[arg(long)]
    allow_pause: bool,
    /// Who deploys it
    #[arg(long, env = "USER", default_value = "")]
    author: String,
    /// A note to record with the version
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

/// The other options of a deploy.
pub(super) struct Then {
    /// Deploy even if the version is already the active one.
    pub(super) force: bool,
    /// Wait for the end of the probation.
    pub(super) wait: bool,
    /// Print JSON.
    pub(super) json: bool,
}

pub(super) fn run(
    host: &HostArgs,
    service: &str,
    file: Option<PathBuf>,
    how: &How,
    then: &Then,
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
    let path = format!("/api/deploys/{}?force={}&{}", escaped(service), then.force, how.query());
    let mut answer = ask(host, &path, bytes.into())?;
    let is_on_probation = answer.get("probation_seconds").and_then(Value::as_u64).unwrap_or_default() > 0;
    if !then.json {
        print_report(&answer)?;
        if is_on_probation && !then.wait {
            print(&format!(
                "if too many of its handlers fail meanwhile it goes back by itself: `bulkhead versions {service}` tells; --wait waits for that\n"
            ))?;
        }
    }
    let ended = if then.wait { probation(host, service, &answer, is_on_probation)? } else { None };
    if then.json {
        if let (Some(members), Some(ended)) = (answer.as_object_mut(), &ended) {
            members.insert("probation".to_owned(), ended.clone());
        }
        print_json(&answer)?;
    }
    match ended {
        Some(ended) => passed(service, &answer, &ended, then.json),
        None => Ok(()),
    }
}

/// Waits for the end of a version's probation. The probation has `begun` with this deploy, or may run since an earlier deploy of the same
/// version. None if the version serves and is not on probation.
fn probation(host: &HostArgs, service: &str, deployed: &Value, begun: bool) -> anyhow::Result<Option<Value>> {
    let path = format!("/api/probations/{}", escaped(service));
    let mut was_running = begun;
    loop {
        let report = host.ask(Method::GET, &path).with_context(|| {
            format!("follow the probation of {service}: `bulkhead versions {service}` tells what serves")
        })?;
        let is_same = report.get("version") == deployed.get("version");
        if !is_same || report.get("state").and_then(Value::as_str) != Some("running") {
            // It was serving when the deploy was answered.
            let is_gone = report.get("serves") != deployed.get("version");
            return Ok((was_running || is_gone).then_some(report));
        }
        was_running = true;
        thread::sleep(LOOK);
    }
}

/// Reports how a probation ended. Fails if the version does not serve, or serves although it failed.
fn passed(service: &str, deployed: &Value, ended: &Value, json: bool) -> anyhow::Result<()> {
    let text = |member| ended.get(member).and_then(Value::as_str).unwrap_or_default();
    let version = deployed.get("version").and_then(Value::as_str).unwrap_or_default();
    let is_same = text("version") == version;
    let (serves, reason) = (text("serves"), text("reason"));
    let tell = |text: &str| if json { Ok(()) } else { print(&format!("{service}@{version} {text}\n")) };
    match text("state") {
        "passed" if is_same => {
            let handlers = ended.get("handlers").and_then(Value::as_u64).unwrap_or_default();
            tell(&format!("passed its probation: {handlers} handlers ended in it"))
        }
        "ended" if is_same => tell(
            "serves, and nobody watches it any more: its settings were changed before its probation was over",
        ),
        "none" if serves == version => tell(
            "serves, and nobody watches it any more: the host was restarted before its probation was over",
        ),
        "failed" if is_same => {
            bail!("keep {service}@{version}: it failed its probation, and {serves} serves again: {reason}")
        }
        "stuck" if is_same => bail!("go back from {service}@{version}, which serves on: {reason}"),
        _ => bail!("keep {service}@{version}: {serves} took its place before its probation ended"),
    }
}

/// The component file of a service, according to the manifest.
fn component_of(host: &HostArgs, service: &str) -> anyhow::Result<PathBuf> {
    let manifest = host.manifest()?;
    match manifest.services.get(service) {
        Some(entry) => {
            let component = entry.source.component(service);
            // Without a file the user means the current sources.
            if let Source::Crate(folder) = &entry.source
                && let Some(why) = freshness(folder, &component).why_not()
            {
                bail!(
                    "deploy {service}: {} {why}; build it with `bulkhead build {service}`, or name the file to deploy it as it is",
                    component.display()
                );
            }
            Ok(component)
        }
        None => {
            let names = manifest.services.keys().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
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
    let answer = ask(host, &path, Bytes::new())?;
    if json { print_json(&answer) } else { print_report(&answer) }
}

/// Sends the request to the host. If standard error is a terminal, reports each step as it ends.
fn ask(host: &HostArgs, path: &str, body: Bytes) -> anyhow::Result<Value> {
    let before = host.ask(Method::GET, "/api/deploys")?;
    let (ended, until) = channel();
    let watched = std::io::stderr().is_terminal();
    thread::scope(|scope| {
        let asking = scope.spawn(move || {
            let answer = host.ask_with(Method::POST, path, body);
            let _ = ended.send(());
            answer
        });
        let (mut reported, mut ended) = (0, !watched);
        while !ended {
            ended = until.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout);
            tell(host, &before, &mut reported);
        }
        asking.join().unwrap_or_else(|_| bail!("ask the host"))
    })
}

/// Reports the steps that ended since the last call.
fn tell(host: &HostArgs, before: &Value, reported: &mut usize) {
    let Ok(progress) = host.ask(Method::GET, "/api/deploys") else { return };
    if progress.get("number") == before.get("number") {
        return;
    }
    for step in items(&progress, "steps").iter().skip(*reported) {
        telemetry::say(&step_line(step));
        *reported += 1;
    }
}

fn step_line(step: &Value) -> String {
    let text = |member| step.get(member).and_then(Value::as_str).unwrap_or_default();
    let time = step.get("milliseconds").and_then(Value::as_f64).unwrap_or_default();
    format!("  {:<10}{time:>9.1} ms  {}", text("step"), text("detail")).trim_end().to_owned()
}

fn print_report(answer: &Value) -> anyhow::Result<()> {
    // Reported steps go through a queue to standard error. They must appear before the result.
    telemetry::flush();
    // On a terminal they were reported as they ended.
    let with_steps = !std::io::stderr().is_terminal();
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
    for warning in items(answer, "warnings").iter().filter_map(Value::as_str) {
        print(&format!("warning: {warning}\n"))?;
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
