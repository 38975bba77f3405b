//! Events that will never be taken: dead letters, which leave nothing behind and hold up nobody.

use bulkhead_testing::{Service, Value, json};

use super::{
    Said, cancelled, category_changed, delivered, everything, order, paid, placed, product, product_changed,
    rejected, reserved, shipped, sold, statuses, take,
};

const LINES: [super::Line; 2] = [(1, 3, 25), (2, 1, 100)];

fn one_of_each_kind() -> [Said; 9] {
    [
        placed(1, "2026-01-02", &LINES),
        paid(1, 175),
        cancelled(1),
        rejected(1),
        shipped(1),
        delivered(1),
        reserved(1),
        product_changed(1, "Carrots", 3),
        category_changed(3, "Roots", None),
    ]
}

#[test]
fn data_that_does_not_match_the_event_type_is_refused() {
    let malformed = "the data are not what this type has";
    for said in one_of_each_kind() {
        let reports = Service::start("report");
        let empty = everything(&reports);
        for data in ["{", "null", "[]", "7", "{}", "\"x\""] {
            let event = reports.event(said.kind).subject(&said.subject).raw(data);
            let _ = event.deliver().rejected(malformed);
        }
        // Without each of its members, and with each of them as something else.
        for member in said.data.as_object().into_iter().flatten().map(|(name, _)| name) {
            // A category at the top may leave out what it belongs to.
            if member != "parent_category_id" {
                let mut without = said.clone();
                without.data.as_object_mut().and_then(|members| members.remove(member));
                let _ = without.deliver(&reports).rejected(malformed);
            }
            let mut other = said.clone();
            other.data[member] = json!({"no": "such thing"});
            let _ = other.deliver(&reports).rejected(malformed);
        }
        assert_eq!(everything(&reports), empty, "{said:?}");
        assert!(reports.parked().is_empty());
        // It holds up nobody, of the same subject neither.
        take(&reports, [&said]);
        assert_ne!(everything(&reports), empty, "{said:?}");
    }
}

/// `order.placed` with something else in it.
fn placed_but(change: impl Fn(&mut Value)) -> Said {
    let mut said = placed(1, "2026-01-02", &LINES);
    change(&mut said.data);
    said
}

#[test]
fn an_order_that_does_not_match_its_lines_is_refused() {
    let reports = Service::start("report");
    let empty = everything(&reports);
    let of_too_much = placed(1, "2026-01-02", &[(1, 1, 999_999_999), (2, 1, 1)]);
    for (said, why) in [
        (placed_but(|data| data["total_amount"] = "1.74".into()), "its lines come to 1.75, and it says 1.74"),
        (placed_but(|data| data["total_amount"] = "1.76".into()), "its lines come to 1.75, and it says 1.76"),
        (placed_but(|data| data["items"] = json!([])), "its lines come to 0.00, and it says 1.75"),
        (placed_but(|data| data["items"][1]["product_id"] = product(1).into()), "or the product twice"),
        (placed_but(|data| data["items"][1]["quantity"] = 0.into()), "it has 0 of product"),
        (placed_but(|data| data["placed_at"] = "yesterday".into()), "placed_at must be a time"),
        (placed_but(|data| data["placed_at"] = "2026-01-02T12:00:00".into()), "placed_at must be a time"),
        (placed_but(|data| data["items"][0]["unit_price"] = json!(0.25)), "the data are not"),
        (placed_but(|data| data["items"][0]["unit_price"] = "-0.25".into()), "the data are not"),
        (placed_but(|data| data["items"][0]["quantity"] = (-3).into()), "the data are not"),
        (placed_but(|data| data["id"] = "7".into()), "the data are not"),
        (
            Said {
                data: {
                    let mut data = of_too_much.data.clone();
                    data["total_amount"] = "9999999.99".into();
                    data
                },
                ..of_too_much
            },
            "its lines come to more than there can be",
        ),
    ] {
        let _ = said.deliver(&reports).rejected(why);
    }
    assert_eq!(everything(&reports), empty);
    assert_eq!(reports.dead_letters().len(), 12);
    take(&reports, &sold(1, "2026-01-02", &LINES));
    assert_eq!(statuses(&reports), json!({"paid": 1}));
}

#[test]
fn the_largest_order_and_an_empty_one_are_accepted() {
    let reports = Service::start("report");
    take(&reports, &sold(1, "2026-01-02", &[(1, 1, 999_999_999)]));
    take(&reports, &sold(2, "2026-01-02", &[]));
    assert_eq!(statuses(&reports), json!({"paid": 2}));
    assert_eq!(super::report(&reports, "revenue")["total"], json!("9999999.99"));
}

#[test]
fn a_payment_of_a_different_amount_is_refused_whichever_came_first() {
    let placed = placed(1, "2026-01-02", &LINES);
    for cents in [174, 176] {
        let other = paid(1, cents);
        let reports = Service::start("report");
        take(&reports, [&placed]);
        let before = everything(&reports);
        let why = format!("order {}: it is about 1.{}, and the order comes to 1.75", order(1), cents - 100);
        let _ = other.deliver(&reports).rejected(&why);
        assert_eq!(everything(&reports), before);
        // The right one is taken behind it.
        take(&reports, [&paid(1, 175)]);
        let _ = other.deliver(&reports).rejected(&why);
        assert_eq!(statuses(&reports), json!({"paid": 1}));

        let reports = Service::start("report");
        take(&reports, [&other]);
        let before = everything(&reports);
        let why = format!("it is about 1.75, and the order comes to 1.{}", cents - 100);
        let _ = placed.deliver(&reports).rejected(&why);
        assert_eq!(everything(&reports), before);
    }
}

#[test]
fn an_event_whose_data_was_erased_is_skipped() {
    for said in [product_changed(1, "Carrots", 3), category_changed(3, "Roots", None)] {
        let reports = Service::start("report");
        let empty = everything(&reports);
        let _ = reports.event(said.kind).subject(&said.subject).raw("").deliver().skipped();
        assert_eq!(everything(&reports), empty);
        assert!(reports.dead_letters().is_empty() && reports.parked().is_empty());
        take(&reports, [&said]);
    }
}
