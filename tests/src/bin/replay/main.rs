//! `replay` sends two weeks of real purchases through a shop of its own, and holds what comes of it against the known answers.
//!
//! It starts a host in a folder of its own, loads the catalogue, registers the households, and goes through the baskets in the order of
//! the file: price changes and orders by one client, payment, shipping and waiting by many others at the same time. With `--chaos` some
//! payments are declined, some orders cancelled or too large, and the host is killed and started again while it runs; the client keeps a
//! model of its own of what must come of each order.
//!
//! It ends by itself: with 0 when all is as expected, and with 1 when anything differs, the host dies or nothing moves any more.

mod baskets;
mod caller;
mod cents;
mod follow;
mod model;
mod place;
mod plan;
mod progress;
mod quiet;
mod running;
mod seen;
mod setup;
mod verdict;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bulkhead_tests::{Manifest, Random, paths};
use clap::Parser;

use crate::baskets::{Basket, KnownAnswers};
use crate::caller::Caller;
use crate::cents::Cents;
use crate::follow::{Follower, Queue};
use crate::model::Model;
use crate::plan::{Ending, Plan};
use crate::progress::{Bars, Progress};
use crate::running::{Place, Running};
use crate::setup::Opened;
use crate::verdict::{Expected, Verdict};

/// All baskets of the file.
const BASKETS: usize = 3_293;
/// What they come to, as data/README.md says.
const OF_ALL_BASKETS: KnownAnswers =
    KnownAnswers { total: Cents::new(10_382_964), units: 45_984, price_changes: 5_294 };
/// How long an order may take to be paid, as the manifest has it where nothing is set.
const PAYMENT_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// The same with faults.
const PAYMENT_TIMEOUT_OF_CHAOS: Duration = Duration::from_secs(5);
/// A kill comes so much after the step of work that it was drawn for, at most: a few commits' length.
const MOMENT_MAX_MICROS: u64 = 20_000;
/// How often it is looked whether the moment for the next kill has come.
const KILL_INTERVAL: Duration = Duration::from_millis(1);
/// How many of the connections see to the orders that are placed; all of them fill the shop.
const FOLLOWERS_MAX: usize = 8;

