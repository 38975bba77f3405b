//! The baskets in the order of the file, by one client: price changes first, then the order, which must see exactly these prices.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::baskets::{Basket, Line, Sku, change_prices};
use crate::caller::{self, Caller, Write};
use crate::follow::{Job, Queue};
use crate::model::{Model, Placed};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::running::Running;
use crate::seen::Order;
use crate::setup::{Household, Opened};

/// With faults, one order in so many is sent once more although it was answered: it must be the same order.
const SENT_TWICE: usize = 10;

/// Changes prices and places orders, and hands each order on. Gives the number of price changes.
pub(crate) fn place(
    running: &Running,
    opened: &mut Opened,
    baskets: &[Basket],
    plans: &[Plan],
    chaos: bool,
    shared: (&Mutex<Model>, &Queue),
    progress: &Progress,
) -> Result<usize> {
    let (model, queue) = shared;
    let mut caller = Caller::new(running, Some(&opened.token));
    let mut price_changes = 0;
    for (place, (basket, plan)) in baskets.iter().zip(plans).enumerate() {
        for line in change_prices(&mut opened.prices, basket) {
            opened.position = change_price(&mut caller, &opened.ids, line)?;
            price_changes += 1;
        }
        let household = opened.households.get(&basket.household).context("a household is not registered")?;
        let lines = plan.lines(basket);
        let placed = Placed { basket: basket.number, user: household.user.clone(), lines, ending: None };
        let body = body(basket, *plan, &placed, &opened.ids)?;
        let sent = Instant::now();
        let order = post(&mut caller, basket, household, &opened.position, &body)?;
        if chaos && place % SENT_TWICE == 0 {
            let again = post(&mut caller, basket, household, &opened.position, &body)?;
            if again.id != order.id {
                bail!("basket {} became two orders, {} and {}", basket.number, order.id, again.id);
            }
        }
        if order.total_amount != placed.total() {
            bail!("basket {} costs {}, and not {}", basket.number, order.total_amount, placed.total());
        }
        model.lock().unwrap_or_else(PoisonError::into_inner).place(&order.id, placed)?;
        queue.add(Job::new(order.id, basket.number, *plan, sent));
        running.advance();
        progress.advance();
    }
    Ok(price_changes)
}

/// Gives the position after it.
fn change_price(caller: &mut Caller<'_>, ids: &BTreeMap<Sku, String>, line: Line) -> Result<String> {
    let id = ids.get(&line.sku).with_context(|| format!("the shop has no product {}", line.sku))?;
    let body = json!({"price": line.unit_price.to_string()});
    let path = format!("/products/{id}");
    let write = Write { method: "PATCH", path: &path, key: None, body: Some(&body), after: &[] };
    let answer = caller.write(write)?;
    if answer.status != 200 {
        bail!("{answer}");
    }
    caller::position(&answer)
}

fn body(basket: &Basket, plan: Plan, placed: &Placed, ids: &BTreeMap<Sku, String>) -> Result<Value> {
    let items: Vec<Value> = placed
        .lines
        .iter()
        .map(|line| {
            let id = ids.get(&line.sku).with_context(|| format!("the shop has no product {}", line.sku))?;
            Ok(json!({"product_id": id, "quantity": line.quantity}))
        })
        .collect::<Result<_>>()?;
    Ok(json!({
        "user_id": placed.user,
        "ordered_at": basket.ordered_at,
        "items": items,
        "shipping": {
            "recipient_name": format!("Household {}", basket.household),
            "address_line1": format!("{} Main Street", basket.household),
            "address_line2": format!("Beside store {}", basket.store),
            "city": "Cincinnati",
            "state": "OH",
            "postal_code": "45202",
            "country": "US",
        },
        "payment": {"method": "card", "token": plan.token()},
        "expected_total": placed.total().to_string(),
    }))
}

fn post(
    caller: &mut Caller<'_>,
    basket: &Basket,
    household: &Household,
    position: &str,
    body: &Value,
) -> Result<Order> {
    let key = format!("order-{}", basket.number);
    let after = [position, household.position.as_str()];
    let write = Write { method: "POST", path: "/orders", key: Some(&key), body: Some(body), after: &after };
    let answer = caller.write(write)?;
    caller::read(&answer, &[201]).with_context(|| format!("basket {}", basket.number))
}
