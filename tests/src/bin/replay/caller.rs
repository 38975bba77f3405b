//! A client that repeats: on a connection that breaks, on 503 and on 504, with the same `Idempotency-Key`, at the address that holds then.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bulkhead_tests::{Answer, Client};
use bytes::Bytes;
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::running::Running;
use crate::seen::Page;

/// The first pause before a request is repeated; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// The most that a page may hold.
const PAGE_LIMIT: u32 = 200;

/// A client of one thread.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    running: &'a Running,
    /// The number of the address that the client is for.
    client: Option<(u64, Client)>,
    token: Option<String>,
}

/// A request that changes something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Write<'a> {
    pub(crate) method: &'static str,
    pub(crate) path: &'a str,
    /// Sent again with it whenever it is repeated; a method that may be repeated anyway has none.
    pub(crate) key: Option<&'a str>,
    /// None: no body.
    pub(crate) body: Option<&'a Value>,
    /// Positions to be waited for.
    pub(crate) after: &'a [&'a str],
}

impl<'a> Caller<'a> {
    /// A client without a connection yet.
    pub(crate) fn new(running: &'a Running, token: Option<&str>) -> Caller<'a> {
        Caller { running, client: None, token: token.map(str::to_owned) }
    }

    /// Another one like this.
    pub(crate) fn another(&self) -> Caller<'a> {
        Caller::new(self.running, self.token.as_deref())
    }

    /// Reads a resource.
    pub(crate) fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        read(&self.call(Method::GET, path, &[], &Bytes::new())?, &[200])
    }

    /// Reads a whole list; `query` ends with `?` or `&`. Each page is a step of work.
    pub(crate) fn list<T: DeserializeOwned>(&mut self, query: &str) -> Result<Vec<T>> {
        let mut items = Vec::new();
        let mut path = format!("{query}limit={PAGE_LIMIT}");
        loop {
            let page: Page<T> = self.get(&path)?;
            items.extend(page.items);
            self.running.advance();
            let Some(cursor) = page.next_cursor else { return Ok(items) };
            path = format!("{query}limit={PAGE_LIMIT}&cursor={}", bulkhead_tests::shop::escape(&cursor));
        }
    }

    /// Sends a JSON document with a key by POST.
    pub(crate) fn post(&mut self, path: &str, key: &str, body: &Value) -> Result<Answer> {
        self.write(Write { method: "POST", path, key: Some(key), body: Some(body), after: &[] })
    }

    /// Sends nothing but a key by POST.
    pub(crate) fn act(&mut self, path: &str, key: &str) -> Result<Answer> {
        self.write(Write { method: "POST", path, key: Some(key), body: None, after: &[] })
    }

    /// Changes something.
    pub(crate) fn write(&mut self, write: Write<'_>) -> Result<Answer> {
        let mut headers: Vec<(&str, &str)> = Vec::new();
        headers.extend(write.key.map(|key| ("idempotency-key", key)));
        headers.extend(write.body.map(|_| ("content-type", "application/json")));
        headers.extend(write.after.iter().map(|token| ("bulkhead-after", *token)));
        let body = write.body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        self.call(write.method.parse()?, write.path, &headers, &body)
    }

    /// Repeats a request until it is answered by something else than 503 and 504.
    fn call(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: &Bytes) -> Result<Answer> {
        let mut pause = PAUSE_FIRST;
        loop {
            let (generation, address) = self.running.address()?;
            let attempt =
                self.client(generation, address).try_send(method.clone(), path, headers, body.clone());
            match attempt {
                // A port that a killed host had may be another one's by now: its refusals are not the shop's.
                Ok(answer) if answer.status >= 400 && !self.running.holds(generation) => {
                    self.running.repeat(answer.to_string());
                }
                Ok(answer) if matches!(answer.status, 503 | 504) => self.running.repeat(answer.to_string()),
                Ok(answer) => {
                    if answer.header("idempotency-replayed").is_some() {
                        self.running.replayed();
                    }
                    return Ok(answer);
                }
                Err(error) => self.running.repeat(format!("{method} {path}: {error}")),
            }
            self.running.pause(pause)?;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn client(&mut self, generation: u64, address: SocketAddr) -> &mut Client {
        let held = self.client.take().filter(|(number, _)| *number == generation);
        let (_, client) = self.client.insert(held.unwrap_or_else(|| {
            let client = Client::new(address);
            (
                generation,
                match &self.token {
                    Some(token) => client.with_token(token),
                    None => client,
                },
            )
        }));
        client
    }
}

/// What an answer says, if it has one of these statuses.
pub(crate) fn read<T: DeserializeOwned>(answer: &Answer, statuses: &[u16]) -> Result<T> {
    if !statuses.contains(&answer.status) {
        bail!("{answer}");
    }
    serde_json::from_slice(&answer.body).with_context(|| format!("the replay cannot read this: {answer}"))
}

/// The position after a write.
pub(crate) fn position(answer: &Answer) -> Result<String> {
    answer.header("bulkhead-position").map(str::to_owned).with_context(|| format!("no position: {answer}"))
}

/// Does a job for each item on this many connections. Each item is a step of work; the first failure ends all.
pub(crate) fn in_parallel<T: Sync>(
    running: &Running,
    token: Option<&str>,
    connections: usize,
    items: &[T],
    job: impl Fn(&mut Caller<'_>, &T) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                running.guard(|| {
                    let mut caller = Caller::new(running, token);
                    while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                        job(&mut caller, item)?;
                        running.advance();
                    }
                    Ok(())
                });
            });
        }
    });
    running.check()
}
