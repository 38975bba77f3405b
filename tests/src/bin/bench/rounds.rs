//! The rounds: the same load on the host and on the plain servers, in turn, and the table of medians.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bulkhead_tests::{Client, Site, shop};
use serde::Serialize;
use serde_json::json;

use crate::load::{Kind, Measured};
use crate::plain_writer::Commits;

/// Products that are read in turn.
const PRODUCTS: usize = 1_000;
/// `USER_HZ`, which is the same on all of Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// What is asked, and on how many connections.
const MEASUREMENTS: [(Kind, usize); 14] = [
    (Kind::Get, 1),
    (Kind::Get, 16),
    (Kind::Get, 64),
    (Kind::Get, 256),
    (Kind::Category, 1),
    (Kind::Category, 64),
    (Kind::Search, 1),
    (Kind::Search, 64),
    (Kind::Mix, 1),
    (Kind::Mix, 64),
    (Kind::Post, 1),
    (Kind::Post, 16),
    (Kind::Post, 64),
    (Kind::Post, 256),
];

/// One of the servers.
struct Target {
    name: &'static str,
    /// Only its writes are measured: it reads as another one does.
    writes_only: bool,
    process: u32,
    address: SocketAddr,
    /// The administrator's token, where the server wants one for writes.
    token: String,
    things: Things,
    ids: PathBuf,
    rounds: [Vec<Round>; MEASUREMENTS.len()],
}

/// One measurement of a server.
#[derive(Debug, Clone, Copy, Serialize)]
struct Round {
    #[serde(flatten)]
    load: Measured,
    /// The server's processor time for each answer, in microseconds.
    cpu_us: f64,
}

/// What a server was filled with.
pub(crate) struct Things {
    category: String,
    /// The category of the products that a load creates: so the pages of the other one stay as they are.
    new: String,
    products: Vec<String>,
}

impl Things {
    /// Fills a server with a category and products.
    pub(crate) fn make(client: &mut Client) -> Things {
        let category = shop::category(client, "everything", None);
        let new = shop::category(client, "new", None);
        let product = |number| shop::id(&shop::product(client, &category, &format!("first-{number}")));
        let products = (0..PRODUCTS).map(product).collect();
        Things { category, new, products }
    }

    /// The ids of the products.
    pub(crate) fn products(&self) -> &[String] {
        &self.products
    }

    /// Writes the file that the load takes.
    pub(crate) fn write(&self, file: &Path, token: &str) {
        let text = format!("{token}\n{}\n{}\n{}", self.category, self.new, self.products.join("\n"));
        std::fs::write(file, text).expect("the ids can be written");
    }
}

impl Target {
    fn fill(
        name: &'static str,
        process: u32,
        mut client: Client,
        address: SocketAddr,
        ids: PathBuf,
    ) -> Target {
        let token = client.token().unwrap_or_default().to_owned();
        let things = Things::make(&mut client);
        Target { name, writes_only: false, process, address, token, things, ids, rounds: Default::default() }
    }

    fn measure(&mut self, which: usize, seconds: f64) {
        let (kind, connections) = MEASUREMENTS[which];
        self.things.write(&self.ids, if kind.is_read() { "" } else { &self.token });
        let before = processor_time(self.process);
        let load = load(kind, self.address, &self.ids, connections, seconds);
        let cpu_us = (processor_time(self.process) - before) * 1e6 / load.answered as f64;
        self.rounds[which].push(Round { load, cpu_us });
    }

    /// The median of a figure, and how far its values lie apart, as a share of it.
    fn median(&self, which: usize, figure: impl Fn(&Round) -> f64) -> (f64, f64) {
        let mut values: Vec<f64> = self.rounds[which].iter().map(figure).collect();
        let middle = median(&mut values);
        (middle, (values[values.len() - 1] - values[0]) / middle)
    }
}

/// Seconds of processor time that a process has had: fields 14 and 15 of its line (proc(5)).
fn processor_time(process: u32) -> f64 {
    let line = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
    // The name in brackets may have blanks.
    let fields: Vec<&str> = line.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: f64 = fields[11..=12].iter().map(|ticks| ticks.parse::<f64>().expect("ticks")).sum();
    ticks / TICKS_PER_SECOND
}

