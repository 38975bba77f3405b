//! Nothing depends on how the logs of the order service and of the product service interleave, on what comes twice, or on when a dead
//! letter is tried again. Each log alone keeps its order.

use std::collections::BTreeMap;

use bulkhead_testing::{Service, Value, json};

use super::{
    Line, Said, cancelled, category_changed, delivered, everything, money, order, paid, placed, product,
    product_changed, rejected, report, reserved, shipped, statuses, take, total,
};
use crate::chance::Chance;

const DAYS: [&str; 3] = ["2026-01-02", "2026-01-03", "2026-02-01"];
const PRODUCTS: u32 = 6;
const ORDERS: u32 = 12;

/// How far an order comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Pending,
    Reserved,
    Paid,
    Shipped,
    Delivered,
    Rejected,
    CancelledUnpaid,
    CancelledPaid,
}

const ENDS: [(End, &str); 8] = [
    (End::Pending, "pending"),
    (End::Reserved, "reserved"),
    (End::Paid, "paid"),
    (End::Shipped, "shipped"),
    (End::Delivered, "delivered"),
    (End::Rejected, "rejected"),
    (End::CancelledUnpaid, "cancelled"),
    (End::CancelledPaid, "cancelled"),
];

/// What happened in the shop: two logs, and what the tables are to hold of them.
struct History {
    order_log: Vec<Said>,
    product_log: Vec<Said>,
    orders: Vec<(End, &'static str, Vec<Line>)>,
}

impl History {
    fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut product_log = Vec::new();
        for version in ["", "New "] {
            for number in 1..=3 {
                let parent = (number > 1).then(|| chance.below(number - 1) + 1);
                product_log.push(category_changed(number, &format!("{version}Category {number}"), parent));
            }
            for number in 1..=PRODUCTS {
                product_log.push(product_changed(
                    number,
                    &format!("{version}Product {number}"),
                    chance.below(3) + 1,
                ));
            }
        }
        let mut order_log = Vec::new();
        let mut orders = Vec::new();
        // Each order's own facts, of which the next is always some order's.
        let mut to_come = Vec::new();
        for number in 0..ORDERS {
            let end = ENDS[chance.below(8) as usize].0;
            let mut line = |id| (id, i64::from(chance.below(5)) + 1, i64::from(chance.below(2000)));
            let lines: Vec<Line> =
                (1..=PRODUCTS).map(&mut line).filter(|(_, quantity, _)| *quantity > 2).collect();
            let day = DAYS[chance.below(3) as usize];
            let paid = paid(number, total(&lines));
            let facts = match end {
                End::Pending | End::Reserved => vec![],
                End::Paid => vec![paid],
                End::Shipped => vec![paid, shipped(number)],
                End::Delivered => vec![paid, shipped(number), delivered(number)],
                End::Rejected => vec![rejected(number)],
                End::CancelledUnpaid => vec![cancelled(number)],
                End::CancelledPaid => vec![paid, cancelled(number)],
            };
            let mut facts: Vec<Said> = [vec![placed(number, day, &lines)], facts].concat();
            facts.reverse();
            to_come.push(facts);
            if !matches!(end, End::Pending | End::Rejected) {
                let place = chance.below(u32::try_from(product_log.len()).unwrap_or(1) + 1);
                product_log.insert(place as usize, reserved(number));
            }
            orders.push((end, day, lines));
        }
        while !to_come.is_empty() {
            let place = chance.below(u32::try_from(to_come.len()).unwrap_or(1)) as usize;
            match to_come[place].pop() {
                Some(said) => order_log.push(said),
                None => drop(to_come.remove(place)),
            }
        }
        Self { order_log, product_log, orders }
    }

    /// Delivers both logs, interleaved at random, some events twice and some once more later on.
    #[track_caller]
    fn deliver(&self, reports: &Service, chance: &mut Chance) {
        let (mut orders, mut products) = (&self.order_log[..], &self.product_log[..]);
        loop {
            let lengths =
                [orders.len(), products.len()].map(|length| u32::try_from(length).unwrap_or_default());
            if lengths == [0, 0] {
                break;
            }
            let log =
                if chance.below(lengths[0] + lengths[1]) < lengths[0] { &mut orders } else { &mut products };
            let [said, rest @ ..] = *log else { continue };
            *log = rest;
            if chance.below(8) == 0 {
                let _ = said.event(reports).deliver_twice().consumed();
            } else {
                take(reports, [said]);
            }
            // A fact of an order that is told again is nothing new, however late; the state of a product would be an old one.
            if chance.below(8) == 0 && said.subject.contains("-8a01-") {
                take(reports, [said]);
            }
        }
    }

