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
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Requests before the clock starts, on each connection: connections, caches and statements are warm then.
const WARM_UP: usize = 20;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// `GET /products/{id}`, of 1,000 products in turn.
    Get,
    /// The first page of a category, of 50 products.
    Category,
    /// A full-text search that finds one product.
    Search,
    /// `POST /products`.
    Post,
    /// Nine reads of a product, then a new one.
    Mix,
}

/// What came of a load.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Answers, those of the warm-up included.
    pub(crate) answered: u64,
    /// Answers per second.
    pub(crate) rate: f64,
    /// The time to an answer in milliseconds: the median, and the 99th and the 99.9th percentile.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
}

impl Kind {
    /// The name that the command line takes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Get => "get",
            Kind::Category => "category",
            Kind::Search => "search",
            Kind::Post => "post",
            Kind::Mix => "mix",
        }
    }

    /// What the table calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Kind::Get => "GET a product",
            Kind::Category => "GET a page of a category",
            Kind::Search => "GET a search",
            Kind::Post => "POST a product, durable",
            Kind::Mix => "9 GET, 1 POST",
        }
    }

    /// Whether it is everybody's, and comes without a token.
    pub(crate) fn is_read(self) -> bool {
        !matches!(self, Kind::Post | Kind::Mix)
    }
}

/// What all connections share.
struct Shared {
    kind: Kind,
    host: String,
    /// Sent with each request, where there is any.
    token: String,
    category: String,
    /// Of the products that are created.
    new: String,
    products: Vec<String>,
    run: u64,
    asked: Cell<usize>,
}

impl Shared {
    /// The next request, and the status of its answer: products in turn, or a product that was never there.
    fn next(&self) -> (Request<Full<Bytes>>, u16) {
        let number = self.asked.replace(self.asked.get() + 1);
        let builder = || {
            let builder = Request::builder().header(header::HOST, &self.host);
            if self.token.is_empty() {
                return builder;
            }
            builder.header(header::AUTHORIZATION, format!("Bearer {}", self.token))
        };
        let place = number % self.products.len();
        let kind = match self.kind {
            Kind::Mix if number % 10 == 9 => Kind::Post,
            Kind::Mix => Kind::Get,
            kind => kind,
        };
        let read = |uri: String| builder().uri(uri).body(Full::new(Bytes::new()));
        let request = match kind {
            Kind::Get => read(format!("/products/{}", self.products[place])),
            Kind::Category => read(format!("/products?category={}", self.category)),
            Kind::Search => read(format!("/products?q=first-{place}")),
            Kind::Post | Kind::Mix => {
                let body = shop::product_body(&self.new, &format!("{:x}-{number}", self.run));
                builder()
                    .method(Method::POST)
                    .uri("/products")
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(Full::new(Bytes::from(body.to_string())))
            }
        };
        (request.expect("a request"), if kind == Kind::Post { 201 } else { 200 })
    }
}

/// Asks for as long as it is told.
pub(crate) fn run(kind: Kind, address: SocketAddr, ids: &Path, connections: usize, seconds: f64) -> Measured {
    let text = std::fs::read_to_string(ids).expect("the ids");
    let mut lines = text.lines().map(str::to_owned);
    let shared = Rc::new(Shared {
        kind,
        host: address.to_string(),
        token: lines.next().expect("a token, or an empty line"),
        category: lines.next().expect("a category"),
        new: lines.next().expect("another one"),
        products: lines.collect(),
        run: getrandom::u64().expect("random numbers"),
        asked: Cell::new(0),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, measure(shared, address, connections, seconds))
}

async fn measure(shared: Rc<Shared>, address: SocketAddr, connections: usize, seconds: f64) -> Measured {
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
                let mut times = Vec::new();
                let mut asked = Instant::now();
                while asked < end {
                    ask(&mut sender, &shared).await;
                    let answered = Instant::now();
                    times.push((answered - asked).as_secs_f32() * 1000.0);
                    asked = answered;
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for connection in asking {
        times.extend(connection.await.expect("a connection that was answered"));
    }
    let took = started.elapsed().as_secs_f64();
    times.sort_by(f32::total_cmp);
    let share = |share: f64| f64::from(times[((times.len() - 1) as f64 * share) as usize]);
    Measured {
        answered: (times.len() + WARM_UP * connections) as u64,
        rate: times.len() as f64 / took,
        p50: share(0.5),
        p99: share(0.99),
        p999: share(0.999),
    }
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
    let (request, expected) = shared.next();
    let answer = sender.send_request(request).await.expect("an answer");
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    assert_eq!(status, expected, "{}", String::from_utf8_lossy(&body));
}
