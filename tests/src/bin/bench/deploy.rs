//! What a deploy costs those who ask meanwhile, and how long it takes until the next version answers.
//!
//! Requests leave at fixed times, whether the ones before are answered or not, and are timed from the time at which each had to leave: so a
//! pause counts for all that had to wait for its end.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_tests::admin::deploys::component;
use bulkhead_tests::{Admin, Host, Site, paths, versions};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use serde_json::Value;
use tokio::task::LocalSet;

use crate::load::connect;
use crate::rounds::{Things, median, percentile};

/// Connections on which requests leave in turn.
const CONNECTIONS: usize = 32;
/// Requests a second, all connections together: half of them reads of a product, half durable writes of one.
const RATE: f64 = 1_000.0;
/// Swaps after which the next version's first answer is timed.
const SWAPS_TIMED: usize = 41;

/// Measures and prints.
pub(crate) fn run(rounds: u32, seconds: f64) {
    let shop = Shop::open();
    println!();
    println!("| deploys of the product service | measured |");
    println!("| --- | ---: |");
    first_answers(&shop);
    latencies(&shop, rounds, seconds);
    shop.host.stop();
}

/// A shop with products, and the versions that are deployed in it.
struct Shop {
    site: Site,
    host: Host,
    things: Things,
    /// The service as it is, twice: the second time with a section that nobody reads.
    same: [Bytes; 2],
    /// The same with a column more, which a migration adds.
    column: Bytes,
}

impl Shop {
    fn open() -> Shop {
        let site = Site::shop();
        let host = site.start();
        let things = Things::make(&mut host.admin());
        let product = component(&paths::component("product"));
        let other = with_section(&product);
        let column = component(&versions::product_column());
        let mut operator = Admin::of(&site, &host);
        // In the cache: compiling is not what is measured.
        for component in [&other, &column] {
            operator.ask_to_deploy("product", component.clone(), "dry_run=true").expect(200);
        }
        Shop { site, host, things, same: [product, other], column }
    }

    fn operator(&self) -> Admin {
        Admin::of(&self.site, &self.host)
    }

    /// Puts the other version in its place, without a migration.
    fn swap(&self, operator: &mut Admin, number: usize) -> Value {
        deploy(operator, &self.same[(number + 1) % 2])
    }

    /// One in five with a migration, forth or back.
    fn mixed(&self, operator: &mut Admin, number: usize) -> Value {
        if number % 10 < 8 { self.swap(operator, number) } else { self.migrate(operator, number) }
    }

    /// Adds the column, and the next time takes it away.
    fn migrate(&self, operator: &mut Admin, number: usize) -> Value {
        if number % 2 == 1 { operator.roll_back("product", None) } else { deploy(operator, &self.column) }
    }
}

fn deploy(operator: &mut Admin, component: &Bytes) -> Value {
    let deployed = operator.ask_to_deploy("product", component.clone(), "").expect(200);
    assert_eq!(deployed["outcome"], "deployed", "{deployed}");
    deployed
}

/// The component with a custom section more (WebAssembly's binary format, 5.5.3): another version that does the same.
fn with_section(component: &Bytes) -> Bytes {
    const SECTION: &[u8] = b"\x00\x06\x05bench";
    [component, SECTION].concat().into()
}

/// From the call of the admin port to the answer of the next version, which is asked when that call is answered.
fn first_answers(shop: &Shop) {
    let (mut operator, mut client) = (shop.operator(), shop.host.client());
    let ways: [(&str, Swap); 2] =
        [("without migrations", Shop::swap), ("with a migration forth and back", Shop::migrate)];
    for (way, swap) in ways {
        let (mut times, mut steps) = (Vec::new(), Vec::new());
        for number in 0..SWAPS_TIMED * 2 {
            client.get("/products?limit=1").expect_status(200);
            let started = Instant::now();
            let deployed = swap(shop, &mut operator, number);
            let answer = client.get("/products?limit=1");
            let time = started.elapsed();
            assert_eq!(answer.header("bulkhead-version"), Some(label(&deployed).as_str()), "{answer}");
            times.push(time.as_secs_f64() * 1e3);
            steps.push(deployed);
        }
        let summary = tell_steps(&steps);
        println!(
            "| from the call of the admin API to the next version's answer, in the cache, idle, {way}: median, p90 and most of {} | \
             {:.1}, {:.1} and {:.1} ms |",
            times.len(),
            median(&mut times),
            percentile(&mut times, 0.9),
            percentile(&mut times, 1.0),
        );
        println!("| of which, medians | {summary} |");
    }
}