/// Replays two weeks of real purchases in a shop of its own.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// Decline, cancel and ask for too much, and kill the host while it runs.
    #[arg(long)]
    chaos: bool,
    /// With --chaos: what is drawn by lot is drawn the same again. Printed by each run.
    #[arg(long, requires = "chaos")]
    seed: Option<u64>,
    /// With --chaos: how often the host is killed and started again.
    #[arg(long, requires = "chaos", default_value_t = 10)]
    kills: usize,
    /// Only the first baskets of the file, and what they need of the catalogue.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    baskets: Option<u16>,
    /// How many connections work at the same time.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    connections: u16,
    /// Keep manifest and data, in this folder, which must be new or empty.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The harness fails by panicking: in a thread of its own, so that this ends as any other failure.
    match thread::spawn(move || run(&arguments)).join() {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(Ok(false)) | Err(_) => ExitCode::FAILURE,
        Ok(Err(error)) => {
            // Nothing is left to be done where even standard error is closed.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let mut out = std::io::stdout();
    let data = paths::root().join("data");
    let mut baskets = baskets::read(&data.join("baskets.csv"))?;
    if baskets.len() != BASKETS {
        bail!(
            "data/baskets.csv has {} baskets, and not the {BASKETS} that the known answers are of",
            baskets.len()
        );
    }
    let whole = arguments.baskets.is_none_or(|count| usize::from(count) >= baskets.len());
    baskets.truncate(arguments.baskets.map_or(usize::MAX, usize::from));
    let known = if whole {
        OF_ALL_BASKETS
    } else {
        KnownAnswers::of(&baskets, baskets::first_prices(&data.join("products.csv"))?)
    };
    let mut random = match arguments.seed {
        Some(seed) => Random::of_seed(seed),
        None => Random::of_seed(getrandom::u64().context("the system has no random numbers")?),
    };
    let plans = if arguments.chaos {
        writeln!(out, "seed: {}", random.seed())?;
        Plan::chaotic(&mut random, baskets.len())
    } else {
        Plan::orderly(baskets.len())
    };
    let manifest = manifest(arguments.chaos)?;
    let running = Running::start(found(&manifest, arguments.data.as_deref())?);
    let run = Run { arguments, running: &running, baskets, plans, whole };
    let started = Instant::now();
    let judged = thread::scope(|scope| {
        scope.spawn(|| running.watch());
        let outcome = run.whole_life(known, &mut random);
        running.done();
        outcome
    });
    let mut verdict = match judged {
        Ok(verdict) => verdict,
        Err(error) => {
            let stderr = running.stderr();
            return Err(error.context(format!("the host wrote last:\n{stderr}\nthe replay failed")));
        }
    };
    running.stop()?;
    verdict::judge_files(&running, &manifest.services(), &mut verdict);
    for line in verdict.lines() {
        writeln!(out, "{line}")?;
    }
    let (kills, repeated, replayed) = running.counts();
    writeln!(
        out,
        "{:.1} s in all; kills: {kills}; requests repeated: {repeated}; answers given again: {replayed}",
        started.elapsed().as_secs_f64()
    )?;
    Ok(verdict.is_good())
}

/// The shop's manifest, with time enough for a machine that is shared.
fn manifest(chaos: bool) -> Result<Manifest> {
    let mut manifest = Manifest::shop();
    let services = manifest.services();
    for service in ["order", "product", "report", "user"] {
        if !services.iter().any(|name| name == service) {
            bail!("the shop's manifest has no service {service}, which the replay needs");
        }
    }
    for service in services {
        let limits = format!("service.{service}.limits");
        manifest = manifest
            .set(&format!("{limits}.request_timeout"), "30s")
            .set(&format!("{limits}.lease_hold"), "5s");
    }
    if chaos {
        let seconds = format!("{}s", PAYMENT_TIMEOUT_OF_CHAOS.as_secs());
        manifest = manifest.set("service.order.config.payment_timeout", seconds);
    }
    Ok(manifest)
}

/// Makes the folder of the shop: a temporary one, or the one that is to be kept.
fn found(manifest: &Manifest, kept: Option<&Path>) -> Result<Place> {
    let folder = tempfile::Builder::new().prefix("bulkhead-replay-").tempdir()?;
    let base = match kept {
        Some(kept) => {
            std::fs::create_dir_all(kept).with_context(|| format!("failed to make {}", kept.display()))?;
            if std::fs::read_dir(kept)?.next().is_some() {
                bail!("{} is not empty: the replay needs a shop without orders", kept.display());
            }
            std::path::absolute(kept)?
        }
        None => folder.path().to_owned(),
    };
    let place =
        Place { manifest: base.join("bulkhead.toml"), data: base.join("data"), folder: Arc::new(folder) };
    std::fs::create_dir(&place.data).context("failed to make a data folder")?;
    std::fs::write(&place.manifest, manifest.text()).context("failed to write the manifest")?;
    Ok(place)
}

/// What a run is made of.
struct Run<'a> {
    arguments: &'a Arguments,
    running: &'a Running,
    baskets: Vec<Basket>,
    plans: Vec<Plan>,
    /// All baskets of the file.
    whole: bool,
}

