//! Converts the text into the manifest, entry by entry.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use bulkhead_runtime::{Grants, InstancePolicy, Limits, ServiceSpec, normal_path};
use bulkhead_types::{ServiceName, limits};
use toml::de::DeTable;

use super::data::{read_entities, read_replicas};
use super::host_paths::{HEALTH_ALIASES, HOST_PATHS, is_page};
use super::report::Report;
use super::section::Section;
use super::{AccessLog, Auth, Given, Lines, Manifest, Mistake, ServiceSection, Source};

/// Where the host listens by default.
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
/// Where operators reach the host by default.
const ADMIN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9090);
/// The default data folder, beside the manifest.
const DATA_DEFAULT: &str = "data";
/// The default version of the interface.
const VERSION_DEFAULT: semver::Version = semver::Version::new(0, 1, 0);
/// The maximum room of a queue.
const QUEUE_MAX: usize = 1_000_000;
/// The maximum for the size limit of a body.
const BODY_MAX: u64 = 64 * 1024 * 1024;

/// Reads as much as possible. `None` if too little of it is valid.
pub(super) fn read(path: &Path, text: &str) -> (Option<Manifest>, Vec<Mistake>) {
    let mut report = Report::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        report.add(&error.span().unwrap_or(0..0), format!("this is not TOML: {}", error.message()));
    }
    if !report.mistakes.is_empty() {
        return (None, report.mistakes);
    }
    // Messages show names relative to the current folder, as the manifest gives them: `components/note`, and not `./components/note`.
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut top = Section::new("", document.span(), document.get_ref());

    let application = top.table("application", &mut report);
    if application.is_none() && !document.get_ref().contains_key("application") {
        report.add(&(0..0), "there is no [application]; add it with name = \"…\"".to_owned());
    }
    let mut manifest = Manifest {
        path: path.to_owned(),
        name: String::new(),
        version: VERSION_DEFAULT,
        listen: LISTEN_DEFAULT,
        admin: ADMIN_DEFAULT,
        data: folder.join(DATA_DEFAULT),
        access_log: None,
        auth: None,
        lines: Lines::default(),
        services: BTreeMap::new(),
        given: Given::default(),
    };
    if let Some(application) = application {
        read_application(application, &folder, &mut manifest, &mut report);
    }
    match top.table("service", &mut report) {
        Some(services) => {
            for (name, entry) in services.entries() {
                let name = ServiceName::from(name);
                check_name(&name, &entry.span, &mut report);
                if let Some(section) = entry.table(&mut report)
                    && let Some(service) =
                        read_service(name.clone(), section, &folder, &manifest.data, &mut report)
                {
                    manifest.services.insert(name, service);
                }
            }
        }
        None => report.add(&(0..0), "there is no service; add [service.NAME] with its source".to_owned()),
    }
    for (name, entry) in top.entries() {
        if name != "application" && name != "service" {
            report.add(
                &entry.span,
                format!("[{name}] is not known; there are [application] and [service.NAME]"),
            );
        }
    }
    (Some(manifest), report.mistakes)
}

fn read_application(
    mut section: Section<'_, '_>,
    folder: &Path,
    manifest: &mut Manifest,
    report: &mut Report<'_>,
) {
    manifest.lines = section.lines(report);
    if let Some((name, _)) = section.required_string("name", "name = \"shop\"", report) {
        manifest.name = name.to_owned();
    }
    if let Some((text, span)) = section.string("version", report) {
        manifest.version = semver::Version::parse(text).unwrap_or_else(|error| {
            let message = format!(
                "application.version: {text:?} is not a semantic version ({error}); write for example \"{VERSION_DEFAULT}\""
            );
            report.add(&span, message);
            VERSION_DEFAULT
        });
    }
    manifest.listen = read_address(&mut section, "listen", LISTEN_DEFAULT, report);
    manifest.admin = read_address(&mut section, "admin", ADMIN_DEFAULT, report);
    if let Some((data, _)) = section.string("data", report) {
        manifest.data = folder.join(data);
    }
    if let Some((word, span)) = section.string("access_log", report) {
        manifest.access_log = AccessLog::ALL.into_iter().find(|format| format.word() == word);
        if manifest.access_log.is_none() {
            let words = AccessLog::ALL.map(|format| format!("{:?}", format.word())).join(", ");
            report.add(&span, format!("application.access_log is one of {words}, and not {word:?}"));
        }
    }
    if let Some(auth) = section.table("auth", report) {
        manifest.auth = read_auth(auth, report);
    }
    section.finish(report);
}

fn read_address(
    section: &mut Section<'_, '_>,
    key: &'static str,
    default: SocketAddr,
    report: &mut Report<'_>,
) -> SocketAddr {
    let Some((text, span)) = section.string(key, report) else { return default };
    crate::address::parse(text).unwrap_or_else(|why| {
        report.add(&span, format!("application.{key}: {why}; write for example \"{default}\""));
        default
    })
}

