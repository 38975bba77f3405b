//! The admin API: JSON over HTTP, below `/api`, and `/metrics`.

use std::collections::BTreeSet;
use std::sync::Arc;

use bulkhead_runtime::{ChangeError, Problem, Subscription, problem_kinds};
use bulkhead_store::{Logged, Parked, ParkedState};
use bulkhead_types::limits::{BODY_DISCARD_MAX, COMPONENT_BYTES_MAX};
use bulkhead_types::{Sequence, ServiceName, Subject, rfc3339};
use http::{Method, Request};
use serde_json::{Value, json};

use super::answers::{Answered, failed, flag, invalid, json_of, unknown};
use super::{Admin, deploys, metrics, parked_timers};
use crate::application::{Application, RebuildError};
use crate::check;
use crate::http::body::RequestBody;

/// The bytes to read of a body that is too large, so that a user who deploys the wrong file gets an error message.
pub(super) const DISCARDED_MAX: usize = COMPONENT_BYTES_MAX + BODY_DISCARD_MAX;
/// The number of parked events that one unit of work makes due.
const RETRIED_AT_ONCE: u32 = 500;
/// The maximum number of events in a list.
const EVENTS_MAX: u32 = 1000;

pub(super) async fn answer(admin: Arc<Admin>, request: Request<()>, body: &mut RequestBody) -> Answered {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = body.read(COMPONENT_BYTES_MAX, DISCARDED_MAX).await.map_err(deploys::of_body)?;
    // These requests read and write databases, so they must not run on a network thread.
    let work = tokio::task::spawn_blocking(move || route(&admin, &method, &path, &query, &body));
    work.await.unwrap_or_else(|_| Err(Problem::new(problem_kinds::HOST_FAILED, "the host failed at this")))
}

fn route(admin: &Admin, method: &Method, path: &str, query: &str, body: &[u8]) -> Answered {
    let application = admin.application.as_ref();
    let parameters: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned();
            (name.to_owned(), decoded)
        })
        .collect();
    // An empty value is a mistake of the client, for example an unset variable. Read as "none" it would select everything, or something
    // else.
    if let Some((name, _)) = parameters.iter().find(|(name, value)| value.is_empty() && !is_text(name)) {
        return Err(invalid(format!("{name} is empty: give it a value, or leave it out")));
    }
    let parameter =
        |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let decoded: Vec<String> = path
        .trim_matches('/')
        .split('/')
        .map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["metrics"]) => metrics::answer(application, &admin.last_check),
        ("GET", ["api", "status"]) => json_of(&status(application)?),
        ("GET", ["api", "events"]) => json_of(&events(application, &parameter)?),
        ("GET", ["api", "dead-letters"]) => json_of(&dead_letters(application, parameter("service"))?),
        ("GET", ["api", "dead-letters", service, id]) => json_of(&dead_letter(application, service, id)?),
        ("POST", ["api", "dead-letters", service, id, "retry"]) => retry(application, service, id),
        ("POST", ["api", "dead-letters", "retry"]) => retry_all(application, &parameter),
        ("DELETE", ["api", "dead-letters", service, id]) => drop_dead(application, service, id),
        ("POST", ["api", "replay", service]) => replay(application, service),
        ("GET", ["api", "deploys"]) => json_of(&json!(application.progress())),
        ("POST", ["api", "deploys", service]) => {
            deploys::deploy(&admin.application, service, body, &parameter)
        }
        ("POST", ["api", "rollbacks", service]) => {
            deploys::roll_back(&admin.application, service, &parameter)
        }
        ("GET", ["api", "probations", service]) => deploys::probation(application, service),
        ("GET", ["api", "versions", service]) => deploys::versions(application, service),
        ("POST", ["api", "reload"]) => deploys::reload(application),
        ("POST", ["api", "check"]) => {
            let repair = flag(&parameter, "repair")?;
            let maintenance = application.maintain();
            let report = check::run(application, &maintenance, repair);
            admin.last_check.note(&report);
            json_of(&json!(report))
        }
        ("GET" | "HEAD" | "POST" | "DELETE", _) => {
            Err(Problem::new(problem_kinds::NOT_FOUND, "the admin port has no such page"))
        }
        _ => {
            Err(Problem::new(problem_kinds::METHOD_NOT_ALLOWED, "the admin port takes GET, POST and DELETE"))
        }
    }
}