    /// What was sold, from the orders as they ended: units and cents by product and day.
    fn sales(&self) -> BTreeMap<(u32, &'static str), (i64, i64)> {
        let mut sales = BTreeMap::<_, (i64, i64)>::new();
        for (end, day, lines) in &self.orders {
            if matches!(end, End::Paid | End::Shipped | End::Delivered) {
                for (id, quantity, cents) in lines {
                    let sale = sales.entry((*id, *day)).or_default();
                    *sale = (sale.0 + quantity, sale.1 + quantity * cents);
                }
            }
        }
        sales
    }

    /// How many orders ended how.
    fn statuses(&self) -> Value {
        let mut counts = BTreeMap::<&str, u32>::new();
        for (end, ..) in &self.orders {
            let (_, name) = ENDS.iter().find(|(other, _)| other == end).copied().unwrap_or((*end, ""));
            *counts.entry(name).or_default() += 1;
        }
        json!(counts)
    }
}

#[test]
fn the_same_events_give_the_same_rows_however_they_interleave() {
    let history = History::of(1);
    // As it happened: the catalogue first, and each reservation before what rests on it.
    let expected = {
        let reports = Service::start("report");
        take(&reports, &history.product_log);
        take(&reports, &history.order_log);
        let all = ["orders-by-status", "best-sellers", "revenue"].map(|path| report(&reports, path));
        insta::assert_json_snapshot!(all);
        everything(&reports)
    };
    for seed in 0..60 {
        let reports = Service::start("report");
        history.deliver(&reports, &mut Chance::new(seed));
        assert_eq!(everything(&reports), expected, "seed {seed}");
    }
}

#[test]
fn the_reports_match_every_random_history() {
    for seed in 100..130 {
        let history = History::of(seed);
        let reports = Service::start("report");
        history.deliver(&reports, &mut Chance::new(seed));
        let sale = |((id, day), (units, cents)): (&(u32, &str), &(i64, i64))| json!({"product_id_ref": product(*id), "day": day, "units": units, "revenue": cents});
        let sales = history.sales();
        assert_eq!(everything(&reports)["sale"], sales.iter().map(sale).collect::<Value>(), "seed {seed}");
        let sum: i64 = sales.values().map(|(_, cents)| cents).sum();
        assert_eq!(report(&reports, "revenue")["total"], json!(money(sum)), "seed {seed}");
        let sellers = report(&reports, "best-sellers");
        let units =
            sellers["items"].as_array().into_iter().flatten().filter_map(|item| item["units"].as_i64());
        assert_eq!(units.sum::<i64>(), sales.values().map(|(units, _)| units).sum::<i64>(), "seed {seed}");
        assert_eq!(statuses(&reports), history.statuses(), "seed {seed}");
    }
}

/// Every sequence of these.
fn permutations<T: Clone>(of: &[T]) -> Vec<Vec<T>> {
    let [first, rest @ ..] = of else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for shorter in permutations(rest) {
        for place in 0..=shorter.len() {
            let mut longer = shorter.clone();
            longer.insert(place, first.clone());
            all.push(longer);
        }
    }
    all
}

type Fact = fn(u32) -> Said;

fn placed_some(number: u32) -> Said {
    placed(number, "2026-01-02", &[(1, 3, 25), (2, 1, 100)])
}

fn paid_for(number: u32) -> Said {
    paid(number, 175)
}

/// A dead letter that is tried again comes behind what it once came before: so the facts of one order may come in any sequence.
#[test]
fn the_facts_of_an_order_give_the_same_rows_in_any_sequence() {
    let lives: [(&[Fact], &str, bool); 5] = [
        (&[placed_some, reserved, paid_for, shipped, delivered], "delivered", true),
        (&[placed_some, reserved, paid_for, shipped], "shipped", true),
        (&[placed_some, reserved, paid_for, cancelled], "cancelled", false),
        (&[placed_some, reserved, cancelled], "cancelled", false),
        (&[placed_some, rejected], "rejected", false),
    ];
    for (life, status, is_sold) in lives {
        let reports = Service::start("report");
        let sequences = permutations(life);
        for (number, facts) in (0..).zip(&sequences) {
            take(&reports, &facts.iter().map(|fact| fact(number)).collect::<Vec<_>>());
            let last = format!(
                "SELECT status, day, amount FROM known_order WHERE order_id_ref = '{}'",
                order(number)
            );
            let expected = json!([{"status": status, "day": "2026-01-02", "amount": 175}]);
            assert_eq!(reports.rows(&last), expected, "sequence {number}");
        }
        let count = i64::try_from(sequences.len()).unwrap_or_default();
        let sale = |id, units: i64, cents: i64| json!({"product_id_ref": product(id), "day": "2026-01-02", "units": units * count, "revenue": cents * count});
        let sales = if is_sold { vec![sale(1, 3, 75), sale(2, 1, 100)] } else { vec![] };
        assert_eq!(everything(&reports)["sale"], json!(sales), "{status}");
    }
}