fn read_auth(mut section: Section<'_, '_>, report: &mut Report<'_>) -> Option<Auth> {
    let example = "keys = \"user:/.well-known/jwks.json\"";
    let keys = section.required_string("keys", example, report).and_then(|(keys, span)| {
        let is_path =
            |path: &str| !path.contains(['?', '#']) && normal_path(path).is_ok_and(|normal| normal == path);
        let parts = keys.split_once(':').filter(|(_, path)| is_path(path));
        if parts.is_none() {
            let message = format!(
                "application.auth.keys: {keys:?} is no service with a path of it; write for example {example}"
            );
            report.add(&span, message);
        }
        parts
    });
    let issuer = section.required_string("issuer", "issuer = \"shop\"", report);
    let audience = section.required_string("audience", "audience = \"shop\"", report);
    let revoked_by = section.string("revoked_by", report).map(|(kind, _)| kind.to_owned());
    section.finish(report);
    let ((service, path), (issuer, _), (audience, _)) = (keys?, issuer?, audience?);
    Some(Auth {
        service: service.into(),
        path: path.to_owned(),
        issuer: issuer.to_owned(),
        audience: audience.to_owned(),
        revoked_by,
    })
}

/// Whether a service can have this name.
#[must_use]
pub fn is_service_name(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && name.len() <= 40
}

fn check_name(name: &str, span: &Range<usize>, report: &mut Report<'_>) {
    if !is_service_name(name) {
        report.add(
            span,
            format!(
                "service.{name}: a service's name has 1 to 40 lower-case letters, digits and hyphens, and begins with a letter"
            ),
        );
    }
}

fn read_service(
    name: ServiceName,
    mut section: Section<'_, '_>,
    folder: &Path,
    data: &Path,
    report: &mut Report<'_>,
) -> Option<ServiceSection> {
    let (line, lines) = (report.line(&section.span), section.lines(report));
    let example = format!("source = \"components/{name}\"");
    let source = section.required_string("source", &example, report).map(|(source, _)| {
        let path = folder.join(source);
        if path.extension().is_some_and(|extension| extension == "wasm") {
            Source::File(path)
        } else {
            Source::Crate(path)
        }
    });
    let mut routes = Vec::new();
    for (route, span) in section.strings("routes", report) {
        match check_route(&route) {
            Ok(()) => routes.push(route),
            Err(message) => report.add(&span, format!("service.{name}.routes: {message}")),
        }
    }
    let database = section.string("database", report).and_then(|(url, span)| {
        database_file(url, folder, data)
            .map_err(|message| report.add(&span, format!("service.{name}.database: {message}")))
            .ok()
    });
    let mut names = |key, report: &mut Report<'_>| -> BTreeSet<String> {
        section.strings(key, report).into_iter().map(|(name, _)| name).collect()
    };
    let (publishes, calls) = (names("publishes", report), names("calls", report));
    let calls = calls.into_iter().map(ServiceName::from).collect();
    // Event types of its own that it consumes and does not publish are its timers.
    let own = format!("{name}.");
    let (timers, subscribes) = names("subscribes", report)
        .into_iter()
        .partition(|kind| kind.starts_with(&own) && !publishes.contains(kind));
    let grants = Grants { publishes, calls, subscribes, timers };
    let rebuildable = section.boolean("rebuildable", report).unwrap_or(false);
    let replicas =
        section.table("replica", report).map(|replicas| read_replicas(&replicas, report)).unwrap_or_default();
    let entities =
        section.table("entity", report).map(|entities| read_entities(&entities, report)).unwrap_or_default();
    let instances = match section.string("instances", report) {
        None => InstancePolicy::default(),
        Some(("reused", _)) => InstancePolicy::Reused,
        Some(("fresh", _)) => InstancePolicy::Fresh,
        Some((other, span)) => {
            report.add(
                &span,
                format!("service.{name}.instances is \"reused\" or \"fresh\", and not {other:?}"),
            );
            InstancePolicy::default()
        }
    };
    let limits =
        section.table("limits", report).map(|limits| read_limits(limits, report)).unwrap_or_default();
    let config =
        section.table("config", report).map(|config| read_config(&config, report)).unwrap_or_default();
    let (secrets, variables) =
        section.table("secrets", report).map(|secrets| read_secrets(&secrets, report)).unwrap_or_default();
    section.finish(report);
    let spec = ServiceSpec { name, routes, grants, config, secrets, limits, instances };
    let source = source?;
    Some(ServiceSection { line, lines, source, database, spec, replicas, entities, variables, rebuildable })
}