/// Free-text parameters, which may be empty.
fn is_text(name: &str) -> bool {
    matches!(name, "author" | "note")
}

fn not_changed(error: &ChangeError) -> Problem {
    match error {
        ChangeError::OutcomeUnknown => Problem::new(problem_kinds::OUTCOME_UNKNOWN, error.to_string()),
        ChangeError::Failed(_) => failed(error),
    }
}

/// The current state of the application.
fn status(application: &Application) -> Result<Value, Problem> {
    let mut services = Vec::new();
    for (name, entry) in &application.manifest().services {
        services.push(json!({
            "name": name,
            "routes": entry.spec.routes,
            "rebuildable": entry.rebuildable,
            "version": application.consumers().get(name).map(|it| it.release().component.version().to_string()),
            "log_head": application.logs().head(name),
        }));
    }
    let subscriptions: Result<Vec<Value>, Problem> = application
        .subscriptions()
        .iter()
        .map(|subscription| subscription_status(application, subscription))
        .collect();
    let timers = parked_timers(application).map_err(|error| failed(&error))?;
    let timers: Vec<Value> = timers
        .iter()
        .map(|timers| json!({"service": timers.service, "parked": timers.parked, "dead": timers.dead}))
        .collect();
    Ok(json!({
        "application": application.manifest().name,
        "services": services,
        "subscriptions": subscriptions?,
        "timers": timers,
    }))
}

fn subscription_status(application: &Application, subscription: &Subscription) -> Result<Value, Problem> {
    // The order matters: parked events are counted after reading the position that passed them, so that no event is missing from both.
    let head = application.logs().head(&subscription.spec.producer).unwrap_or(Sequence::BEFORE_FIRST);
    let applied = subscription.applied();
    let (parked, dead) = match application.service_entries().get(&subscription.spec.consumer) {
        Some(service_entry) => {
            let inbox = service_entry.consumer.inbox().map_err(|error| failed(&error))?;
            inbox.counts(&subscription.spec.producer).map_err(|error| failed(&error))?
        }
        None => (0, 0),
    };
    Ok(json!({
        "producer": subscription.spec.producer,
        "consumer": subscription.spec.consumer,
        "types": subscription.spec.types,
        "replicas": subscription.spec.replicas.iter().map(|replica| replica.name.as_str()).collect::<Vec<_>>(),
        "applied": applied,
        "lag": head.since(applied),
        "parked": parked,
        "dead": dead,
        "stopped": subscription.stopped(),
    }))
}

/// Events of a service's event log, newest first.
fn events<'p>(
    application: &Application,
    parameter: &dyn Fn(&str) -> Option<&'p str>,
) -> Result<Value, Problem> {
    let names = || application.logs().heads().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    let service =
        parameter("service").ok_or_else(|| invalid(format!("service is missing: one of {}", names())))?;
    let log = application.logs().open(service).map_err(|error| failed(&error))?.ok_or_else(|| {
        unknown(&format!("there is no service {service:?} with a log; there are {}", names()))
    })?;
    let number = |name: &str, default: i64| match parameter(name) {
        None => Ok(default),
        Some(text) => text.parse::<i64>().map_err(|_| invalid(format!("{name}: {text:?} is no number"))),
    };
    let limit = u32::try_from(number("limit", 50)?).ok().filter(|limit| (1..=EVENTS_MAX).contains(limit));
    let limit = limit.ok_or_else(|| invalid(format!("limit is from 1 to {EVENTS_MAX}")))?;
    let before = Sequence::new(number("before", i64::MAX)?);
    let subject = parameter("subject").map(Subject::from);
    let events =
        log.newest(parameter("type"), subject.as_ref(), before, limit).map_err(|error| failed(&error))?;
    let events: Vec<Value> = events.iter().map(|event| event_document(service, event)).collect();
    Ok(json!({ "items": events }))
}

