//! What the manifest sets: `[service.order.config]`.
//!
//! It is read once per instance. A setting that cannot be used keeps the component from being loaded: an operator learns it at the start
//! or at the deploy, and no customer by an answer.

use std::sync::OnceLock;

use bulkhead_sdk::config;

use crate::rules::timeout::timeout_milliseconds;

/// A quarter of an hour.
const PAYMENT_TIMEOUT_DEFAULT: &str = "15m";

/// The settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// `payment_timeout` (15m): how long a customer has to pay, from the time that the order was placed.
    pub payment_timeout_milliseconds: i64,
}

impl Settings {
    /// Reads the settings, or says what is wrong with them.
    pub fn read(config: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let text = config("payment_timeout").unwrap_or_else(|| PAYMENT_TIMEOUT_DEFAULT.to_owned());
        let payment_timeout_milliseconds =
            timeout_milliseconds(&text).map_err(|why| format!("payment_timeout {why}, and not {text:?}"))?;
        Ok(Self { payment_timeout_milliseconds })
    }
}

/// The settings of this instance. Asked for when the component is loaded, so that it is never first used in a request.
///
/// # Panics
/// Where a setting cannot be used: at load.
#[expect(
    clippy::panic,
    reason = "no request has part in it: a component that is loaded has settings that can be used"
)]
pub fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| match Settings::read(config) {
        Ok(settings) => settings,
        Err(mistake) => panic!("the service's settings cannot be used: {mistake}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: Option<&str>) -> Result<Settings, String> {
        Settings::read(|key| text.filter(|_| key == "payment_timeout").map(str::to_owned))
    }

    #[test]
    fn the_manifest_sets_the_payment_timeout_which_defaults_to_15_minutes() {
        for (text, milliseconds) in [(None, 900_000), (Some("5s"), 5_000), (Some("500ms"), 500)] {
            assert_eq!(read(text), Ok(Settings { payment_timeout_milliseconds: milliseconds }), "{text:?}");
        }
    }

    #[test]
    fn an_unusable_timeout_is_refused_by_name() {
        for text in ["", "15", "0s", "soon"] {
            let mistake = read(Some(text)).expect_err("a mistake");
            assert!(mistake.starts_with("payment_timeout must") && mistake.contains(text), "{mistake}");
        }
    }
}
