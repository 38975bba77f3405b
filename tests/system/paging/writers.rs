//! Pages while others write at the same time.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use bulkhead_properties::{hold_in, seed};
use bulkhead_tests::shop::{category, id, product_body, read_page};
use bulkhead_tests::{Client, Random};
use proptest::collection::vec;
use serde_json::{Value, json};

use super::model::{Key, check};
use super::unhurried_shop;

/// So many products are there all the time, in their places.
const STEADY: usize = 40;
/// So many walks are made, from the first page to the last.
const WALKS: u32 = 24;
/// A writer has so many products at most.
const OWN_MAX: usize = 20;

/// What a list is asked for by, the field that it is sorted by, and whether the last comes first.
const SORTS: [(&str, &str, bool); 5] = [
    ("name", "name", false),
    ("price", "price", false),
    ("-price", "price", true),
    ("created_at", "created_at", false),
    ("-created_at", "created_at", true),
];
/// Filters that take every steady product at every time.
const FILTERS: [&str; 4] = ["", "category=CATEGORY&", "q=made&", "in_stock=true&min_price=1.00&"];

/// What a product is made from: few different names and prices, so that the pages end among equal ones.
fn body(category: &str, sku: &str, random: &mut Random) -> Value {
    let mut body = product_body(category, sku);
    body["name"] = format!("Name {}", random.below(4)).into();
    body["price"] = format!("{}.00", random.below(4) + 1).into();
    body
}

/// What a writer does it with.
struct Writer<'a> {
    client: Client,
    seed: u64,
    category: &'a str,
    steady: &'a [String],
    /// Tells of each write, if nobody did since the last page.
    written: SyncSender<()>,
}

/// Inserts, moves and deletes products of its own, and changes the steady ones in what no list is sorted by, until it is told to end.
fn write(writer: Writer<'_>, done: &AtomicBool) {
    let Writer { mut client, seed, category, steady, written } = writer;
    let mut random = Random::of_seed(seed);
    let mut own: Vec<String> = Vec::new();
    let mut writes = 0;
    while !done.load(Ordering::Relaxed) {
        writes += 1;
        let which = |random: &mut Random, count: usize| usize::try_from(random.below(count as u64)).unwrap();
        match random.below(8) {
            0..3 if own.len() < OWN_MAX => {
                let body = body(category, &format!("{seed}-{writes}"), &mut random);
                own.push(id(&client.post("/products", &body).expect(201)));
            }
            0..4 if !own.is_empty() => {
                let product = own.swap_remove(which(&mut random, own.len()));
                client.delete(&format!("/products/{product}")).expect(204);
            }
            4..6 if !own.is_empty() => {
                let product = &own[which(&mut random, own.len())];
                let body = body(category, "", &mut random);
                let change = json!({"name": body["name"], "price": body["price"]});
                client.patch(&format!("/products/{product}"), &change).expect(200);
            }
            6 => {
                let product = &steady[which(&mut random, steady.len())];
                let change = json!({"description": format!("Made for the time number {writes}.")});
                client.patch(&format!("/products/{product}"), &change).expect(200);
            }
            _ => {
                let product = &steady[which(&mut random, steady.len())];
                client.post(&format!("/products/{product}/stock"), &json!({"delta": 1})).expect(200);
            }
        }
        let _ = written.try_send(());
    }
}

/// Reads from the first page to the last: pages of these sizes, and then large ones, so that the pages end though more is inserted.
/// Something was written before each.
fn walk(client: &mut Client, query: &str, limits: &[usize], written: &Receiver<()>) -> Vec<Value> {
    let mut given = Vec::new();
    let mut cursor = String::new();
    for limit in limits.iter().chain(&[200, 200]) {
        written.recv().expect("a writer goes on");
        let (page, next) = read_page(client, &format!("{query}limit={limit}{cursor}"));
        assert!(page.len() <= *limit, "{} items", page.len());
        given.extend(page);
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return given,
        }
    }
    panic!("the pages do not end");
}

/// The seed is one of the requests: which of them come at the same time is the machine's to say.
#[test]
fn pages_of_products_stay_consistent_under_concurrent_inserts_moves_and_deletes() {
    let site = unhurried_shop();
    let host = site.start();
    let mut client = host.admin();
    let category = category(&mut client, "all", None);
    let mut random = Random::of_seed(seed());
    let made: Vec<Value> = (0..STEADY)
        .map(|number| {
            let body = body(&category, &format!("steady-{number}"), &mut random);
            client.post("/products", &body).expect(201)
        })
        .collect();
    let steady: Vec<String> = made.iter().map(id).collect();
    let writers = [random.number(), random.number()].map(|seed| (seed, host.admin()));
    let walks = (0..SORTS.len(), 0..FILTERS.len(), vec(1..=6_usize, 0..20));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (sender, written) = sync_channel(1);
        for (seed, client) in writers {
            let writer =
                Writer { client, seed, category: &category, steady: &steady, written: sender.clone() };
            let done = &done;
            scope.spawn(move || write(writer, done));
        }
        // Where both have failed nobody is waited for.
        drop(sender);
        let client = RefCell::new(client);
        let read = || {
            hold_in(WALKS, 0, &walks, |(sort, filter, limits)| {
                let (sort, field, descends) = SORTS[sort];
                let filter = FILTERS[filter].replace("CATEGORY", &category);
                let query = format!("/products?sort={sort}&{filter}");
                let key = |item: &Value| Key { number: 0, text: item[field].to_string(), id: id(item) };
                let given = walk(&mut client.borrow_mut(), &query, &limits, &written);
                let keys: Vec<Key> = given.iter().map(key).collect();
                check(&keys, &made.iter().map(key).collect::<BTreeSet<Key>>(), descends);
            });
        };
        // The other threads must end also where a check fails.
        let outcome = catch_unwind(AssertUnwindSafe(read));
        done.store(true, Ordering::Relaxed);
        if let Err(reason) = outcome {
            resume_unwind(reason);
        }
    });
}