fn label(deployed: &Value) -> String {
    format!("product@{}", deployed["version"].as_str().expect("a version"))
}

/// The steps with their medians.
fn tell_steps(deployed: &[Value]) -> String {
    let steps = deployed[0]["steps"].as_array().expect("steps");
    let mut summary: Vec<String> = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        let time = |deployed: &Value| deployed["steps"][place]["milliseconds"].as_f64().expect("a time");
        let mut times: Vec<f64> = deployed.iter().map(time).collect();
        summary.push(format!("{} {:.1} ms", step["step"].as_str().expect("a name"), median(&mut times)));
    }
    let mut pauses: Vec<f64> =
        deployed.iter().filter_map(|deployed| deployed["pause_milliseconds"].as_f64()).collect();
    if !pauses.is_empty() {
        summary.push(format!("requests waited for {:.1} ms", median(&mut pauses)));
    }
    summary.join(", ")
}

/// A swap, of which the number says which way it goes.
type Swap = fn(&Shop, &mut Admin, usize) -> Value;

/// What happens while requests are timed.
struct Meanwhile {
    name: &'static str,
    swap: Option<Swap>,
    /// The time from the beginning of one to that of the next, unless that takes longer.
    every: Duration,
}

const MEANWHILE: [Meanwhile; 6] = [
    Meanwhile { name: "nothing", swap: None, every: Duration::MAX },
    Meanwhile { name: "a swap each second", swap: Some(Shop::swap), every: Duration::from_secs(1) },
    Meanwhile {
        name: "a swap with a migration each second",
        swap: Some(Shop::migrate),
        every: Duration::from_secs(1),
    },
    Meanwhile {
        name: "ten swaps a second, one in five with a migration",
        swap: Some(Shop::mixed),
        every: Duration::from_millis(100),
    },
    Meanwhile { name: "swap upon swap", swap: Some(Shop::swap), every: Duration::ZERO },
    Meanwhile { name: "swap upon swap with migrations", swap: Some(Shop::migrate), every: Duration::ZERO },
];

/// The times of all requests in a phase, in seconds.
#[derive(Default)]
struct Phase {
    reads: Vec<f64>,
    writes: Vec<f64>,
    swaps: usize,
    /// How long requests had to wait for each swap, in milliseconds.
    pauses: Vec<f64>,
}

