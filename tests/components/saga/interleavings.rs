//! Orders whose events, timers and requests come in any order: whatever it is, at the end all agree.

use super::*;
use crate::chance::Chance;

/// How many orders of things are tried. Each has its seed, which a failure names.
const SEEDS: u64 = 25;
const ORDERS: usize = 6;
/// Things that happen in each.
const HAPPENINGS: usize = 100;

const SUBSCRIPTIONS: [(&str, &str); 6] = [
    ("order", "product"),
    ("product", "order"),
    ("order", "report"),
    ("product", "report"),
    ("user", "order"),
    ("user", "product"),
];

/// What is done to an order; cancelling it, which ends most, the least often.
const WHAT: [&str; 8] = ["cancel", "payment", "payment", "ship", "ship", "ship", "deliver", "deliver"];

/// One thing happens: a request, an event that is taken, or time that passes.
fn happens(shop: &Shop, who: &mut String, ids: &mut Vec<String>, chance: &mut Chance) {
    match chance.index(20) {
        0..=2 if ids.len() < ORDERS => {
            let token = ["tok_ok", "tok_ok", "tok_declined", "tok_flaky"][chance.index(4)];
            let quantity =
                |chance: &mut Chance, most: usize| i64::try_from(chance.index(most)).unwrap_or_default();
            let (potatoes, leeks) = (1 + quantity(chance, 5), quantity(chance, 3));
            let answer = shop.ordering(who, potatoes, leeks, token).send().status(201);
            ids.push(answer.text_of("id"));
        }
        3..=6 if !ids.is_empty() => {
            let id = &ids[chance.index(ids.len())];
            let what = WHAT[chance.index(WHAT.len())];
            let answer = shop.doing(id, what).send();
            assert!(matches!(answer.status_code(), 200 | 409), "{}", answer.text());
        }
        7 => shop.app.advance(Duration::from_secs(60) * u32::try_from(chance.index(6)).unwrap_or_default()),
        8 if chance.index(10) == 0 => {
            let _ = admin(shop.user.delete(format!("/users/{who}"))).send().status(204);
            *who = shop.registers(&format!("Bo{}", chance.next()));
        }
        9..=11 => shop.run_due_timers(),
        _ => {
            let (producer, consumer) = SUBSCRIPTIONS[chance.index(SUBSCRIPTIONS.len())];
            if let Some(step) = shop.app.step_subscription(producer, consumer) {
                assert_eq!(step.not_consumed, None, "{step:?}");
            }
        }
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a failure is to name its seed")]
fn all_services_agree_once_settled_whichever_event_comes_first() {
    let mut ends = BTreeMap::<String, usize>::new();
    for seed in 0..SEEDS {
        eprintln!("seed {seed}");
        let shop = Shop::open();
        let (mut who, mut ids, mut chance) = (shop.ada.clone(), Vec::new(), Chance::new(seed));
        for _ in 0..HAPPENINGS {
            happens(&shop, &mut who, &mut ids, &mut chance);
        }
        shop.settles();
        shop.agrees();
        // And once no order waits to be paid any more.
        shop.app.advance(TIME_TO_PAY);
        shop.settles();
        shop.agrees();
        for id in &ids {
            let [status, ..] = shop.stands(id);
            assert!(!matches!(status.as_str(), "pending" | "reserved"), "{id} is {status} for ever");
            *ends.entry(status).or_default() += 1;
        }
    }
    // They were worth their time: orders came to each end.
    for status in ["paid", "shipped", "delivered", "rejected", "cancelled"] {
        assert!(ends.contains_key(status), "{ends:?}");
    }
}
