//! One lean HTTP/1.1 connection, kept alive, that tries again where that is right: when the connection breaks, and when
//! the shop says 503.
//!
//! Every request of the loader may be sent twice: what was created by the first attempt is answered as taken by the second.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;

/// How often a request is tried before the loader gives up.
const ATTEMPTS_MAX: u32 = 8;
/// The first pause after a broken connection; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// The longest pause, whatever the shop's `Retry-After` says.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A request that takes longer counts as a broken connection.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause between two questions whether the shop is ready.
const READY_INTERVAL: Duration = Duration::from_millis(50);

/// Where the shop is.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    authority: Arc<str>,
    header: HeaderValue,
}

impl FromStr for Address {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Address> {
        let uri: Uri = text.parse()?;
        let authority = uri.authority().context("a URL such as http://127.0.0.1:8080 is needed")?;
        if uri.scheme_str() != Some("http") {
            bail!("only http:// is spoken here");
        }
        if uri.path() != "/" || uri.query().is_some() {
            bail!("the URL must end after the host and the port");
        }
        let authority = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        Ok(Address { header: HeaderValue::from_str(&authority)?, authority: authority.into() })
    }
}

/// What the shop answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The body of a success; an error with the problem document's words for anything else.
    pub(crate) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        if !self.status.is_success() {
            bail!(self.problem());
        }
        serde_json::from_slice(&self.body).context("the answer is not what the shop's API promises")
    }

    /// The stable code of a problem document.
    pub(crate) fn code(&self) -> Option<String> {
        self.document().map(|document| document.code)
    }

    /// The problem in words, and what to do.
    pub(crate) fn problem(&self) -> String {
        let mut text = format!("the shop answered {}", self.status);
        if let Some(document) = self.document() {
            let detail = document.detail.unwrap_or(document.title);
            text.push_str(&format!(": {detail} (code {}, trace {})", document.code, document.trace_id));
            for error in document.errors {
                text.push_str(&format!("; {}: {}", error.field, error.message));
            }
        }
        text.push_str(match self.status.as_u16() {
            401 => ". Is it this shop's administrator? (SHOP_ADMIN_PASSWORD or --password-file, and --email)",
            403 => ". Who logged in may not do that: name the shop's administrator with --email",
            404 | 405 => ". Is it a shop that listens there? (another address: --url URL)",
            422 => ". The loader and the shop are of different versions: build both again",
            503 | 504 => ". It is overloaded: run the loader again, with fewer --connections",
            507 => ". Raise limits.storage of the service in the manifest, or make room on the disk",
            _ => ". The host's log says more under that trace",
        });
        text
    }

    fn document(&self) -> Option<Problem> {
        serde_json::from_slice(&self.body).ok()
    }
}

#[derive(Deserialize)]
struct Problem {
    title: String,
    detail: Option<String>,
    code: String,
    #[serde(default)]
    trace_id: String,
    #[serde(default)]
    errors: Vec<FieldError>,
}

#[derive(Deserialize)]
struct FieldError {
    field: String,
    message: String,
}

/// A connection that is opened at first use, and again after it broke.
pub(crate) struct Connection {
    address: Address,
    /// `Authorization`, once somebody is logged in.
    authorization: Option<HeaderValue>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    pub(crate) fn new(address: Address) -> Connection {
        Connection { address, authorization: None, sender: None }
    }

    /// The same, with a token in every request.
    pub(crate) fn with_token(self, token: &str) -> Result<Connection> {
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).context("the token is no token")?;
        value.set_sensitive(true);
        Ok(Connection { authorization: Some(value), ..self })
    }

    /// Asks for a resource.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// Posts a JSON document.
    pub(crate) async fn post(&mut self, path: &str, body: Bytes) -> Result<Answer> {
        self.send(Method::POST, path, body).await
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Answer> {
        let mut pause = PAUSE_FIRST;
        for attempt in 1.. {
            let last = attempt == ATTEMPTS_MAX;
            match self.attempt(&method, path, body.clone()).await {
                Ok((answer, headers)) if answer.status == StatusCode::SERVICE_UNAVAILABLE && !last => {
                    tokio::time::sleep(retry_after(&headers).unwrap_or(pause).min(PAUSE_MAX)).await;
                }
                Ok((answer, _)) => return Ok(answer),
                Err(error) if last => {
                    return Err(error).with_context(|| {
                        format!(
                            "failed to {method} {path} at {} in {ATTEMPTS_MAX} attempts (does the shop still run?)",
                            self.address.authority
                        )
                    });
                }
                Err(_) => {
                    self.sender = None;
                    tokio::time::sleep(pause.min(PAUSE_MAX)).await;
                }
            }
            pause *= 2;
        }
        bail!("no attempt was made")
    }

    async fn attempt(&mut self, method: &Method, path: &str, body: Bytes) -> Result<(Answer, HeaderMap)> {
        tokio::time::timeout(REQUEST_TIMEOUT, self.exchange(method, path, body))
            .await
            .context("no answer in time")?
    }

    /// Sends the request and reads its answer, once.
    async fn exchange(&mut self, method: &Method, path: &str, body: Bytes) -> Result<(Answer, HeaderMap)> {
        let mut sender = match self.sender.take() {
            Some(sender) if !sender.is_closed() => sender,
            _ => self.open().await?,
        };
        sender.ready().await?;
        let mut request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(HOST, self.address.header.clone())
            .body(Full::new(body))?;
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        if method == Method::POST {
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        self.sender = Some(sender);
        Ok((Answer { status: head.status, body }, head.headers))
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&*self.address.authority).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends by itself when the sender is dropped, or with an error that the sender gets too.
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// Asks until the shop is ready, at most for `wait`.
pub(crate) async fn wait_until_ready(address: &Address, wait: Duration) -> Result<()> {
    let started = Instant::now();
    let mut connection = Connection::new(address.clone());
    loop {
        let reason = match connection.attempt(&Method::GET, "/.well-known/bulkhead/ready", Bytes::new()).await
        {
            Ok((answer, _)) if answer.status.is_success() => return Ok(()),
            Ok((answer, _)) => answer.problem(),
            Err(error) => format!("{error:#}"),
        };
        if started.elapsed() >= wait {
            bail!(
                "no shop is ready at http://{} after {} s: {reason}. Start it (`make run`), or name another with --url",
                address.authority,
                wait.as_secs()
            );
        }
        tokio::time::sleep(READY_INTERVAL).await;
    }
}

/// The header in seconds. The form with a date is not used by the host.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_a_host_and_a_port() {
        for text in ["https://127.0.0.1:1", "127.0.0.1:8080", "http://127.0.0.1:1/shop", "/products"] {
            assert!(text.parse::<Address>().is_err(), "{text} was taken");
        }
        let address: Address = "http://localhost".parse().unwrap();
        assert_eq!(&*address.authority, "localhost:80");
    }

    #[test]
    fn a_refusal_is_shown_with_its_detail_its_fields_and_what_to_do() {
        let body = br#"{"type":"x","title":"Invalid","status":422,"detail":"2 fields","code":"invalid","trace_id":"t",
            "errors":[{"field":"price","message":"too high"}]}"#;
        let answer = Answer { status: StatusCode::UNPROCESSABLE_ENTITY, body: Bytes::from_static(body) };
        assert_eq!(
            answer.problem(),
            "the shop answered 422 Unprocessable Entity: 2 fields (code invalid, trace t); price: too high. \
             The loader and the shop are of different versions: build both again"
        );
    }
}
