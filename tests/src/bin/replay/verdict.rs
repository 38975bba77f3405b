//! The end of a run: what was expected, what the shop holds, and whether the two are the same. A line each.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use bulkhead_tests::{database, host};

use crate::baskets::{KnownAnswers, Sku};
use crate::caller::{Caller, in_parallel};
use crate::cents::Cents;
use crate::model::{Model, not_conserved};
use crate::progress::Bars;
use crate::quiet;
use crate::running::Running;
use crate::seen::{Order, PaymentStatus, Product, Revenue, RevenueLine, Stock};

/// As many differences of a kind are shown in words; the rest is counted.
const SHOWN_MAX: usize = 20;

/// The lines so far.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    lines: Vec<String>,
    differs: bool,
}

impl Verdict {
    /// Two things that must be the same.
    pub(crate) fn same<T: PartialEq + Display>(&mut self, name: &str, expected: &T, found: &T) {
        let outcome = if expected == found { "ok" } else { "DIFFERS" };
        self.differs |= expected != found;
        self.lines.push(format!("{name}: expected {expected}, found {found}, {outcome}"));
    }

    /// Differences, of which there must be none.
    pub(crate) fn none(&mut self, name: &str, differences: &[String]) {
        self.same(name, &0, &differences.len());
        let shown = differences.iter().take(SHOWN_MAX).map(|difference| format!("  {difference}"));
        self.lines.extend(shown);
        if let Some(rest) = differences.len().checked_sub(SHOWN_MAX + 1) {
            self.lines.push(format!("  and {} more", rest + 1));
        }
    }

    /// Whether all was as expected.
    pub(crate) fn is_good(&self) -> bool {
        !self.differs
    }

    /// The lines.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }
}

/// What a run must come to.
pub(crate) struct Expected<'a> {
    pub(crate) model: &'a Model,
    /// What is known from the file; with faults only its price changes are to be found in the shop.
    pub(crate) known: KnownAnswers,
    pub(crate) chaos: bool,
    /// The prices after the last basket.
    pub(crate) prices: &'a BTreeMap<Sku, Cents>,
    /// The price changes that the client made.
    pub(crate) price_changes: usize,
}

/// Holds the quiet shop against what is expected.
pub(crate) fn judge(
    running: &Running,
    token: &str,
    connections: usize,
    expected: &Expected<'_>,
    bars: &Bars,
) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let mut caller = Caller::new(running, Some(token));
    let orders: Vec<Order> = caller.list("/orders?")?;
    judge_orders(&mut verdict, expected, &orders);

    let products: Vec<Product> = caller.list("/products?")?;
    let price_of =
        |product: &Product| product.sku.parse().ok().and_then(|sku| expected.prices.get(&Sku(sku)));
    let other_prices: Vec<String> = products
        .iter()
        .filter(|product| price_of(product) != Some(&product.price))
        .map(|product| format!("product {} costs {}", product.sku, product.price))
        .collect();
    verdict.none("products with another price than the last", &other_prices);

    let stock = stock(running, token, connections, expected.model, bars)?;
    verdict.none("products whose available + reserved + sold are not what was added", &not_conserved(&stock));
    verdict.none("products whose stock is not as the client knows it", &expected.model.compare_stock(&stock));
    let shipped: i64 = expected.model.shipped().values().sum();
    verdict.same("units sold, as they were shipped", &shipped, &stock.values().map(|stock| stock.sold).sum());

    let revenue: Revenue = caller.get("/reports/revenue")?;
    let captured = orders.iter().filter(|order| order.payment.payment_status == PaymentStatus::Captured);
    let captured: Cents = captured.map(|order| order.payment.amount).sum();
    verdict.same("captured payments", &expected.model.revenue(), &captured);
    verdict.same("revenue in report, as the captured payments", &captured, &revenue.total);
    if revenue.next_cursor.is_none() {
        let lines = revenue.items.iter().map(|RevenueLine { revenue }| *revenue).sum();
        verdict.same("revenue by day and department, summed up", &revenue.total, &lines);
    }

    verdict.none("dead letters", &quiet::dead_letters(&running.metrics()?));
    check(running, &mut verdict)?;
    Ok(verdict)
}

