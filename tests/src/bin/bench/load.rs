//! The load: lean connections in one thread, each asking again as soon as it has its answer.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bulkhead_tests::shop;
use bytes::Bytes;
use clap::ValueEnum;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Requests before the clock starts, on each connection: connections, caches and statements are warm then.
const WARM_UP: usize = 20;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// `GET /products/{id}`.
    Get,
    /// `POST /products`.
    Post,
}

impl Kind {
    /// The name that the command line takes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Get => "get",
            Kind::Post => "post",
        }
    }
}

/// What all connections share.
struct Shared {
    kind: Kind,
    host: String,
    /// Sent with each request, where there is any.
    token: String,
    category: String,
    products: Vec<String>,
    run: u64,
    asked: Cell<usize>,
}

impl Shared {
    /// The next request: products in turn, or a product that was never there.
    fn next(&self) -> Request<Full<Bytes>> {
        let number = self.asked.replace(self.asked.get() + 1);
        let mut builder = Request::builder().header(header::HOST, &self.host);
        if !self.token.is_empty() {
            builder = builder.header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        }
        let request = match self.kind {
            Kind::Get => builder
                .uri(format!("/products/{}", self.products[number % self.products.len()]))
                .body(Full::new(Bytes::new())),
            Kind::Post => {
                let body = shop::product_body(&self.category, &format!("{:x}-{number}", self.run));
                builder
                    .method(Method::POST)
                    .uri("/products")
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(Full::new(Bytes::from(body.to_string())))
            }
        };
        request.expect("a request")
    }
}

/// Asks for as long as it is told, and gives the answers per second.
pub(crate) fn run(kind: Kind, address: SocketAddr, ids: &Path, connections: usize, seconds: f64) -> f64 {
    let text = std::fs::read_to_string(ids).expect("the ids");
    let mut lines = text.lines().map(str::to_owned);
    let shared = Rc::new(Shared {
        kind,
        host: address.to_string(),
        token: lines.next().expect("a token, or an empty line"),
        category: lines.next().expect("a category"),
        products: lines.collect(),
        run: getrandom::u64().expect("random numbers"),
        asked: Cell::new(0),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, measure(shared, address, connections, seconds))
}

async fn measure(shared: Rc<Shared>, address: SocketAddr, connections: usize, seconds: f64) -> f64 {
    let mut warming = Vec::new();
    for _ in 0..connections {
        let shared = Rc::clone(&shared);
        warming.push(tokio::task::spawn_local(async move {
            let mut sender = connect(address).await;
            for _ in 0..WARM_UP {
                ask(&mut sender, &shared).await;
            }
            sender
        }));
    }
    let mut senders = Vec::new();
    for connection in warming {
        senders.push(connection.await.expect("a warm connection"));
    }
    let started = Instant::now();
    let end = started + Duration::from_secs_f64(seconds);
    let asking: Vec<_> = senders
        .into_iter()
        .map(|mut sender| {
            let shared = Rc::clone(&shared);
            tokio::task::spawn_local(async move {
                let mut answered = 0_u32;
                while Instant::now() < end {
                    ask(&mut sender, &shared).await;
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    let mut answered = 0;
    for connection in asking {
        answered += connection.await.expect("a connection that was answered");
    }
    f64::from(answered) / started.elapsed().as_secs_f64()
}

/// A connection, on this thread.
pub(crate) async fn connect(address: SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("a socket without delay");
    let (sender, connection) = handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::task::spawn_local(connection);
    sender
}

async fn ask(sender: &mut SendRequest<Full<Bytes>>, shared: &Shared) {
    sender.ready().await.expect("a connection that is kept");
    let answer = sender.send_request(shared.next()).await.expect("an answer");
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    let expected = if shared.kind == Kind::Get { 200 } else { 201 };
    assert_eq!(status, expected, "{}", String::from_utf8_lossy(&body));
}
