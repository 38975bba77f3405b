//! Before the first basket: the catalogue, the stock and the households.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bulkhead_tests::{host, paths, shop};
use serde::Deserialize;
use serde_json::json;

use crate::baskets::{self, Basket, Sku};
use crate::caller::{self, Caller, Write, in_parallel};
use crate::cents::Cents;
use crate::progress::Bars;
use crate::running::Running;
use crate::seen::{Made, Product, Stock};

/// How often it is looked at whether the loader has ended.
const LOADER_INTERVAL: Duration = Duration::from_millis(20);

/// A household that is registered.
#[derive(Debug, Clone)]
pub(crate) struct Household {
    /// Its user's id.
    pub(crate) user: String,
    /// The position of its registration.
    pub(crate) position: String,
}

/// The shop before the first basket.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The administrator's token.
    pub(crate) token: String,
    /// The products' ids.
    pub(crate) ids: BTreeMap<Sku, String>,
    /// The products' prices.
    pub(crate) prices: BTreeMap<Sku, Cents>,
    /// All stock that was and will be added.
    pub(crate) added: BTreeMap<Sku, i64>,
    /// The newest position of the product service.
    pub(crate) position: String,
    /// By the household's number.
    pub(crate) households: BTreeMap<u64, Household>,
}

/// Fills the shop. A part of the baskets needs a part of the catalogue only.
pub(crate) fn open(
    running: &Running,
    baskets: &[Basket],
    whole: bool,
    connections: usize,
    bars: &Bars,
) -> Result<Opened> {
    let token = log_in(running)?;
    let units = baskets::units_by_product(baskets);
    let catalogue = paths::root().join("data/products.csv");
    let catalogue = if whole { catalogue } else { part_of(running, &catalogue, &units)? };
    load(running, &catalogue, connections)?;

    let mut caller = Caller::new(running, Some(&token));
    let (mut ids, mut prices) = (BTreeMap::new(), BTreeMap::new());
    for product in caller.list::<Product>("/products?")? {
        let sku = Sku(product.sku.parse().with_context(|| format!("{:?} is no number", product.sku))?);
        prices.insert(sku, product.price);
        ids.insert(sku, product.id);
    }
    let added = add_stock(running, &token, connections, &ids, &units, bars)?;
    let households = register(running, connections, baskets, bars)?;
    // A write that changes nothing: its position is behind all that the other connections have written.
    let (sku, id) = ids.first_key_value().context("the shop has no products")?;
    let price = prices.get(sku).context("a product has no price")?;
    let body = json!({"price": price.to_string()});
    let path = format!("/products/{id}");
    let answer =
        caller.write(Write { method: "PATCH", path: &path, key: None, body: Some(&body), after: &[] })?;
    caller::read::<Made>(&answer, &[200])?;
    let position = caller::position(&answer)?;
    Ok(Opened { token, ids, prices, added, position, households })
}

fn log_in(running: &Running) -> Result<String> {
    #[derive(Deserialize)]
    struct Session {
        token: String,
    }
    let body = json!({"email": shop::ADMIN_EMAIL, "password": host::ADMIN_PASSWORD});
    let answer = Caller::new(running, None).post("/sessions", "log-in", &body)?;
    let session: Session = caller::read(&answer, &[201])?;
    Ok(session.token)
}

/// Writes the lines of the catalogue that the baskets need into a file beside the manifest.
fn part_of(running: &Running, catalogue: &Path, units: &BTreeMap<Sku, i64>) -> Result<PathBuf> {
    let text = std::fs::read_to_string(catalogue)
        .with_context(|| format!("failed to read {}", catalogue.display()))?;
    let needed: BTreeSet<String> = units.keys().map(Sku::to_string).collect();
    let mut part = String::new();
    for (number, line) in text.lines().enumerate() {
        if number == 0 || line.split(',').next().is_some_and(|id| needed.contains(id)) {
            writeln!(part, "{line}")?;
        }
    }
    let file = running.place().manifest.with_file_name("products.csv");
    std::fs::write(&file, part).with_context(|| format!("failed to write {}", file.display()))?;
    Ok(file)
}

/// Runs the shop's own loader.
fn load(running: &Running, catalogue: &Path, connections: usize) -> Result<()> {
    let (_, address) = running.address()?;
    let mut command = Command::new(paths::program("shop-loader"));
    command.arg("--url").arg(format!("http://{address}")).arg("--products").arg(catalogue);
    command.arg("--connections").arg(connections.to_string());
    command.env("SHOP_ADMIN_PASSWORD", host::ADMIN_PASSWORD).stdin(Stdio::null()).stdout(Stdio::null());
    let mut loader = command.spawn().context("the loader can't be run")?;
    let status = loop {
        if let Some(status) = loader.try_wait()? {
            break status;
        }
        if let Err(failure) = running.pause(LOADER_INTERVAL) {
            loader.kill()?;
            loader.wait()?;
            return Err(failure);
        }
    };
    if !status.success() {
        bail!("the loader failed ({status})");
    }
    running.advance();
    Ok(())
}

/// Brings the stock of each product that the baskets hold to exactly what they hold, so that the last piece is sold. Gives what every
/// product has then, all told.
fn add_stock(
    running: &Running,
    token: &str,
    connections: usize,
    ids: &BTreeMap<Sku, String>,
    units: &BTreeMap<Sku, i64>,
    bars: &Bars,
) -> Result<BTreeMap<Sku, i64>> {
    let progress = bars.add("stock", ids.len());
    let added = Mutex::new(BTreeMap::new());
    let products: Vec<_> = ids.iter().collect();
    in_parallel(running, Some(token), connections, &products, |caller, (sku, id)| {
        let path = format!("/products/{id}/stock");
        let mut stock: Stock = caller.get(&path)?;
        if let Some(wanted) = units.get(sku) {
            let delta = wanted - stock.added;
            if delta != 0 {
                let answer = caller.post(&path, &format!("stock-{sku}"), &json!({"delta": delta}))?;
                stock = caller::read(&answer, &[200])?;
            }
            if (stock.available, stock.added) != (*wanted, *wanted) {
                bail!("product {sku} was to have {wanted} pieces, and has {stock:?}");
            }
        }
        added.lock().unwrap_or_else(PoisonError::into_inner).insert(**sku, stock.added);
        progress.advance();
        Ok(())
    })?;
    Ok(added.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn register(
    running: &Running,
    connections: usize,
    baskets: &[Basket],
    bars: &Bars,
) -> Result<BTreeMap<u64, Household>> {
    let numbers: BTreeSet<u64> = baskets.iter().map(|basket| basket.household).collect();
    let numbers: Vec<u64> = numbers.into_iter().collect();
    let progress = bars.add("households", numbers.len());
    let households = Mutex::new(BTreeMap::new());
    in_parallel(running, None, connections, &numbers, |caller, number| {
        let body = json!({
            "email": format!("household-{number}@replay.example"),
            "password": shop::PASSWORD,
            "first_name": "Household",
            "last_name": number.to_string(),
        });
        let answer = caller.post("/users", &format!("household-{number}"), &body)?;
        let made: Made = caller::read(&answer, &[201])?;
        let household = Household { user: made.id, position: caller::position(&answer)? };
        households.lock().unwrap_or_else(PoisonError::into_inner).insert(*number, household);
        progress.advance();
        Ok(())
    })?;
    Ok(households.into_inner().unwrap_or_else(PoisonError::into_inner))
}