fn judge_orders(verdict: &mut Verdict, expected: &Expected<'_>, orders: &[Order]) {
    let Expected { model, known, chaos, .. } = expected;
    verdict.same("orders", &model.len(), &orders.len());
    verdict.none("orders that are not as the client knows them", &model.compare_orders(orders));
    // With faults some ask for more than the file has: the client's own sums then stand for the file's.
    let (total, units) = if *chaos { (model.total(), model.units()) } else { (known.total, known.units) };
    verdict.same("total of all orders", &total, &orders.iter().map(|order| order.total_amount).sum());
    let quantities = orders.iter().flat_map(|order| &order.items).map(|item| item.quantity);
    verdict.same("units", &units, &quantities.sum());
    verdict.same("price changes", &known.price_changes, &expected.price_changes);
}

/// The stock of all products.
fn stock(
    running: &Running,
    token: &str,
    connections: usize,
    model: &Model,
    bars: &Bars,
) -> Result<BTreeMap<Sku, Stock>> {
    let products: Vec<(&Sku, &String)> = model.products().iter().collect();
    let progress = bars.add("check", products.len());
    let found = Mutex::new(BTreeMap::new());
    in_parallel(running, Some(token), connections, &products, |caller, (sku, id)| {
        let stock: Stock = caller.get(&format!("/products/{id}/stock"))?;
        found.lock().unwrap_or_else(PoisonError::into_inner).insert(**sku, stock);
        progress.advance();
        Ok(())
    })?;
    Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Asks the host itself whether its copies are right.
fn check(running: &Running, verdict: &mut Verdict) -> Result<()> {
    let place = running.place();
    let text = |path: &std::path::Path| path.to_str().map(str::to_owned).context("a path is no text");
    let (manifest, data) = (text(&place.manifest)?, text(&place.data)?);
    let admin = running.admin_address()?.to_string();
    let finished =
        host::run(&["check", "--json", "--manifest", &manifest, "--data", &data, "--admin", &admin]);
    let findings = quiet::findings(&finished.stdout).with_context(|| finished.stderr.clone())?;
    verdict.none("findings of bulkhead check", &findings);
    verdict.same("exit status of bulkhead check", &0, &finished.status.code().unwrap_or(-1));
    Ok(())
}

/// Looks into the files of the shop, which has ended: no page and no foreign key is broken.
pub(crate) fn judge_files(running: &Running, services: &[String], verdict: &mut Verdict) {
    let mut broken = Vec::new();
    for service in services {
        let connection = database::open(&running.place().data.join(format!("{service}.db")));
        let findings = database::texts(&connection, "PRAGMA integrity_check");
        broken.extend(findings.iter().filter(|text| *text != "ok").map(|text| format!("{service}: {text}")));
        let keys = database::number(&connection, "SELECT count(*) FROM pragma_foreign_key_check");
        broken.extend((keys != 0).then(|| format!("{service}: {keys} foreign keys lead nowhere")));
    }
    verdict.none("damage in the database files", &broken);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_difference_fails_the_verdict() {
        let mut verdict = Verdict::default();
        verdict.same("units", &5, &5);
        verdict.none("lost", &[]);
        assert!(verdict.is_good());
        verdict.same("total", &"1.00".to_owned(), &"1.01".to_owned());
        assert!(!verdict.is_good());
        assert_eq!(
            verdict.lines(),
            [
                "units: expected 5, found 5, ok",
                "lost: expected 0, found 0, ok",
                "total: expected 1.00, found 1.01, DIFFERS"
            ]
        );
    }

    #[test]
    fn differences_are_shown_and_the_rest_is_counted() {
        let differences: Vec<String> = (0..23).map(|number| format!("order {number}")).collect();
        let mut verdict = Verdict::default();
        verdict.none("lost", &differences);
        assert!(!verdict.is_good());
        assert_eq!(verdict.lines().len(), 1 + SHOWN_MAX + 1);
        assert_eq!(verdict.lines().last().unwrap(), "  and 3 more");
        let mut verdict = Verdict::default();
        verdict.none("lost", &differences[..SHOWN_MAX]);
        assert_eq!(verdict.lines().len(), 1 + SHOWN_MAX);
    }
}