/// An event in the JSON format of CloudEvents 1.0, with its position in the event log (<https://github.com/cloudevents/spec>).
fn event_document(source: &str, event: &Logged) -> Value {
    json!({
        "specversion": "1.0",
        "id": event.id,
        "source": source,
        "type": event.kind,
        "subject": event.subject,
        "time": event.time,
        "datacontenttype": "application/json",
        "data": serde_json::from_str::<Value>(&event.data).unwrap_or(Value::Null),
        "traceid": event.trace_id,
        "sequence": event.sequence,
    })
}

fn parked_document(application: &Application, service: &str, parked: &Parked) -> Value {
    let next = (parked.state == ParkedState::Parked && parked.attempts > 0)
        .then(|| application.database(service).map(|database| rfc3339(database.wall_time_of(parked.next))));
    json!({
        "service": service,
        "id": parked.id,
        "state": match parked.state { ParkedState::Parked => "parked", ParkedState::Dead => "dead" },
        "producer": parked.producer,
        "sequence": parked.sequence,
        "type": parked.kind,
        "subject": parked.subject,
        "attempts": parked.attempts,
        "since": rfc3339(parked.since),
        "next_attempt": next.flatten(),
        "reason": parked.reason,
        "trace_id": parked.trace_id,
    })
}

/// The parked events and dead letters of one service, or of all services.
fn dead_letters(application: &Application, service: Option<&str>) -> Result<Value, Problem> {
    if let Some(service) = service.filter(|service| !application.service_entries().contains_key(*service)) {
        return Err(unknown(&format!("there is no service {service:?} with a database")));
    }
    let mut items = Vec::new();
    for (name, service_entry) in application.service_entries() {
        if service.is_some_and(|service| name != service) {
            continue;
        }
        let inbox = service_entry.consumer.inbox().map_err(|error| failed(&error))?;
        let parked = inbox.parked().map_err(|error| failed(&error))?;
        items.extend(parked.iter().map(|parked| parked_document(application, name, parked)));
    }
    Ok(json!({ "items": items }))
}

fn find(application: &Application, service: &str, id: &str) -> Result<Parked, Problem> {
    let service_entry = application
        .service_entries()
        .get(service)
        .ok_or_else(|| unknown(&format!("there is no service {service:?} with a database")))?;
    let inbox = service_entry.consumer.inbox().map_err(|error| failed(&error))?;
    inbox
        .parked_with_id(id)
        .map_err(|error| failed(&error))?
        .ok_or_else(|| unknown(&format!("{service} has no parked event or dead letter {id}")))
}

/// One parked event or dead letter, with its data.
fn dead_letter(application: &Application, service: &str, id: &str) -> Result<Value, Problem> {
    let parked = find(application, service, id)?;
    let mut document = parked_document(application, service, &parked);
    let event = if parked.producer == service {
        let service_entry = application.service_entries().get(service);
        let inbox = service_entry
            .map(|service_entry| service_entry.consumer.inbox())
            .transpose()
            .map_err(|error| failed(&error))?;
        inbox.map(|inbox| inbox.timer(parked.sequence)).transpose().map_err(|error| failed(&error))?.flatten()
    } else if let Some(log) = application.logs().open(&parked.producer).map_err(|error| failed(&error))? {
        let events = log.read(parked.sequence, 1).map_err(|error| failed(&error))?;
        events.into_iter().find(|event| event.id == parked.id)
    } else {
        None
    };
    let event = event.map_or(Value::Null, |event| event_document(&parked.producer, &event));
    if let Some(members) = document.as_object_mut() {
        members.insert("event".to_owned(), event);
    }
    Ok(document)
}

fn retry(application: &Application, service: &str, id: &str) -> Answered {
    let parked = find(application, service, id)?;
    if let Some(service_entry) = application.service_entries().get(service) {
        let there = service_entry.consumer.retry_parked(&parked.producer, parked.sequence);
        if !there.map_err(|error| not_changed(&error))? {
            return Err(unknown(&format!("{service} has consumed {id} meanwhile")));
        }
        for subscription in application.subscriptions_of(service) {
            subscription.refresh();
        }
        service_entry.deferred.wake();
    }
    json_of(&json!({"service": service, "id": id, "state": "parked"}))
}

