//! Stand-ins: they answer for services that do not run.

use std::borrow::Borrow;

use bulkhead_runtime::{Answer, Failure, Job, Outcome, Request};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

/// A call to a service that a stand-in answers.
#[derive(Debug)]
pub struct Call {
    request: Request,
}

impl Call {
    /// The method, in capitals.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.request.method
    }

    /// The path, as it was sent.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.request.path
    }

    /// The part after the `?` of the path.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.request.query.as_deref()
    }

    /// The principal of the request that the caller handles, if it has one.
    #[must_use]
    pub fn principal(&self) -> Option<&str> {
        self.request.principal.as_ref().map(|principal| principal.subject.as_str())
    }

    /// The service that calls.
    #[must_use]
    pub fn caller(&self) -> &str {
        self.request.caller.as_deref().unwrap_or_default()
    }

    /// The body as JSON. `Null` if it is not JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.request.body).unwrap_or_default()
    }
}

/// The answer of a stand-in.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    /// A status without a body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// An answer with a JSON document.
    #[must_use]
    pub fn json(status: u16, body: impl Borrow<Value>) -> Self {
        let headers = vec![(CONTENT_TYPE.to_string(), "application/json".to_owned())];
        Self { status, headers, body: body.borrow().to_string().into_bytes() }
    }

    /// A problem document (RFC 9457) with this code.
    #[must_use]
    pub fn problem(status: u16, code: &str) -> Self {
        let body = serde_json::json!({"title": code, "status": status, "code": code});
        let headers = vec![(CONTENT_TYPE.to_string(), "application/problem+json".to_owned())];
        Self { status, headers, body: body.to_string().into_bytes() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn outcome(self) -> Outcome {
        let wrong = |what: &str| Failure::InvalidResponse(format!("the stand-in's {what} is none"));
        let status = StatusCode::from_u16(self.status).map_err(|_| wrong("status"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let name = HeaderName::try_from(name).map_err(|_| wrong("header"))?;
            headers.append(name, HeaderValue::try_from(value).map_err(|_| wrong("header"))?);
        }
        let version = HeaderValue::from_static("stand-in");
        Ok(Answer { status, headers, body: self.body, position: None, replayed: false, version })
    }
}

/// Answers the calls to a service.
pub(crate) type StandIn = Box<dyn Fn(&Call) -> Reply + Send + Sync>;

/// Lets a stand-in answer a job.
pub(crate) fn answer(stand_in: &StandIn, job: Job) {
    let Job { request, reply, .. } = job;
    reply(stand_in(&Call { request }).outcome());
}
