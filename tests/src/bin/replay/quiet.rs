//! Waiting until nothing is under way any more, and reading the host's metrics for that.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::caller::Caller;
use crate::running::Running;
use crate::seen::{Order, Page};

/// The events that a subscription has still to deliver.
const LAG: &str = "bulkhead_subscription_lag_events";
/// How often it is looked.
const INTERVAL: Duration = Duration::from_millis(100);

/// Waits until no order is open and no subscription lags, twice in a row: what one subscription delivers may be news for another. The watch
/// over the run's progress bounds it. Gives the number of subscriptions.
pub(crate) fn wait(running: &Running, caller: &mut Caller<'_>) -> Result<usize> {
    let mut quiet_before = false;
    loop {
        let trouble = if let Some(open) = open_order(caller)? {
            open
        } else {
            let lags = samples(&running.metrics()?, LAG)?;
            let lagging: Vec<String> = lags
                .iter()
                .filter(|(_, events)| *events != 0)
                .map(|(subscription, events)| format!("{subscription}: {events} events"))
                .collect();
            if lags.is_empty() {
                bail!("the metrics have no {LAG}");
            }
            if lagging.is_empty() && quiet_before {
                return Ok(lags.len());
            }
            quiet_before = lagging.is_empty();
            format!("subscriptions that lag: {}", lagging.join(", "))
        };
        running.trouble(trouble);
        running.pause(INTERVAL)?;
    }
}

/// An order that has not ended, in words.
fn open_order(caller: &mut Caller<'_>) -> Result<Option<String>> {
    for status in ["pending", "reserved", "paid"] {
        let page: Page<Order> = caller.get(&format!("/orders?status={status}&limit=1"))?;
        if let Some(order) = page.items.first() {
            return Ok(Some(format!("order {} is {}", order.id, order.state())));
        }
    }
    Ok(None)
}

/// The samples of a metric: labels and value. Prometheus' text format
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/>), as far as whole numbers go.
pub(crate) fn samples(metrics: &str, name: &str) -> Result<Vec<(String, i64)>> {
    let mut found = Vec::new();
    for line in metrics.lines() {
        let Some(rest) = line.strip_prefix(name) else { continue };
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.rsplit_once('}').with_context(|| format!("no metric: {line}"))?,
            None if rest.starts_with(' ') => ("", rest),
            // The name of another metric begins so.
            None => continue,
        };
        let value = value.split_whitespace().next().unwrap_or_default();
        // `0.0` is how some write a whole number.
        let whole = value.strip_suffix(".0").unwrap_or(value);
        let number = whole.parse().with_context(|| format!("no whole number: {line}"))?;
        found.push((labels.to_owned(), number));
    }
    Ok(found)
}

/// The names of the metrics that tell of dead letters, whatever exactly the host calls them, with their values where not zero.
pub(crate) fn dead_letters(metrics: &str) -> Vec<String> {
    let is_dead_letter = |line: &&str| {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let value = line.rsplit(' ').next().unwrap_or_default();
        !line.starts_with('#') && name.contains("dead") && !value.trim_matches(['0', '.']).is_empty()
    };
    metrics.lines().filter(is_dead_letter).map(str::to_owned).collect()
}

/// The findings of `bulkhead check --json`: the document itself if it is a list, or else its member `findings`.
pub(crate) fn findings(document: &str) -> Result<Vec<String>> {
    let value: Value = serde_json::from_str(document).context("the check did not write JSON")?;
    let list = value.as_array().or_else(|| value.get("findings").and_then(Value::as_array));
    let list = list.with_context(|| format!("the check wrote no findings: {document}"))?;
    Ok(list.iter().map(Value::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = "# HELP bulkhead_subscription_lag_events Events that are still to be delivered.\n\
        # TYPE bulkhead_subscription_lag_events gauge\n\
        bulkhead_subscription_lag_events{producer=\"product\",consumer=\"order\"} 3\n\
        bulkhead_subscription_lag_events{producer=\"user\",consumer=\"order\"} 0\n\
        bulkhead_subscription_lag_events_max 9\n\
        bulkhead_dead_letters{consumer=\"order\"} 0\n";

    #[test]
    fn samples_of_a_metric_are_those_with_exactly_its_name() {
        let samples = samples(METRICS, LAG).unwrap();
        assert_eq!(
            samples,
            [
                ("producer=\"product\",consumer=\"order\"".to_owned(), 3),
                ("producer=\"user\",consumer=\"order\"".to_owned(), 0)
            ]
        );
    }

    #[test]
    fn sample_that_is_not_a_number_is_refused() {
        assert!(samples("bulkhead_subscription_lag_events{a=\"b\"} NaN\n", LAG).is_err());
        assert_eq!(
            samples("bulkhead_subscription_lag_events 4.0 1700000000\n", LAG).unwrap(),
            [(String::new(), 4)]
        );
    }

    #[test]
    fn dead_letter_metric_above_zero_is_found() {
        assert_eq!(dead_letters(METRICS), Vec::<String>::new());
        let one = METRICS.replace("\"order\"} 0\n", "\"order\"} 10\n");
        assert_eq!(dead_letters(&one), ["bulkhead_dead_letters{consumer=\"order\"} 10"]);
    }

    #[test]
    fn findings_are_a_list_or_a_member() {
        assert_eq!(findings("[]").unwrap(), Vec::<String>::new());
        assert_eq!(findings("{\"findings\": [{\"key\": 1}]}").unwrap(), ["{\"key\":1}"]);
        assert!(findings("{}").is_err());
        assert!(findings("").is_err());
    }
}
