//! SIGKILL under load, again and again: what was acknowledged is there after the restart, and no unit of work is there by half.

use std::collections::BTreeSet;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use bulkhead_tests::{Client, Random, Site, database, shop};
use http::Method;

const KILLS: u64 = 20;
const WRITERS: u64 = 16;
/// The host is killed after so many acknowledgements at most, and a moment of a few commits' length more.
const ACKNOWLEDGED_MAX: u64 = 400;
const MOMENT_MAX_MICROS: u64 = 5_000;

#[test]
fn acknowledged_writes_survive_each_of_20_kills_and_none_is_partial() {
    let site = Site::shop();
    let mut random = Random::new();
    let mut acknowledged = BTreeSet::new();
    let mut sent = 0;
    let category = {
        let host = site.start();
        let category = shop::category(&mut host.admin(), "everything", None);
        host.stop();
        category
    };
    for kill in 0..KILLS {
        let host = site.start();
        let (sender, acknowledgements) = channel();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (client, sender, category) = (host.admin(), sender.clone(), category.clone());
                thread::spawn(move || {
                    write_until_it_ends(client, &sender, &category, &format!("{kill}-{writer}"))
                })
            })
            .collect();
        drop(sender);
        let before = usize::try_from(1 + random.below(ACKNOWLEDGED_MAX)).unwrap();
        let mut skus: Vec<String> = acknowledgements.iter().take(before).collect();
        spin_for(Duration::from_micros(random.below(MOMENT_MAX_MICROS)));
        host.kill();
        skus.extend(acknowledgements);
        sent += writers.into_iter().map(|writer| writer.join().unwrap()).sum::<usize>();
        assert!(skus.len() >= before, "kill {kill}: the writers ended before the host was killed");

        let host = site.start();
        let mut client = host.admin();
        for sku in &skus {
            assert_eq!(client.get(&format!("/products/by-sku/{sku}")).expect(200)["sku"], sku.as_str());
        }
        host.stop();
        acknowledged.extend(skus);
        check_units_of_work(&site, &acknowledged, kill);
    }
    let stored = database::number(&database::open(&site.database("product")), "SELECT count(*) FROM product");
    assert!(usize::try_from(stored).unwrap() <= sent, "{stored} products of {sent} requests");
}

/// Posts product after product, and reports the SKU of each that is acknowledged. Gives how many requests it sent.
fn write_until_it_ends(
    mut client: Client,
    acknowledged: &Sender<String>,
    category: &str,
    name: &str,
) -> usize {
    for number in 0.. {
        let sku = format!("{name}-{number}");
        let body = shop::product_body(category, &sku).to_string().into();
        let headers = [("content-type", "application/json")];
        match client.try_send(Method::POST, "/products", &headers, body) {
            Ok(answer) => {
                answer.expect(201);
                acknowledged.send(sku).unwrap();
            }
            Err(_) => return number + 1,
        }
    }
    unreachable!("the writer ends with its host")
}

/// Every acknowledged product is in the file, every product has exactly one event and every event its product.
fn check_units_of_work(site: &Site, acknowledged: &BTreeSet<String>, kill: u64) {
    let connection = database::open(&site.database("product"));
    database::check(&connection);
    let skus = database::texts(&connection, "SELECT sku FROM product");
    let there: BTreeSet<String> = skus.iter().cloned().collect();
    assert_eq!(skus.len(), there.len(), "kill {kill}: a product is there twice");
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty(), "kill {kill}: acknowledged and not there: {lost:?}");

    let products = database::texts(&connection, "SELECT id FROM product ORDER BY id");
    let event_subjects =
        "SELECT subject FROM _bulkhead_outbox WHERE type = 'product.changed' ORDER BY subject";
    let events = database::texts(&connection, event_subjects);
    assert!(products == events, "kill {kill}: {} products and {} events", products.len(), events.len());
}

/// A moment too short to be left to a scheduler.
fn spin_for(moment: Duration) {
    let started = Instant::now();
    while started.elapsed() < moment {
        std::hint::spin_loop();
    }
}