/// Retries all dead letters and parked events that match the filters: the service that could not consume them, their producer, and their
/// type.
fn retry_all<'p>(application: &Application, parameter: &dyn Fn(&str) -> Option<&'p str>) -> Answered {
    let (only, producer, kind) = (parameter("service"), parameter("producer"), parameter("type"));
    if let Some(service) = only.filter(|service| !application.service_entries().contains_key(*service)) {
        return Err(unknown(&format!("there is no service {service:?} with a database")));
    }
    let mut retried = serde_json::Map::new();
    for (name, service_entry) in application.service_entries() {
        if only.is_some_and(|only| name != only) {
            continue;
        }
        let inbox = service_entry.consumer.inbox().map_err(|error| failed(&error))?;
        let (mut count, mut last) = (0, (ServiceName::default(), Sequence::BEFORE_FIRST));
        // One unit of work for each batch: others write in between, and events that fail are retried meanwhile. Each event is visited once.
        loop {
            let parked = inbox.parked_after((&last.0, last.1), RETRIED_AT_ONCE);
            let parked = parked.map_err(|error| failed(&error))?;
            let Some(end) = parked.last() else { break };
            last = (end.producer.clone(), end.sequence);
            let chosen = parked.into_iter().filter(|parked| {
                producer.is_none_or(|producer| parked.producer == producer)
                    && kind.is_none_or(|kind| kind == parked.kind)
            });
            let chosen: Vec<(ServiceName, Sequence)> =
                chosen.map(|parked| (parked.producer, parked.sequence)).collect();
            if !chosen.is_empty() {
                count += service_entry.consumer.retry_all(&chosen).map_err(|error| not_changed(&error))?;
            }
        }
        if count > 0 {
            for subscription in application.subscriptions_of(name) {
                subscription.refresh();
            }
            service_entry.deferred.wake();
            retried.insert(name.to_string(), count.into());
        }
    }
    if retried.is_empty() {
        check_filters(application, producer, kind)?;
    }
    json_of(&json!({ "retried": retried }))
}

/// Nothing matched. If a filter names something that does not exist, this is an error and not a success.
fn check_filters(
    application: &Application,
    producer: Option<&str>,
    kind: Option<&str>,
) -> Result<(), Problem> {
    let manifest = application.manifest();
    if let Some(producer) = producer.filter(|producer| !manifest.services.contains_key(*producer)) {
        let names = manifest.services.keys().map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
        return Err(unknown(&format!("there is no service {producer:?}; there are {names}")));
    }
    let grants = manifest.services.values().map(|entry| &entry.spec.grants);
    let kinds: BTreeSet<&str> =
        grants.flat_map(|grants| grants.publishes.iter().chain(&grants.timers)).map(String::as_str).collect();
    match kind.filter(|kind| !kinds.contains(kind)) {
        Some(kind) => {
            let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
            Err(unknown(&format!("there are no events of the type {kind:?}; there are {kinds}")))
        }
        None => Ok(()),
    }
}

fn drop_dead(application: &Application, service: &str, id: &str) -> Answered {
    let parked = find(application, service, id)?;
    let dropped = match application.service_entries().get(service) {
        Some(service_entry) => {
            let dropped = service_entry.consumer.drop_dead(&parked.producer, parked.sequence);
            dropped.map_err(|error| not_changed(&error))?
        }
        None => false,
    };
    if !dropped {
        let detail = "it is parked and tried again by itself; only a dead letter can be dropped";
        return Err(Problem::new(problem_kinds::NOT_DEAD, detail));
    }
    json_of(&json!({"service": service, "id": id, "state": "dropped"}))
}

fn replay(application: &Application, service: &str) -> Answered {
    match application.rebuild(service) {
        Ok(rebuilt) => json_of(&json!(rebuilt)),
        Err(error) => Err(match &error {
            RebuildError::Unknown(_) => unknown(&error.to_string()),
            RebuildError::OwnsData(_) => Problem::new(problem_kinds::NOT_REBUILDABLE, error.to_string()),
            RebuildError::Busy => Problem::new(problem_kinds::BUSY, error.to_string()),
            _ => failed(&error),
        }),
    }
}
