//! The real catalogue: loaded through the API by the loader, read back to the cent, and loaded twice without harm.

use std::process::{Command, Output};

use bulkhead_tests::shop::{category, product};
use bulkhead_tests::{Host, Site, database, host, paths};

/// Runs the loader against a host.
fn loader(host: &Host, arguments: &[&str]) -> Output {
    let url = format!("http://{}", host.address());
    Command::new(paths::program("shop-loader"))
        .args(["--url", &url, "--products"])
        .arg(paths::root().join("data/products.csv"))
        .args(arguments)
        .env("SHOP_ADMIN_PASSWORD", host::ADMIN_PASSWORD)
        .output()
        .unwrap()
}

/// Checks that it ended well, and gives what it said.
#[track_caller]
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[test]
fn real_catalogue_is_loaded_and_verified_to_the_cent_and_can_be_loaded_again() {
    let site = Site::shop();
    let host = site.start();
    let first = said(&loader(&host, &[]));
    assert!(first.contains("categories: 1884 created, 0 were there already"), "{first}");
    assert!(first.contains("products: 12710 created, 0 were there already"), "{first}");
    let verified = said(&loader(&host, &["--verify"]));
    assert!(verified.contains("12710 products in 1884 categories"), "{verified}");

    let loaded = database::row_counts(&site.database("product"));
    let again = said(&loader(&host, &[]));
    assert!(again.contains("products: 0 created, 12710 were there already"), "{again}");
    assert!(
        said(&loader(&host, &["--if-empty"]))
            .contains("the shop has 12710 of 12710 products: nothing to load")
    );
    assert_eq!(database::row_counts(&site.database("product")), loaded);
    host.stop();

    let connection = database::open(&site.database("product"));
    database::check(&connection);
    let events = "SELECT count(*) FROM _bulkhead_outbox WHERE type = 'product.changed'";
    assert_eq!(database::number(&connection, events), 12_710);
    let host = site.start();
    said(&loader(&host, &["--verify"]));
}

#[test]
fn interrupted_load_is_reported_and_not_resumed_unasked() {
    let site = Site::shop();
    let host = site.start();
    let mut client = host.admin();
    let category = category(&mut client, "food", None);
    for sku in ["27334", "27479", "not-in-the-file"] {
        product(&mut client, &category, sku);
    }
    let before = database::row_counts(&site.database("product"));
    let text = said(&loader(&host, &["--if-empty"]));
    assert_eq!(text.trim(), "the shop has 2 of 12710 products: make load adds the rest");
    assert_eq!(database::row_counts(&site.database("product")), before);
}

#[test]
fn a_difference_from_the_file_is_found() {
    let site = Site::shop();
    let host = site.start();
    let output = loader(&host, &["--verify"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("0 products, and 12710 in the file"), "{text}");
}

#[test]
fn loader_without_a_shop_reports_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", taken.local_addr().unwrap());
    drop(taken);
    let products = paths::root().join("data/products.csv");
    let output = Command::new(paths::program("shop-loader"))
        .args(["--wait", "0", "--url", &url, "--products"])
        .arg(products)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(&url) && text.contains("--url"), "{text}");
}
