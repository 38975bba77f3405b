//! Idempotency keys: a POST whose key has an answer gets that answer, and what a handler answers is kept in its unit of work.
//!
//! Invariant: of all requests with one key one has effects. An answer that says `Cache-Control: no-store` is not kept, but that the key was used
//! is, where the handler wrote anything: whoever repeats the request is told that it took effect (409), and it is not run again. Where the
//! handler wrote nothing the key stays free. A route that its component calls repeatable, such as a login, has no keys at all
//! (`compute.rs`).

use bulkhead_store::{KeptAnswer, Known, Reader, RequestKey, UnitOfWork};
use bulkhead_types::limits::IDEMPOTENCY_ANSWER_BYTES_MAX;
use http::header::LOCATION;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::header::says_no_store;
use crate::hold::Member;
use crate::instance::Run;
use crate::job::{Answer, Failure, Job, Outcome};
use crate::runner::Runner;
use crate::service::ServiceDatabase;

static VERSION: HeaderName = HeaderName::from_static("bulkhead-version");

/// What a job's key is in a service's database. The caller is who asks, and by way of which service.
fn request_key(database: &ServiceDatabase, job: &Job) -> Option<RequestKey> {
    let key = job.idempotency_key.as_deref()?;
    let request = &job.request;
    let subject = request.principal.as_ref().map_or("", |principal| principal.subject.as_str());
    let by_way_of = request.caller.as_deref().unwrap_or_default();
    let query = request.query.as_deref().unwrap_or_default();
    let parts: [&[u8]; 4] =
        [request.method.as_bytes(), request.path.as_bytes(), query.as_bytes(), &request.body];
    Some(RequestKey::new(&database.database, (subject, by_way_of), key, &parts))
}

/// The answer that the job's key has; none where it has no key, or its key no answer.
pub(crate) fn earlier_answer(runner: &mut Runner, job: &Job) -> Option<Outcome> {
    job.idempotency_key.as_ref()?;
    let database = runner.parts.database.clone()?;
    let key = request_key(&database, job)?;
    let failed = |reason: String| Some(Err(Failure::Host(format!("look for the idempotency key: {reason}"))));
    let reader = match &mut runner.parts.reader {
        Some(reader) => reader,
        empty => match Reader::open(&database.database) {
            Ok(reader) => empty.insert(reader),
            Err(error) => return failed(error.to_string()),
        },
    };
    match reader.known(&key, database.database.time()) {
        Ok(Known::No) => None,
        Ok(Known::OtherRequest) => Some(Err(Failure::KeyReused)),
        Ok(Known::Used) => Some(Err(Failure::AnswerNotKept)),
        Ok(Known::Answer(kept)) => {
            let version = runner.release.component.label.clone();
            Some(replay(kept, version).ok_or(Failure::Host("a kept answer can't be read".into())))
        }
        Err(error) => failed(error.to_string()),
    }
}

/// Keeps the answer in the unit of work, if the job has a key and the unit is to be kept. Where the key has an answer by now, the unit
/// is not: the client is to ask again.
pub(crate) fn remember(runner: &Runner, unit: &mut UnitOfWork<Member>, job: &Job, run: &mut Run) {
    let Ok(answer) = &run.outcome else { return };
    if !run.keep || job.idempotency_key.is_none() {
        return;
    }
    let database = runner.parts.database.as_ref();
    let Some(key) = database.and_then(|database| request_key(database, job)) else { return };
    let nobody_may_keep_it = says_no_store(&answer.headers);
    if nobody_may_keep_it && !unit.wrote() {
        return;
    }
    let kept = if nobody_may_keep_it {
        Some(KeptAnswer::none(unit.position(), about(answer)))
    } else {
        kept(answer, unit.position())
    };
    let Some(kept) = kept else {
        // Its effects must not stand without it: repeated, they would be there twice.
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
            run.outcome = Err(Failure::Lost);
        }
        // The unit of work is gone, or it is not: without its record it must not be kept.
        Err(error) => {
            run.keep = false;
            run.outcome = Err(Failure::Host(format!("keep the answer for its idempotency key: {error}")));
        }
    }
}

/// The answer as it is kept; none for one that is too large. A header's bytes are kept as the characters of the same numbers.
fn kept(answer: &Answer, position: u64) -> Option<KeptAnswer> {
    if answer.body.len() > IDEMPOTENCY_ANSWER_BYTES_MAX {
        return None;
    }
    // The version that answered goes with its answer.
    let label = std::iter::once((&VERSION, &answer.version));
    let headers: Vec<(&str, String)> = answer
        .headers
        .iter()
        .chain(label)
        .map(|(name, value)| (name.as_str(), value.as_bytes().iter().map(|byte| char::from(*byte)).collect()))
        .collect();
    let headers = serde_json::to_string(&headers).ok()?;
    let status = answer.status.as_u16();
    Some(KeptAnswer { status, headers, body: answer.body.clone(), position, about: about(answer) })
}

/// What a request made: the last part of `Location`.
fn about(answer: &Answer) -> String {
    let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    location.rsplit('/').next().unwrap_or_default().to_owned()
}

fn replay(kept: KeptAnswer, version: HeaderValue) -> Option<Answer> {
    let pairs: Vec<(String, String)> = serde_json::from_str(&kept.headers).ok()?;
    let mut headers = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let value: Vec<u8> = value.chars().map(|letter| u8::try_from(letter).ok()).collect::<Option<_>>()?;
        headers.append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    // None in those that were kept before there were versions.
    let version = headers.remove(&VERSION).unwrap_or(version);
    let status = StatusCode::from_u16(kept.status).ok()?;
    Some(Answer { status, headers, body: kept.body, position: Some(kept.position), replayed: true, version })
}