fn check_route(route: &str) -> Result<(), String> {
    let path = route.strip_suffix("/...").unwrap_or(route);
    if !route.starts_with('/') {
        return Err(format!("{route:?} begins with /"));
    }
    if path.contains("...") || path.bytes().any(|b| matches!(b, b'?' | b'#' | b'{' | b'}' | b'*' | b' ')) {
        return Err(format!(
            "{route:?} is a path, or a path and /... for all that is below it, for example \"/notes/...\""
        ));
    }
    // Requests are routed by the normal form of their path. A route in another form would never match.
    let is_root = path.is_empty() && route == "/...";
    match normal_path(path) {
        Ok(normal) if normal == path => {}
        Ok(normal) => return Err(format!("{route:?} is written {:?}", route.replacen(path, &normal, 1))),
        Err(_) if is_root => {}
        Err(error) => return Err(format!("{route:?} can be no route: {error}")),
    }
    if path.starts_with(HOST_PATHS) || HEALTH_ALIASES.contains(&path) || is_page(path) {
        return Err(format!("{route:?} is the host's own"));
    }
    Ok(())
}

/// The line of the manifest that gives a service a database, for messages.
#[must_use]
pub fn example_database(service: &str) -> String {
    format!("database = {}", example_url(service))
}

fn example_url(service: &str) -> String {
    format!("\"sqlite:data/{service}.db\"")
}

/// The database's path relative to the data folder.
fn database_file(url: &str, folder: &Path, data: &Path) -> Result<PathBuf, String> {
    let example = format!("write for example {}", example_url("notes"));
    let Some(file) = url.strip_prefix("sqlite:").filter(|file| !file.is_empty()) else {
        return Err(format!("{url:?} is no database; {example}"));
    };
    let path = folder.join(file);
    match path.strip_prefix(data) {
        Ok(relative)
            if relative.components().all(|part| matches!(part, Component::Normal(_)))
                && relative != Path::new("") =>
        {
            Ok(relative.to_owned())
        }
        _ => Err(format!(
            "{file:?} is not in the data folder {}, which one host holds at a time; {example}",
            data.display()
        )),
    }
}

fn read_limits(mut section: Section<'_, '_>, report: &mut Report<'_>) -> Limits {
    let mut limits = Limits::default();
    if let Some(memory) = section.bytes("memory", report) {
        if memory > limits::MEMORY_MAX {
            let message = format!("{}.memory is at most {} MiB", section.name, limits::MEMORY_MAX >> 20);
            report.add(&section.place("memory"), message);
        }
        limits.memory = memory;
    }
    limits.storage = section.bytes("storage", report).unwrap_or(limits.storage);
    if let Some(body) = section.bytes("body", report) {
        if body > BODY_MAX {
            report.add(
                &section.place("body"),
                format!("{}.body is at most {} MiB", section.name, BODY_MAX >> 20),
            );
        }
        limits.body = usize::try_from(body).unwrap_or(usize::MAX);
    }
    limits.request_timeout = section.duration("request_timeout", report).unwrap_or(limits.request_timeout);
    limits.lease_hold = section.duration("lease_hold", report).unwrap_or(limits.lease_hold);
    limits.queue = section.count("queue", QUEUE_MAX, report).unwrap_or(limits.queue);
    limits.read_workers =
        section.count("read_workers", limits::WORKERS_MAX, report).unwrap_or(limits.read_workers);
    limits.write_workers =
        section.count("write_workers", limits::WORKERS_MAX, report).unwrap_or(limits.write_workers);
    limits.compute_workers =
        section.count("compute_workers", limits::WORKERS_MAX, report).unwrap_or(limits.compute_workers);
    section.finish(report);
    limits
}

fn read_config(section: &Section<'_, '_>, report: &mut Report<'_>) -> BTreeMap<String, String> {
    let mut config = BTreeMap::new();
    for (key, entry) in section.entries() {
        let text = match entry.value.as_integer() {
            Some(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
            _ => entry.value.as_bool().map(|value| value.to_string()),
        };
        if let Some(text) = text.or_else(|| entry.text(report).map(str::to_owned)) {
            config.insert(key, text);
        }
    }
    config
}

/// Secrets come from the environment, so that no manifest contains one. An unset or empty variable means that there is no secret. Also
/// returns the names of these variables.
fn read_secrets(
    section: &Section<'_, '_>,
    report: &mut Report<'_>,
) -> (BTreeMap<String, String>, BTreeSet<String>) {
    let (mut secrets, mut variables) = (BTreeMap::new(), BTreeSet::new());
    for (key, entry) in section.entries() {
        let (name, span) = (entry.name.clone(), entry.span.clone());
        let Some(table) = entry.value.as_table() else {
            report.add(
                &span,
                format!("{name} names where the secret is: write for example {{ env = \"NAME\" }}"),
            );
            continue;
        };
        let mut source = Section::new(name, span, table);
        if let Some((variable, _)) = source.required_string("env", "{ env = \"NAME\" }", report) {
            variables.insert(variable.to_owned());
            if let Some(value) = std::env::var(variable).ok().filter(|value| !value.is_empty()) {
                secrets.insert(key, value);
            }
        }
        source.finish(report);
    }
    (secrets, variables)
}
