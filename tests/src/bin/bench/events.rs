//! How long an event takes to the next service, and how fast a consumer that was away catches up.

use std::time::Instant;

use bulkhead_tests::shop::{self, position};
use bulkhead_tests::{Client, Manifest, Site};
use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::rounds::median;

/// Changes whose way is timed.
const CHANGES: usize = 500;
/// Events that a consumer has missed.
const MISSED: u64 = 100_000;
/// Events of one request.
const EVENTS_AT_A_TIME: u64 = 500;

/// Measures and prints.
pub(crate) fn run(rounds: u32) {
    println!();
    println!("| what | measured |");
    println!("| --- | ---: |");
    latency();
    catch_up(rounds);
}

/// A read that asks for a position is answered when the consumer's commit is durable; the write was answered when the producer's was.
fn latency() {
    let site = Site::shop();
    let host = site.start();
    let mut admin = host.admin();
    let category = shop::category(&mut admin, "all", None);
    let product = shop::id(&shop::product(&mut admin, &category, "sku"));
    let (mut waited, mut plain) = (Vec::new(), Vec::new());
    for change in 0..CHANGES {
        let price = format!("{}.{:02}", 1 + change / 100, change % 100);
        let changed = admin.patch(&format!("/products/{product}"), &json!({ "price": price }));
        let position = position(&changed);
        waited.push(milliseconds(|| {
            admin
                .send(Method::GET, "/orders?limit=1", &[("bulkhead-after", position.as_str())], Bytes::new())
                .expect_status(200);
        }));
        plain.push(milliseconds(|| admin.get("/orders?limit=1").expect_status(200)));
    }
    host.stop();
    let (waited, plain) = (median(&mut waited), median(&mut plain));
    println!(
        "| from the answer of a write to that of a read of another service which waits for it, idle, median of {CHANGES} | {waited:.2} ms |"
    );
    println!("| the same read without waiting | {plain:.2} ms |");
}

fn milliseconds(work: impl FnOnce()) -> f64 {
    let started = Instant::now();
    work();
    started.elapsed().as_secs_f64() * 1_000.0
}

/// The events are published while the consumer is not in the manifest; then it is, and one request waits for the last of them. Counted
/// from the moment at which the host takes requests, when its subscription workers have only just begun.
fn catch_up(rounds: u32) {
    let mut rates = Vec::new();
    for _ in 0..rounds {
        let unhurried = |manifest: Manifest| manifest.set("service.sink.limits.request_timeout", "5m");
        let site = Site::new(&Manifest::events().only(&["source"]));
        let host = site.start();
        let last = publish(&mut host.client());
        host.stop();
        let both = unhurried(Manifest::events().only(&["source", "sink"]));
        site.write_manifest(&both.text());
        let started = Instant::now();
        let host = site.start();
        let up = started.elapsed();
        let mut client = host.client();
        let answer =
            client.send(Method::GET, "/sink/items", &[("bulkhead-after", last.as_str())], Bytes::new());
        answer.expect_status(200);
        let whole = started.elapsed();
        // The subscription workers begin before the host takes requests: the rate over the whole start is a lower bound, that over the rest
        // an upper one.
        let rate = |seconds: f64| u32::try_from(MISSED).map_or(0.0, f64::from) / seconds;
        rates.push((rate(whole.as_secs_f64()), rate((whole - up).as_secs_f64())));
        host.stop();
    }
    let mut lower: Vec<f64> = rates.iter().map(|(lower, _)| *lower).collect();
    println!(
        "| events a second that a consumer catches up at, of {MISSED} that it missed: the start of the host included, median of {rounds} | {:.0} |",
        median(&mut lower)
    );
    let mut upper: Vec<f64> = rates.iter().map(|(_, upper)| *upper).collect();
    println!("| the same from the moment at which the host takes requests | {:.0} |", median(&mut upper));
}

/// Publishes, and gives the position of the last.
fn publish(client: &mut Client) -> String {
    let mut last = None;
    for round in 0..MISSED / EVENTS_AT_A_TIME {
        let events: Vec<Value> = (0..EVENTS_AT_A_TIME)
            .map(|n| {
                let subject = format!("s{}", n % 100);
                let data = json!({"subject": subject, "n": round * EVENTS_AT_A_TIME + n});
                json!({"type": "source.happened", "subject": subject, "data": data})
            })
            .collect();
        let answer = client.post("/source/events", &json!(events));
        answer.expect_status(201);
        last = Some(position(&answer));
    }
    last.expect("events were published")
}
