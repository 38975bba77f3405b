//! Properties of pages: whatever is inserted, changed and deleted between one page and the next, what was there from the first page to the
//! last and kept its place is given exactly once, in the order of the list. Nothing is given twice in one place: what moves ahead, by a change
//! of what the list is sorted by, is met there again.
//!
//! The values come from `bulkhead-properties`, which says how a failure is had again. One host serves all the cases of a test: each case
//! begins with an empty list.

mod model;
mod others;
mod products;
mod writers;

use std::cell::RefCell;

use bulkhead_properties::hold_in;
use bulkhead_tests::{Manifest, Site, shop};
use model::{List, cases, play};
use others::{Other, Which};
use products::Products;

/// So many smaller cases are tried when one has failed: each takes some hundredths of a second.
const SHRINKS_MAX: u32 = 200;

/// A shop with more time than any busy machine needs: these tests are not about deadlines.
fn unhurried_shop() -> Site {
    let services = ["order", "product"];
    let manifest = services.iter().fold(shop::unhurried(Manifest::shop()), |manifest, service| {
        let limits = format!("service.{service}.limits");
        manifest.set(&format!("{limits}.request_timeout"), "30s").set(&format!("{limits}.lease_hold"), "10s")
    });
    Site::new(&manifest)
}

/// Plays so many cases with a list.
#[track_caller]
fn pages_hold<L: List>(count: u32, list: L) {
    let cases = cases(&list);
    let list = RefCell::new(list);
    hold_in(count, SHRINKS_MAX, &cases, |case| play(&mut *list.borrow_mut(), &case));
}

#[test]
fn pages_of_products_stay_consistent_under_changes_between_them() {
    let site = unhurried_shop();
    let host = site.start();
    pages_hold(48, Products::new(&host));
}

#[test]
fn pages_of_every_other_list_stay_consistent_under_changes_between_them() {
    let site = unhurried_shop();
    let host = site.start();
    // The first two have no scope of their own, so they come while the shop is empty.
    for which in [
        Which::Categories,
        Which::Users,
        Which::Addresses,
        Which::Preferences,
        Which::Images,
        Which::Reviews,
        Which::Orders,
    ] {
        pages_hold(10, Other::new(&host, which));
    }
}
