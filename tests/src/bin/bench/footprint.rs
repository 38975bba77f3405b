//! What the host costs before it does anything: time to start, memory at rest; and how fast the real catalogue loads.

use std::process::Command;
use std::time::Instant;

use bulkhead_tests::{Host, Site, paths};

use crate::rounds::median;

const STARTS: usize = 7;

/// Measures and prints.
pub(crate) fn run() {
    let site = Site::shop();
    println!();
    println!("| what | measured |");
    println!("| --- | ---: |");

    let (first, host) = start(&site);
    println!("| first start, from the process to its first answer | {first:.0} ms |");
    println!("| loading the catalogue, 32 connections | {} |", load(&host));
    host.stop();

    let mut times = Vec::new();
    for _ in 0..STARTS {
        let (time, host) = start(&site);
        times.push(time);
        host.stop();
    }
    println!("| second start with the catalogue, median of {STARTS} | {:.0} ms |", median(&mut times));

    let host = site.start();
    host.client().get("/products").expect(200);
    println!("| resident at rest (VmRSS) | {} |", memory(&host, "status", "VmRSS:"));
    println!("| its share of it (Pss) | {} |", memory(&host, "smaps_rollup", "Pss:"));
    host.stop();
}

/// Starts a host, and gives the milliseconds until it has answered.
fn start(site: &Site) -> (f64, Host) {
    let started = Instant::now();
    let host = site.start();
    host.client().get("/products?limit=1").expect(200);
    (started.elapsed().as_secs_f64() * 1_000.0, host)
}

/// Runs the loader, and gives what it says of its speed.
fn load(host: &Host) -> String {
    let output = Command::new(paths::program("shop-loader"))
        .env("SHOP_ADMIN_PASSWORD", bulkhead_tests::host::ADMIN_PASSWORD)
        .args(["--url", &format!("http://{}", host.address()), "--products"])
        .arg(paths::root().join("data/products.csv"))
        .output()
        .expect("the loader runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find_map(|line| line.strip_prefix("products took ")).expect("the loader's speed");
    line.to_owned()
}

/// A line of the kernel's page about the host's process.
fn memory(host: &Host, page: &str, label: &str) -> String {
    let path = format!("/proc/{}/{page}", host.id());
    let Ok(text) = std::fs::read_to_string(&path) else { return format!("{path} can't be read") };
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    line.map_or_else(|| format!("{path} has no {label}"), |rest| rest.trim().to_owned())
}