/// Runs the load in a process of its own.
pub(crate) fn load(
    kind: Kind,
    address: SocketAddr,
    ids: &Path,
    connections: usize,
    seconds: f64,
) -> Measured {
    let output = this_program()
        .args(["load", kind.name(), &address.to_string()])
        .arg(ids)
        .args([connections.to_string(), seconds.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .expect("the load runs");
    assert!(output.status.success(), "the load failed");
    serde_json::from_slice(&output.stdout).expect("what came of it")
}

/// A child that is killed when it is dropped.
struct Plain {
    child: Child,
    address: SocketAddr,
}

impl Plain {
    fn start(database: &Path, commits: Commits) -> Plain {
        let mut command = this_program();
        command.arg("plain").arg(database).arg(commits.name()).stdout(Stdio::piped());
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
    // The other servers write none either.
    let host = site.start_with(&["--access-log", "off"]);
    let bulkhead =
        Target::fill("bulkhead", host.id(), host.admin(), host.address(), site.path("bulkhead-ids"));
    let each = Plain::start(&site.path("each.db"), Commits::Each);
    let group = Plain::start(&site.path("group.db"), Commits::Group);
    let plain = |name, plain: &Plain, ids| {
        Target::fill(name, plain.child.id(), Client::new(plain.address), plain.address, site.path(ids))
    };
    let mut targets = [
        bulkhead,
        plain("plain", &each, "each-ids"),
        Target { writes_only: true, ..plain("plain, group commit", &group, "group-ids") },
    ];
    for round in 0..rounds {
        println!("round {} of {rounds}", round + 1);
        for (which, (kind, _)) in MEASUREMENTS.into_iter().enumerate() {
            let mut order: Vec<_> =
                targets.iter_mut().filter(|target| !(kind.is_read() && target.writes_only)).collect();
            // None is always the first, and none always follows the same one: six rounds have every order of three.
            let count = order.len();
            order.rotate_left(round as usize / 2 % count);
            if round % 2 == 1 {
                order.reverse();
            }
            for target in order {
                target.measure(which, seconds);
            }
        }
    }
    println!();
    println!("{}", machine());
    println!();
    println!(
        "| median of {rounds} | server | answers per second | Bulkhead's, relative to it | p50, p99 and p99.9, ms | CPU for each answer, µs |"
    );
    println!("| --- | --- | ---: | ---: | ---: | ---: |");
    for (which, (kind, connections)) in MEASUREMENTS.into_iter().enumerate() {
        let ours = targets[0].median(which, |round| round.load.rate).0;
        for target in targets.iter().filter(|target| !target.rounds[which].is_empty()) {
            let of = |figure: fn(&Round) -> f64| target.median(which, figure);
            let (rate, spread) = of(|round| round.load.rate);
            let [p50, p99, p999, cpu] = [
                of(|round| round.load.p50),
                of(|round| round.load.p99),
                of(|round| round.load.p999),
                of(|round| round.cpu_us),
            ]
            .map(|(median, _)| median);
            println!(
                "| {}, {connections} connections | {} | {rate:.0} (±{:.0} %) | {:.2} | {p50:.2} {p99:.2} {p999:.2} | {cpu:.0} |",
                kind.title(),
                target.name,
                spread * 50.0,
                ours / rate
            );
        }
    }
    let file = json(&targets);
    println!();
    println!("every round: {}", file.display());
    host.stop();
}

/// What it was measured on.
fn machine() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split(':').nth(1).unwrap_or("unknown").trim().to_owned()
    };
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "{processors} processors ({}), {} of memory, Linux {}",
        field(&read("/proc/cpuinfo"), "model name"),
        field(&read("/proc/meminfo"), "MemTotal"),
        read("/proc/sys/kernel/osrelease").trim()
    )
}

/// Writes every round of every server to `bench.json` in the target folder.
fn json(targets: &[Target]) -> PathBuf {
    let program = std::env::current_exe().expect("this program has a path");
    let file = program.ancestors().nth(2).expect("a target folder").join("bench.json");
    let measurements = MEASUREMENTS.iter().enumerate().map(|(which, (kind, connections))| {
        let rounds: serde_json::Map<_, _> =
            targets.iter().map(|target| (target.name.to_owned(), json!(target.rounds[which]))).collect();
        json!({"load": kind.name(), "connections": connections, "rounds": rounds})
    });
    let document = json!({"machine": machine(), "measurements": measurements.collect::<Vec<_>>()});
    std::fs::write(&file, format!("{document:#}\n")).expect("the figures can be written");
    file
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
