//! Idempotency keys: a POST whose key has an answer gets that answer. What a handler answers is kept in its unit of work.
//!
//! Invariant: of all requests with one key, one has effects. An answer that says `Cache-Control: no-store` is not kept. What is kept then
//! is that the key was used, if the handler wrote anything or another service did so for it: a client that repeats the request learns that
//! it took effect (409), and the request is not run again. If the handler did neither, the key stays free. If a handler fails after a call,
//! the effects of the call stand, and no record says so: a handler gives such calls keys of their own. A route that its component calls
//! repeatable, such as a login, has no keys at all (`described.rs`).

use bulkhead_store::{KeptAnswer, Known, RequestKey};
use bulkhead_types::limits::IDEMPOTENCY_ANSWER_BYTES_MAX;
use bulkhead_types::{Sequence, ServiceName, Subject};
use http::header::LOCATION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::percent_decode_str;

use crate::bindings::bulkhead::service::types::Header;
use crate::database::{ServiceDatabase, UnitOfWork};
use crate::header::says_no_store;
use crate::instance::Run;
use crate::job::{Answer, Failure, Job, Outcome};
use crate::json_value::canonical;
use crate::running::Calls;
use crate::state::WorkerParts;

static VERSION: HeaderName = HeaderName::from_static("bulkhead-version");

/// A job's key in a service's database. The caller is the one who asks, together with the service by way of which it asks.
///
/// Two requests are the same if their method, path, query, media type and body are. Bodies of JSON are compared by their values, because a
/// client that writes its document again for the second attempt may order or indent it differently.
fn request_key(database: &ServiceDatabase, job: &Job) -> Option<RequestKey> {
    let key = job.idempotency_key.as_deref()?;
    let request = &job.request;
    let subject = request.principal.as_ref().map_or("", |principal| principal.subject.as_str()).into();
    let by_way_of = request.caller.as_deref().map(ServiceName::from);
    let query = request.query.as_deref().unwrap_or_default();
    let kind = media_type(&request.headers);
    let value = is_json(&kind).then(|| canonical(&request.body)).flatten();
    // So that no document is mistaken for the value of another.
    let (form, body): (&[u8], &[u8]) = match &value {
        Some(value) => (b"value", value.as_bytes()),
        None => (b"bytes", &request.body),
    };
    let parts =
        [request.method.as_bytes(), request.path.as_bytes(), query.as_bytes(), kind.as_bytes(), form, body];
    Some(RequestKey::new(database.database.secret(), (&subject, by_way_of.as_ref()), key, &parts))
}

/// The media type of a request's body in lower case, without blanks, and without the one charset that it has anyway. If there are several
/// headers, all of them.
fn media_type(headers: &[Header]) -> String {
    let kinds = headers.iter().filter(|header| header.name == "content-type");
    let kinds: Vec<String> = kinds
        .map(|header| {
            let kind = String::from_utf8_lossy(&header.value).to_ascii_lowercase();
            kind.split(';')
                .map(str::trim)
                .filter(|part| *part != "charset=utf-8")
                .collect::<Vec<_>>()
                .join(";")
        })
        .collect();
    kinds.join(",")
}

/// Whether a media type is that of JSON, or one whose documents are JSON (RFC 6839, section 3.1).
fn is_json(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default();
    essence == "application/json" || essence.ends_with("+json")
}

/// The answer that the job's key has. If the answer has no label of its own, it gets the label of the current version. None if the job has
/// no key, or its key has no answer.
pub(crate) fn earlier_answer(parts: &mut WorkerParts, label: &HeaderValue, job: &Job) -> Option<Outcome> {
    job.idempotency_key.as_ref()?;
    let database = parts.database.as_ref()?;
    let key = request_key(database, job)?;
    let failed = |reason: String| Some(Err(Failure::Host(format!("look for the idempotency key: {reason}"))));
    let reader = match &mut parts.reader {
        Some(reader) => reader,
        empty => match database.database.reader() {
            Ok(reader) => empty.insert(reader),
            Err(error) => return failed(error.to_string()),
        },
    };
    match reader.known(&key, database.database.time()) {
        Ok(Known::No) => None,
        Ok(Known::OtherRequest) => Some(Err(Failure::KeyReused)),
        Ok(Known::Used) => Some(Err(Failure::AnswerNotKept)),
        Ok(Known::Answer(kept)) => {
            Some(replay(kept, label.clone()).ok_or(Failure::Host("a kept answer can't be read".into())))
        }
        Err(error) => failed(error.to_string()),
    }
}