impl Run<'_> {
    /// From the first request to the verdict.
    fn whole_life(&self, known: KnownAnswers, random: &mut Random) -> Result<Verdict> {
        let bars = Bars::new();
        let connections = usize::from(self.arguments.connections);
        let mut opened = setup::open(self.running, &self.baskets, self.whole, connections, &bars)?;
        let model = Mutex::new(Model::new(opened.ids.clone(), opened.added.clone()));
        let started = Instant::now();
        let price_changes = self.trade(&mut opened, &model, random, &bars)?;
        let seconds = started.elapsed().as_secs_f64();
        let mut caller = Caller::new(self.running, Some(&opened.token));
        let subscriptions = quiet::wait(self.running, &mut caller)?;
        let model = model.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.tell(&model, seconds, subscriptions)?;
        let expected = Expected {
            model: &model,
            known,
            chaos: self.arguments.chaos,
            prices: &opened.prices,
            price_changes,
        };
        verdict::judge(self.running, &opened.token, connections, &expected, &bars)
    }

    /// Places all orders and sees them to their ends; with faults, kills the host meanwhile. Gives the number of price changes.
    fn trade(
        &self,
        opened: &mut Opened,
        model: &Mutex<Model>,
        random: &mut Random,
        bars: &Bars,
    ) -> Result<usize> {
        let running = self.running;
        let queue = Queue::default();
        let (placed, ended) =
            (bars.add("baskets", self.baskets.len()), bars.add("ended", self.baskets.len()));
        let kills = self.kills(random);
        let token = opened.token.clone();
        let chaos = self.arguments.chaos;
        let mut price_changes = 0;
        thread::scope(|scope| {
            for _ in 0..usize::from(self.arguments.connections).min(FOLLOWERS_MAX) {
                scope.spawn(|| {
                    running.guard(|| self.follower(&token, model, &queue, &ended).work());
                });
            }
            scope.spawn(|| running.guard(|| kill_at(running, &kills)));
            running.guard(|| {
                let shared = (model, &queue);
                price_changes =
                    place::place(running, opened, &self.baskets, &self.plans, chaos, shared, &placed)?;
                queue.close();
                Ok(())
            });
        });
        running.check()?;
        Ok(price_changes)
    }

    fn follower<'a>(
        &self,
        token: &str,
        model: &'a Mutex<Model>,
        queue: &'a Queue,
        progress: &'a Progress,
    ) -> Follower<'a>
    where
        Self: 'a,
    {
        let chaos = self.arguments.chaos;
        let payment_timeout = if chaos { PAYMENT_TIMEOUT_OF_CHAOS } else { PAYMENT_TIMEOUT };
        let caller = Caller::new(self.running, Some(token));
        Follower { running: self.running, caller, model, queue, payment_timeout, progress }
    }

    /// When to kill: after which step of work from now, and how many microseconds later. Placing and ending each basket are the steps.
    fn kills(&self, random: &mut Random) -> Vec<(u64, u64)> {
        if !self.arguments.chaos {
            return Vec::new();
        }
        let now = self.running.steps();
        let steps = u64::try_from(2 * self.baskets.len()).unwrap_or(u64::MAX);
        let mut kills: Vec<(u64, u64)> = (0..self.arguments.kills)
            .map(|_| (now + random.below(steps), random.below(MOMENT_MAX_MICROS)))
            .collect();
        kills.sort_unstable();
        kills
    }

    fn tell(&self, model: &Model, seconds: f64, subscriptions: usize) -> Result<()> {
        let mut out = std::io::stdout();
        writeln!(
            out,
            "{} orders in {seconds:.1} s, and {subscriptions} subscriptions are quiet",
            model.len()
        )?;
        let endings = model.endings();
        for ending in Ending::ALL {
            writeln!(out, "  {ending:?}: {}", endings.get(&ending).copied().unwrap_or_default())?;
        }
        Ok(())
    }
}

/// Kills the host at these moments, and starts it again each time.
fn kill_at(running: &Running, moments: &[(u64, u64)]) -> Result<()> {
    for (steps, micros) in moments {
        while running.steps() < *steps {
            running.pause(KILL_INTERVAL)?;
        }
        running.pause(Duration::from_micros(*micros))?;
        running.kill_and_start();
    }
    Ok(())
}
