//! An answer, and checks of it.

use std::borrow::Borrow;
use std::rc::Rc;

use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::diff;
use crate::world::World;

/// The answer to a request. Each check returns the answer, or fails the test and shows what the service did: its statements, its events,
/// its calls and its log lines.
pub struct Answer {
    world: Rc<World>,
    what: String,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    replayed: bool,
    database_calls: u32,
    reported: String,
}

impl Answer {
    pub(crate) fn new(
        world: Rc<World>,
        what: String,
        (status, headers, body): (StatusCode, HeaderMap, Vec<u8>),
        replayed: bool,
    ) -> Self {
        let (database_calls, reported) = (world.recorder.database_calls(), world.recorder.reported());
        Self { world, what, status, headers, body, replayed, database_calls, reported }
    }

    #[track_caller]
    fn fail(&self, why: &str) -> ! {
        self.world.fail_of(&format!("{}: {why}", self.what), &self.reported)
    }

    /// Checks that it has this status.
    #[track_caller]
    pub fn status(self, expected: u16) -> Self {
        if self.status.as_u16() != expected {
            self.fail(&format!("the status is {}, not {expected}; the body: {}", self.status, self.text()));
        }
        self
    }

    /// Checks that it has this header, once, with this value.
    #[track_caller]
    pub fn header(self, name: &str, expected: &str) -> Self {
        let found: Vec<String> = self.headers.get_all(name).iter().map(shown).collect();
        match found.as_slice() {
            [one] if one == expected => self,
            [one] => self.fail(&format!("the header {name} is {one:?}, not {expected:?}")),
            [] => self.fail(&format!("there is no header {name}; it was to be {expected:?}")),
            _ => self.fail(&format!("the header {name} is there more than once: {found:?}")),
        }
    }

    /// Checks that it does not have this header.
    #[track_caller]
    pub fn no_header(self, name: &str) -> Self {
        if let Some(found) = self.header_value(name) {
            self.fail(&format!("there is a header {name}, {found:?}"));
        }
        self
    }

    /// Checks that it is a problem document (RFC 9457) with this status and this `code`.
    #[track_caller]
    pub fn problem(self, status: u16, code: &str) -> Self {
        let document = self.json_or_null();
        let found = document.get("code").and_then(Value::as_str).unwrap_or("none");
        if self.status.as_u16() != status || found != code {
            self.fail(&format!(
                "the status is {} and the code {found}, not {status} and {code}; the body: {}",
                self.status,
                self.text()
            ));
        }
        let kind = self.header_value("content-type").unwrap_or_default();
        if kind != "application/problem+json" {
            self.fail(&format!(
                "a problem document has the type application/problem+json, and this is {kind}"
            ));
        }
        self
    }

    /// Checks that it is a problem document that names this field as wrong.
    #[track_caller]
    pub fn names_field(self, field: &str) -> Self {
        let document = self.json_or_null();
        let fields: Vec<&str> = document
            .get("errors")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|error| error.get("field")?.as_str())
            .collect();
        if !fields.contains(&field) {
            self.fail(&format!("it does not name {field} among what is wrong, but {fields:?}"));
        }
        self
    }

    /// Checks that its JSON body is exactly this.
    #[track_caller]
    pub fn body(self, expected: impl Borrow<Value>) -> Self {
        let expected = expected.borrow();
        let found = self.json();
        if found != *expected {
            self.fail(&format!("the body is another one:\n{}", diff::of(expected, &found)));
        }
        self
    }

    /// Checks that its JSON body contains these members, at any depth. Other members are ignored. A list must match in all of its items.
    #[track_caller]
    pub fn includes(self, expected: impl Borrow<Value>) -> Self {
        let expected = expected.borrow();
        let found = diff::restricted(expected, &self.json());
        if found != *expected {
            self.fail(&format!("the body lacks what it is to have:\n{}", diff::of(expected, &found)));
        }
        self
    }

    /// Checks that it has no body.
    #[track_caller]
    pub fn empty(self) -> Self {
        if !self.body.is_empty() {
            self.fail(&format!("there is a body: {}", self.text()));
        }
        self
    }

    /// Checks that it is, or is not, the answer that an earlier request with the same idempotency key got.
    #[track_caller]
    pub fn replayed(self, expected: bool) -> Self {
        if self.replayed != expected {
            let is = if self.replayed { "is" } else { "is not" };
            self.fail(&format!("it {is} the answer of an earlier request"));
        }
        self
    }

    /// The body as JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => self.fail(&format!("the body is no JSON ({error}): {:?}", self.text())),
        }
    }

    /// A member of the JSON body that is a string: `answer.text_of("id")`.
    #[must_use]
    #[track_caller]
    pub fn text_of(&self, member: &str) -> String {
        match self.json().get(member) {
            Some(Value::String(text)) => text.clone(),
            found => self.fail(&format!("the member {member} is no string but {found:?}")),
        }
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// The value of a header, if the answer has it. If there are several, the first one.
    #[must_use]
    pub fn header_value(&self, name: &str) -> Option<String> {
        self.headers.get(name).map(shown)
    }

    /// The status.
    #[must_use]
    pub fn status_code(&self) -> u16 {
        self.status.as_u16()
    }

    /// How many database calls were made for it. This includes calls by services that it called, and calls of handlers that ran again. A
    /// test can use it to let each call fail in turn.
    #[must_use]
    pub fn database_calls(&self) -> u32 {
        self.database_calls
    }

    /// The whole answer as JSON, for a snapshot. It repeats exactly, so it needs no redactions.
    #[must_use]
    pub fn snapshot(&self) -> Value {
        let headers: serde_json::Map<String, Value> = self
            .headers
            .keys()
            .map(|name| {
                let values: Vec<String> = self.headers.get_all(name).iter().map(shown).collect();
                (name.to_string(), if let [one] = values.as_slice() { json!(one) } else { json!(values) })
            })
            .collect();
        let body = match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(_) => Value::String(self.text()),
        };
        json!({ "status": self.status.as_u16(), "headers": headers, "body": body })
    }

    fn json_or_null(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

fn shown(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