/// Whether an answer must be kept for a key, as far as its handler's result says.
pub(crate) fn is_to_be_kept(job: &Job, run: &Run) -> bool {
    job.idempotency_key.is_some() && run.keep && run.outcome.is_ok()
}

/// Keeps the answer in the unit of work, if the job has a key and the unit of work is to be kept. If the key has an answer by now, the unit
/// of work is not kept, and the client must ask again.
pub(crate) fn remember(database: Option<&ServiceDatabase>, unit: &mut UnitOfWork, job: &Job, run: &mut Run) {
    if !is_to_be_kept(job, run) {
        return;
    }
    let Ok(answer) = &run.outcome else { return };
    let Some(key) = database.and_then(|database| request_key(database, job)) else { return };
    let nobody_may_keep_it = says_no_store(&answer.headers);
    if nobody_may_keep_it && !unit.wrote() && run.calls != Calls::Effective {
        return;
    }
    let kept = if nobody_may_keep_it {
        Some(KeptAnswer::none(unit.position(), about(answer, &job.request.path)))
    } else {
        kept(answer, &job.request.path, unit.position())
    };
    let Some(kept) = kept else {
        // The effects must not stand without the answer: if the request were repeated, they would be there twice.
        run.keep = false;
        run.outcome = Err(Failure::InvalidResponse(format!(
            "it has more than {IDEMPOTENCY_ANSWER_BYTES_MAX} bytes, and can't be kept for its idempotency key"
        )));
        return;
    };
    let now = unit.time();
    match unit.remember(&key, &kept, now) {
        Ok(true) => {}
        Ok(false) => {
            run.keep = false;
            run.outcome = Err(Failure::Aborted);
        }
        // The unit of work may be rolled back already, or not. Without its record it must not be kept.
        Err(error) => {
            run.keep = false;
            run.outcome = Err(Failure::Host(format!("keep the answer for its idempotency key: {error}")));
        }
    }
}

/// The answer to a request for this path, as it is kept; none if it is too large. The bytes of a header are kept as the characters with the
/// same numbers.
fn kept(answer: &Answer, path: &str, position: Sequence) -> Option<KeptAnswer> {
    if answer.body.len() > IDEMPOTENCY_ANSWER_BYTES_MAX {
        return None;
    }
    // The version that answered is kept with its answer.
    let label = std::iter::once((&VERSION, &answer.version));
    let headers: Vec<(&str, String)> = answer
        .headers
        .iter()
        .chain(label)
        .map(|(name, value)| (name.as_str(), value.as_bytes().iter().map(|byte| char::from(*byte)).collect()))
        .collect();
    let headers = serde_json::to_string(&headers).ok()?;
    let status = answer.status.as_u16();
    Some(KeptAnswer { status, headers, body: answer.body.clone(), position, about: about(answer, path) })
}

/// What an answer to a request for this path is about: what the request asked for, and what it created.
fn about(answer: &Answer, path: &str) -> Vec<Subject> {
    let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    [path, location].into_iter().flat_map(parts).collect()
}

/// The decoded parts of a path, or of an address. What a request asked for, and what it created, are among them.
fn parts(path: &str) -> impl Iterator<Item = Subject> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.map(|part| percent_decode_str(part).decode_utf8_lossy().as_ref().into())
}

