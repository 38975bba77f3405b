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
    /// The administrator's token, where the server wants one for writes.
    token: String,
    things: Things,
    ids: PathBuf,
    rates: [Vec<f64>; MEASUREMENTS.len()],
}

/// What a server was filled with.
pub(crate) struct Things {
    category: String,
    products: Vec<String>,
}

impl Things {
    /// Fills a server with a category and products.
    pub(crate) fn make(client: &mut Client) -> Things {
        let category = shop::category(client, "everything", None);
        let product = |number| shop::id(&shop::product(client, &category, &format!("first-{number}")));
        let products = (0..PRODUCTS).map(product).collect();
        Things { category, products }
    }

    /// The ids of the products.
    pub(crate) fn products(&self) -> &[String] {
        &self.products
    }

    /// Writes the file that the load takes.
    pub(crate) fn write(&self, file: &Path, token: &str) {
        let text = format!("{token}\n{}\n{}", self.category, self.products.join("\n"));
        std::fs::write(file, text).expect("the ids can be written");
    }
}

impl Target {
    fn fill(mut client: Client, address: SocketAddr, ids: PathBuf) -> Target {
        let token = client.token().unwrap_or_default().to_owned();
        Target { address, token, things: Things::make(&mut client), ids, rates: Default::default() }
    }

    fn measure(&mut self, which: usize, seconds: f64) {
        let (kind, connections) = MEASUREMENTS[which];
        // Reads are everybody's, and come without a token.
        self.things.write(&self.ids, if kind == Kind::Get { "" } else { &self.token });
        self.rates[which].push(load(kind, self.address, &self.ids, connections, seconds));
    }
}

/// Runs the load in a process of its own, and gives the answers per second.
pub(crate) fn load(kind: Kind, address: SocketAddr, ids: &Path, connections: usize, seconds: f64) -> f64 {
    let output = this_program()
        .args(["load", kind.name(), &address.to_string()])
        .arg(ids)
        .args([connections.to_string(), seconds.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .expect("the load runs");
    assert!(output.status.success(), "the load failed");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a rate")
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
    // The other server writes none either.
    let host = site.start_with(&["--access-log", "off"]);
    let plain = Plain::start(&site.path("plain.db"));
    let mut ours = Target::fill(host.admin(), host.address(), site.path("host-ids"));
    let mut native = Target::fill(Client::new(plain.address), plain.address, site.path("plain-ids"));
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

/// The one below which this share of them lies.
pub(crate) fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len() - 1;
    values[((values.len() as f64 * share) as usize).min(last)]
}
