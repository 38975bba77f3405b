//! A small blocking HTTP client on one connection that is kept alive, and answers that a test can ask things of.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

/// No answer within this time fails the test: it is a bound for a wait, not a measure.
const ANSWER_BOUND: Duration = Duration::from_secs(60);

/// A connection that was idle for this long is not used again: the host closes it after 10 seconds, and whoever sends at that very moment gets
/// no answer.
const IDLE_MAX: Duration = Duration::from_secs(4);

/// A client with one connection. Each thread of a test has its own.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    runtime: Runtime,
    /// Sent with every request that has no `authorization` of its own.
    token: Option<String>,
    sender: Option<SendRequest<Full<Bytes>>>,
    used_at: Instant,
}

impl Client {
    /// A client that connects when it is first used.
    pub fn new(address: SocketAddr) -> Client {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Client {
            address,
            runtime: runtime.expect("a runtime can be made"),
            token: None,
            sender: None,
            used_at: Instant::now(),
        }
    }

    /// The same, with a token in every request.
    #[must_use]
    pub fn with_token(self, token: &str) -> Client {
        Client { token: Some(token.to_owned()), ..self }
    }

    /// The token that it sends.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// PUT of a JSON document.
    #[track_caller]
    pub fn put(&mut self, path: &str, body: &Value) -> Answer {
        self.json(Method::PUT, path, body)
    }

    /// GET.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Bytes::new())
    }

    /// DELETE.
    #[track_caller]
    pub fn delete(&mut self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], Bytes::new())
    }

    /// POST of a JSON document.
    #[track_caller]
    pub fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.json(Method::POST, path, body)
    }

    /// PATCH with a JSON document.
    #[track_caller]
    pub fn patch(&mut self, path: &str, body: &Value) -> Answer {
        self.json(Method::PATCH, path, body)
    }

    /// Any method with a JSON document.
    #[track_caller]
    pub fn json(&mut self, method: Method, path: &str, body: &Value) -> Answer {
        self.send(method, path, &[("content-type", "application/json")], Bytes::from(body.to_string()))
    }

    /// Any request. Fails the test where there is no answer.
    #[track_caller]
    pub fn send(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        match self.try_send(method.clone(), path, headers, body) {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {path} got no answer: {error}"),
        }
    }

    /// Any request; an error where the connection gives no answer.
    pub fn try_send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, String> {
        let mut request = Request::builder().method(method.clone()).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let own = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        if let Some(token) = self.token.as_deref().filter(|_| !own) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.header(header::HOST, self.address.to_string());
        let request = request.body(Full::new(body)).expect("the test's request is well-formed");
        let Client { address, runtime, sender, used_at, .. } = self;
        let kept = sender.take().filter(|_| used_at.elapsed() < IDLE_MAX);
        let exchange = async {
            let (mut used, head, body) = exchange(*address, kept, request).await?;
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            if used.ready().await.is_ok() {
                *sender = Some(used);
                *used_at = Instant::now();
            }
            Ok::<_, String>((head, body))
        };
        let (head, body) = runtime
            .block_on(async { tokio::time::timeout(ANSWER_BOUND, exchange).await })
            .map_err(|_| format!("none within {} s", ANSWER_BOUND.as_secs()))??;
        let asked = format!("{method} {path}");
        Ok(Answer { asked, status: head.status.as_u16(), headers: head.headers, body })
    }
}

/// Sends the request on the kept connection, or on a new one where the server has closed that.
async fn exchange(
    address: SocketAddr,
    kept: Option<SendRequest<Full<Bytes>>>,
    mut request: Request<Full<Bytes>>,
) -> Result<(SendRequest<Full<Bytes>>, http::response::Parts, hyper::body::Incoming), String> {
    if let Some(mut sender) = kept {
        match sender.try_send_request(request).await {
            Ok(response) => {
                let (head, body) = response.into_parts();
                return Ok((sender, head, body));
            }
            // Given back means that no byte of it was sent.
            Err(mut error) => match error.take_message() {
                Some(unsent) => request = unsent,
                None => return Err(format!("{:?}", error.error())),
            },
        }
    }
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| format!("{error:?}"))?;
    tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(|error| format!("{error:?}"))?;
    let (head, body) = response.into_parts();
    Ok((sender, head, body))
}

/// What the host answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The method and path, for messages.
    pub asked: String,
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("the host's headers are text"))
    }

    /// The body as JSON; null where it is empty.
    #[track_caller]
    pub fn value(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{self}: the body is no JSON: {error}"),
        }
    }

    /// Checks the status, where the body is no JSON.
    #[track_caller]
    pub fn expect_status(&self, status: u16) {
        assert_eq!(self.status, status, "{self}");
    }

    /// Checks the status, and gives the body.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self}");
        self.value()
    }

    /// Checks that this is a problem document (RFC 9457) with this status and code, complete, and gives it.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.any_problem();
        assert_eq!((self.status, problem["code"].as_str()), (status, Some(code)), "{self}");
        problem
    }

    /// Checks that this is a complete problem document, of whatever kind.
    #[track_caller]
    pub fn any_problem(&self) -> Value {
        assert!(self.status >= 400, "{self}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self}");
        let problem = self.value();
        assert_eq!(problem["status"], self.status, "{self}");
        let code = problem["code"].as_str().unwrap_or_default();
        assert!(!code.is_empty(), "{self}");
        assert!(problem["type"].as_str().is_some_and(|kind| kind.ends_with(&format!("#{code}"))), "{self}");
        for text in ["title", "detail"] {
            assert!(problem[text].as_str().is_some_and(|text| !text.is_empty()), "no {text}: {self}");
        }
        let trace = problem["trace_id"].as_str().unwrap_or_default();
        let digits = trace.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        assert!(trace.len() == 32 && digits, "no trace id: {self}");
        problem
    }

    /// Checks that this is a 422 that names exactly these fields.
    #[track_caller]
    pub fn invalid(&self, fields: &[&str]) -> Value {
        assert_eq!(self.status, 422, "{self}");
        let problem = self.any_problem();
        let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("no errors: {self}"));
        for error in errors {
            assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{self}");
        }
        let found: BTreeSet<&str> = errors.iter().filter_map(|error| error["field"].as_str()).collect();
        assert_eq!(found, fields.iter().copied().collect(), "{self}");
        problem
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        let shown: String = body.chars().take(2_000).collect();
        write!(formatter, "{} was answered {} with {shown}", self.asked, self.status)
    }
}