fn replay(kept: KeptAnswer, version: HeaderValue) -> Option<Answer> {
    let pairs: Vec<(String, String)> = serde_json::from_str(&kept.headers).ok()?;
    let mut headers = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let value: Vec<u8> = value.chars().map(|letter| u8::try_from(letter).ok()).collect::<Option<_>>()?;
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    // Answers that were kept before there were versions have none.
    let version = headers.remove(&VERSION).unwrap_or(version);
    let status = StatusCode::from_u16(kept.status).ok()?;
    Some(Answer { status, headers, body: kept.body, position: Some(kept.position), replayed: true, version })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use http::header::CACHE_CONTROL;

    use super::*;
    use crate::trial::{Trial, answer, job, run};

    #[test]
    fn answer_is_about_the_decoded_segments_of_its_path_and_location() {
        let location = [(LOCATION, "/users/b%20c/notes/7?page=d#e")];
        assert_eq!(
            about(&answer(&location), "/users/%61nn/notes"),
            ["users", "ann", "notes", "users", "b c", "notes", "7"]
        );
        assert_eq!(about(&answer(&[]), "/users/ann"), ["users", "ann"]);
    }

    static LABEL: HeaderValue = HeaderValue::from_static("taker@1");

    #[test]
    fn answer_is_kept_if_there_is_a_key_and_the_handler_keeps_its_effects() {
        for (key, keep, is_good, is_kept) in [
            (Some("key"), true, true, true),
            (None, true, true, false),
            (Some("key"), false, true, false),
            (Some("key"), true, false, false),
            (None, false, true, false),
        ] {
            let (job, _) = job(Instant::now(), key);
            let outcome = if is_good { Ok(answer(&[])) } else { Err(Failure::Deadline) };
            assert_eq!(is_to_be_kept(&job, &run(outcome, keep)), is_kept, "{key:?} {keep} {is_good}");
        }
    }

    #[test]
    fn subjects_of_a_no_store_answer_are_kept_and_deleted_with_its_key() {
        let trial = Trial::new(Duration::from_secs(60));
        let (job, _) = job(Instant::now() + Duration::from_secs(60), Some("key"));
        let mut runner = trial.consumer.runner();
        let mut run = run(Ok(answer(&[(CACHE_CONTROL, "no-store")])), true);
        trial.write(|unit| {
            // A request that wrote nothing needs no record.
            unit.write_time()?;
            remember(runner.parts.database.as_deref(), unit, &job, &mut run);
            Ok(())
        });
        let earlier = earlier_answer(&mut runner.parts, &LABEL, &job);
        assert!(matches!(earlier, Some(Err(Failure::AnswerNotKept))), "{earlier:?}");
        trial.write(|unit| unit.forget_answers(&"things".into()).map(|forgotten| assert_eq!(forgotten, 1)));
        assert!(earlier_answer(&mut runner.parts, &LABEL, &job).is_none());
    }

    /// A request that wrote nothing needs no record, unless another service did something.
    #[test]
    fn key_stays_free_if_the_answer_is_no_store_and_had_no_effect() {
        for (calls, is_free) in [(Calls::None, true), (Calls::Reading, true), (Calls::Effective, false)] {
            let trial = Trial::new(Duration::from_secs(60));
            let (job, _) = job(Instant::now() + Duration::from_secs(60), Some("key"));
            let mut runner = trial.consumer.runner();
            let no_store = Ok(answer(&[(CACHE_CONTROL, "no-store")]));
            let mut run = Run { calls, ..run(no_store, true) };
            trial.write(|unit| {
                remember(runner.parts.database.as_deref(), unit, &job, &mut run);
                Ok(())
            });
            assert_eq!(earlier_answer(&mut runner.parts, &LABEL, &job).is_none(), is_free, "{calls:?}");
        }
    }

    #[test]
    fn media_type_comparison_ignores_case_blanks_and_charset() {
        for (values, kind, json) in [
            (&[][..], "", false),
            (&["Application/JSON ; Charset=UTF-8"][..], "application/json", true),
            (&["application/merge-patch+json"], "application/merge-patch+json", true),
            (&["application/json;profile=x"], "application/json;profile=x", true),
            (&["text/plain"], "text/plain", false),
            (&["application/json", "text/plain"], "application/json,text/plain", false),
        ] {
            let header =
                |value: &&str| Header { name: "content-type".into(), value: value.as_bytes().to_vec() };
            let headers: Vec<Header> = values.iter().map(header).collect();
            assert_eq!((media_type(&headers).as_str(), is_json(kind)), (kind, json));
        }
    }

    #[test]
    fn answer_is_kept_unchanged_up_to_the_size_limit() {
        let largest =
            Answer { body: vec![b'x'; IDEMPOTENCY_ANSWER_BYTES_MAX], ..answer(&[(LOCATION, "/\u{e9}")]) };
        let given = replay(
            kept(&largest, "/things", Sequence::new(7)).unwrap(),
            HeaderValue::from_static("another@2"),
        )
        .unwrap();
        assert_eq!(
            (given.status, given.headers, given.position),
            (largest.status, largest.headers.clone(), Some(Sequence::new(7)))
        );
        assert!(given.replayed && given.body == largest.body);
        assert_eq!(given.version, largest.version, "of the one that answered");
        let larger = Answer { body: vec![b'x'; IDEMPOTENCY_ANSWER_BYTES_MAX + 1], ..largest };
        assert!(kept(&larger, "/things", Sequence::new(7)).is_none());
    }
}