/// Phases with swaps and without, in turn.
fn latencies(shop: &Shop, rounds: u32, seconds: f64) {
    let mut found: [Vec<Phase>; MEANWHILE.len()] = Default::default();
    // Connections, caches and statements are warm then.
    phase(shop, &MEANWHILE[0], seconds);
    for round in 0..rounds {
        // None is always the first.
        for place in 0..MEANWHILE.len() {
            let which = (place + round as usize) % MEANWHILE.len();
            found[which].push(phase(shop, &MEANWHILE[which], seconds));
        }
    }
    println!();
    println!(
        "| {RATE:.0} requests a second on {CONNECTIONS} connections, medians of {rounds}; meanwhile | swaps a second | GET, median | p99 | \
         of that without | PATCH, median | p99 | of that without | requests \
         waited, median and most |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut without = None;
    for (Meanwhile { name, .. }, phases) in MEANWHILE.iter().zip(&mut found) {
        let swaps = phases.iter().map(|phase| phase.swaps).sum::<usize>() as f64;
        let [get, get_99] = [0.5, 0.99].map(|share| of(phases, |phase| percentile(&mut phase.reads, share)));
        let [patch, patch_99] =
            [0.5, 0.99].map(|share| of(phases, |phase| percentile(&mut phase.writes, share)));
        let mut pauses: Vec<f64> = phases.iter().flat_map(|phase| phase.pauses.iter().copied()).collect();
        let waited = if pauses.is_empty() {
            "not at all".to_owned()
        } else {
            format!("{:.1} and {:.1} ms", median(&mut pauses), percentile(&mut pauses, 1.0))
        };
        let (reads, writes) = *without.get_or_insert((get_99, patch_99));
        println!(
            "| {name} | {:.1} | {get:.2} ms | {get_99:.2} ms | {:.2} | {patch:.2} ms | {patch_99:.2} ms | {:.2} | {waited} |",
            swaps / (f64::from(rounds) * seconds),
            get_99 / reads,
            patch_99 / writes
        );
    }
}

/// The median of what each of the phases gives, in milliseconds.
fn of(phases: &mut [Phase], time: impl Fn(&mut Phase) -> f64) -> f64 {
    let mut times: Vec<f64> = phases.iter_mut().map(|phase| time(phase) * 1e3).collect();
    median(&mut times)
}

/// One phase: the requests on a thread of their own, the swaps on this one.
fn phase(shop: &Shop, meanwhile: &Meanwhile, seconds: f64) -> Phase {
    let admin = shop.host.admin();
    let asked = Asked {
        address: shop.host.address(),
        token: admin.token().expect("a token").to_owned(),
        products: shop.things.products().to_vec(),
    };
    let (load_runs, ended) = channel::<()>();
    thread::scope(|scope| {
        let load = scope.spawn(move || {
            let _until_it_ends = load_runs;
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            LocalSet::new().block_on(&runtime, pace(asked, seconds))
        });
        let (mut operator, mut swaps, mut pauses) = (shop.operator(), 0, Vec::new());
        let mut due = Duration::ZERO;
        let started = Instant::now();
        while let Some(swap) = meanwhile.swap {
            let ended = ended.recv_timeout(due.saturating_sub(started.elapsed()));
            // In pairs: each phase begins with the version that the one before began with.
            if ended != Err(RecvTimeoutError::Timeout) && swaps % 2 != 1 {
                break;
            }
            let deployed = swap(shop, &mut operator, swaps);
            pauses.extend(deployed["pause_milliseconds"].as_f64());
            swaps += 1;
            due += meanwhile.every;
        }
        Phase { swaps, pauses, ..load.join().expect("all requests are answered as they should be") }
    })
}

/// What is asked, of whom.
struct Asked {
    address: SocketAddr,
    token: String,
    products: Vec<String>,
}

impl Asked {
    fn request(&self, number: usize) -> Request<Full<Bytes>> {
        // Reads and writes by turns, on each connection too.
        let is_write = (number / CONNECTIONS + number) % 2 == 1;
        let product = &self.products[number % self.products.len()];
        let builder = Request::builder()
            .header(header::HOST, self.address.to_string())
            .uri(format!("/products/{product}"));
        let request = if is_write {
            let price = format!("{}.{:02}", number / 100 % 1000 + 1, number % 100);
            builder
                .method(Method::PATCH)
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
                .body(Full::new(Bytes::from(serde_json::json!({ "price": price }).to_string())))
        } else {
            builder.body(Full::new(Bytes::new()))
        };
        request.expect("a request")
    }
}

/// Asks at a steady rate, and gives the times.
async fn pace(asked: Asked, seconds: f64) -> Phase {
    let (asked, phase) = (Rc::new(asked), Rc::new(RefCell::new(Phase::default())));
    let mut senders = Vec::new();
    for _ in 0..CONNECTIONS {
        senders.push(connect(asked.address).await);
    }
    let count = (RATE * seconds) as usize;
    let started = Instant::now();
    let asking: Vec<_> = senders
        .into_iter()
        .enumerate()
        .map(|(connection, sender)| {
            let (asked, phase) = (Rc::clone(&asked), Rc::clone(&phase));
            let numbers = (connection..count).step_by(CONNECTIONS);
            tokio::task::spawn_local(ask_in_time(sender, asked, phase, numbers, started))
        })
        .collect();
    for connection in asking {
        connection.await.expect("a connection that was answered");
    }
    phase.take()
}

async fn ask_in_time(
    mut sender: SendRequest<Full<Bytes>>,
    asked: Rc<Asked>,
    phase: Rc<RefCell<Phase>>,
    numbers: impl Iterator<Item = usize>,
    started: Instant,
) {
    for number in numbers {
        let due = started + Duration::from_secs_f64(number as f64 / RATE);
        // One that has to wait for the answer before it is late by that; what the timer is late by is not the host's.
        let from = if Instant::now() < due {
            tokio::time::sleep_until(due.into()).await;
            Instant::now()
        } else {
            due
        };
        let request = asked.request(number);
        let is_write = request.method() == Method::PATCH;
        sender.ready().await.expect("a connection that is kept");
        let answer = sender.send_request(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
        let time = from.elapsed().as_secs_f64();
        let mut phase = phase.borrow_mut();
        if is_write { phase.writes.push(time) } else { phase.reads.push(time) }
    }
}
