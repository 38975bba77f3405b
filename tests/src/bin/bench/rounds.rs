//! The rounds: the same load on the host and on the plain server, in turn, and the table of medians.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bulkhead_tests::{Client, Site, shop};

use crate::load::Kind;

/// Products that are read in turn.
const PRODUCTS: usize = 1_000;

const MEASUREMENTS: [(Kind, usize); 4] = [(Kind::Get, 64), (Kind::Get, 1), (Kind::Post, 64), (Kind::Post, 1)];

/// One of the two servers.
struct Target {
    address: SocketAddr,
    ids: PathBuf,
    rates: [Vec<f64>; MEASUREMENTS.len()],
}

impl Target {
    /// Fills a server with a category and products, and writes their ids into a file for the load.
    fn fill(address: SocketAddr, ids: PathBuf) -> Target {
        let mut client = Client::new(address);
        let category = shop::category(&mut client, "everything", None);
        let mut lines = vec![category.clone()];
        for number in 0..PRODUCTS {
            lines.push(shop::id(&shop::product(&mut client, &category, &format!("first-{number}"))));
        }
        std::fs::write(&ids, lines.join("\n")).expect("the ids can be written");
        Target { address, ids, rates: Default::default() }
    }

    fn measure(&mut self, which: usize, seconds: f64) {
        let (kind, connections) = MEASUREMENTS[which];
        let output = this_program()
            .args(["load", kind.name(), &self.address.to_string()])
            .arg(&self.ids)
            .args([connections.to_string(), seconds.to_string()])
            .stderr(Stdio::inherit())
            .output()
            .expect("the load runs");
        assert!(output.status.success(), "the load failed");
        let rate = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a rate");
        self.rates[which].push(rate);
    }
}

/// A child that is killed when it is dropped.
struct Plain {
    child: Child,
    address: SocketAddr,
}

impl Plain {
    fn start(database: &Path) -> Plain {
        let mut command = this_program();
        command.arg("plain").arg(database).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the plain server runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("its first line");
        let address =
            line.trim().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        Plain { child, address: address.unwrap_or_else(|| panic!("the plain server said {line:?}")) }
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn this_program() -> Command {
    Command::new(std::env::current_exe().expect("this program has a path"))
}

/// Measures and prints.
pub(crate) fn run(rounds: u32, seconds: f64) {
    let site = Site::shop();
    let host = site.start();
    let plain = Plain::start(&site.path("plain.db"));
    let mut ours = Target::fill(host.address(), site.path("host-ids"));
    let mut native = Target::fill(plain.address, site.path("plain-ids"));
    for round in 0..rounds {
        println!("round {} of {rounds}", round + 1);
        for which in 0..MEASUREMENTS.len() {
            let mut pair = [&mut ours, &mut native];
            // Neither is always the first.
            if round % 2 == 1 {
                pair.reverse();
            }
            for target in pair {
                target.measure(which, seconds);
            }
        }
    }
    println!();
    println!("| requests per second, median of {rounds} | bulkhead | plain hyper + rusqlite | ratio |");
    println!("| --- | ---: | ---: | ---: |");
    for (which, (kind, connections)) in MEASUREMENTS.into_iter().enumerate() {
        let (our_rate, native_rate) = (median(&mut ours.rates[which]), median(&mut native.rates[which]));
        let what = match kind {
            Kind::Get => "GET /products/{id}",
            Kind::Post => "POST /products, durable",
        };
        let ratio = our_rate / native_rate;
        println!("| {what}, {connections} connections | {our_rate:.0} | {native_rate:.0} | {ratio:.2} |");
    }
    host.stop();
}

/// The middle one.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
