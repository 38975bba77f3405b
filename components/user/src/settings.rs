//! What the manifest sets: `[service.user.config]`, and the administrator's password of `[service.user.secrets]`.
//!
//! It is read once per instance. A setting that cannot be used keeps the component from being loaded: an operator learns it at the start
//! or at the deploy, with all that is wrong at once, and no customer by an answer.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::OnceLock;

use bulkhead_sdk::{config, secret};

use crate::rules::admin::Administrator;
use crate::rules::email::Email;
use crate::rules::login::Throttle;
use crate::rules::password::{Cost, ITERATIONS_MAX, MEMORY_KIB_MAX, MEMORY_KIB_MIN, PasswordHash};

/// What stands for the issuer and for the audience where the manifest is silent.
const TOKENS_OF_DEFAULT: &str = "shop";
/// The longest window of failed logins: a week.
const WINDOW_SECONDS_MAX: i64 = 7 * 24 * 3600;
/// The longest that a key may sign: ten years.
const SIGNING_KEY_HOURS_MAX: i64 = 10 * 366 * 24;

/// The settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `argon2_memory_kib` (19456) and `argon2_iterations` (2): what hashing a password costs.
    pub cost: Cost,
    /// A hash of that cost which no password has.
    pub hash_of_nobody: PasswordHash,
    /// `admin_email`, and the secret `admin_password`.
    pub administrator: Option<Administrator>,
    /// `login_failures` (10) and `login_window_seconds` (900).
    pub throttle: Throttle,
    /// `token_issuer` (`shop`).
    pub issuer: String,
    /// `token_audience` (`shop`).
    pub audience: String,
    /// `signing_key_hours` (720): how long a key signs.
    pub signing_key_hours: i64,
}

impl Settings {
    /// Reads the settings, or says all that is wrong with them.
    pub fn read(
        config: impl Fn(&str) -> Option<String>,
        secret: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<String>> {
        let mut reader = Reader { config, mistakes: Vec::new() };
        let cost = Cost {
            memory_kib: reader.number("argon2_memory_kib", MEMORY_KIB_MIN..=MEMORY_KIB_MAX, 19456),
            iterations: reader.number("argon2_iterations", 1..=ITERATIONS_MAX, 2),
        };
        let throttle = Throttle {
            failures_max: reader.number("login_failures", 1..=1_000_000, 10),
            window_seconds: reader.number("login_window_seconds", 1..=WINDOW_SECONDS_MAX, 900),
        };
        let issuer = reader.text("token_issuer", TOKENS_OF_DEFAULT);
        let audience = reader.text("token_audience", TOKENS_OF_DEFAULT);
        let signing_key_hours = reader.number("signing_key_hours", 1..=SIGNING_KEY_HOURS_MAX, 720);
        let email: Option<Email> = reader.parsed("admin_email");
        let password = secret("admin_password");
        let Reader { config, mut mistakes } = reader;
        if password.is_some() && config("admin_email").is_none() {
            mistakes.push("admin_email must be set where the secret admin_password is".to_owned());
        }
        let hash_of_nobody = PasswordHash::of_nobody(cost)
            .map_err(|why| mistakes.push(format!("argon2 does not work with these settings ({why:?})")));
        let administrator = email.map(|email| Administrator::new(email, password.as_deref()));
        match hash_of_nobody {
            Ok(hash_of_nobody) if mistakes.is_empty() => Ok(Self {
                cost,
                hash_of_nobody,
                administrator,
                throttle,
                issuer,
                audience,
                signing_key_hours,
            }),
            _ => Err(mistakes),
        }
    }

    /// The address is the administrator's, and so nobody else's.
    pub fn is_reserved(&self, email: &Email) -> bool {
        self.administrator.as_ref().is_some_and(|administrator| administrator.has_email(email))
    }
}

/// Reads settings one by one, and keeps what is wrong with them.
struct Reader<C> {
    config: C,
    mistakes: Vec<String>,
}

impl<C: Fn(&str) -> Option<String>> Reader<C> {
    /// A whole number within a range.
    fn number<N>(&mut self, key: &str, range: RangeInclusive<N>, default: N) -> N
    where
        N: FromStr + PartialOrd + Display + Copy,
    {
        let Some(text) = (self.config)(key) else { return default };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let (start, end) = (range.start(), range.end());
                self.mistakes
                    .push(format!("{key} must be a whole number from {start} to {end}, and not {text:?}"));
                default
            }
        }
    }

    /// A text that is not empty.
    fn text(&mut self, key: &str, default: &str) -> String {
        let text = (self.config)(key).unwrap_or_else(|| default.to_owned());
        if text.is_empty() {
            self.mistakes.push(format!("{key} must not be empty"));
        }
        text
    }

    /// A value that may be left out.
    fn parsed<T: FromStr<Err: Display>>(&mut self, key: &str) -> Option<T> {
        let text = (self.config)(key)?;
        text.parse().map_err(|why| self.mistakes.push(format!("{key} {why}, and not {text:?}"))).ok()
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
    SETTINGS.get_or_init(|| match Settings::read(config, secret) {
        Ok(settings) => settings,
        Err(mistakes) => panic!("the service's settings cannot be used: {}", mistakes.join("; ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(config: &[(&str, &str)], password: Option<&str>) -> Result<Settings, Vec<String>> {
        let find =
            |key: &str| config.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned());
        Settings::read(find, |key| password.filter(|_| key == "admin_password").map(str::to_owned))
    }

    #[test]
    fn settings_missing_from_the_manifest_have_defaults() {
        let settings = read(&[], None).expect("settings");
        assert_eq!(settings.cost, Cost { memory_kib: 19456, iterations: 2 });
        assert_eq!(settings.hash_of_nobody.has_cost(settings.cost), Ok(true));
        assert_eq!(settings.throttle, Throttle { failures_max: 10, window_seconds: 900 });
        assert_eq!((settings.issuer.as_str(), settings.audience.as_str()), ("shop", "shop"));
        assert_eq!(settings.signing_key_hours, 720);
        assert!(settings.administrator.is_none());
    }

    #[test]
    fn the_manifest_overrides_the_defaults() {
        let config = [
            ("argon2_memory_kib", "49152"),
            ("argon2_iterations", "1"),
            ("login_failures", "3"),
            ("login_window_seconds", "60"),
            ("token_issuer", "a"),
            ("token_audience", "b"),
            ("signing_key_hours", "1"),
        ];
        let settings = read(&config, None).expect("settings");
        assert_eq!(settings.cost, Cost { memory_kib: 49152, iterations: 1 });
        assert_eq!(settings.throttle, Throttle { failures_max: 3, window_seconds: 60 });
        assert_eq!((settings.issuer.as_str(), settings.audience.as_str()), ("a", "b"));
        assert_eq!(settings.signing_key_hours, 1);
    }

    #[test]
    fn the_administrators_address_is_reserved_with_and_without_a_password() {
        for password in [None, Some("opens all doors")] {
            let settings = read(&[("admin_email", "admin@shop.example")], password).expect("settings");
            assert!(settings.is_reserved(&"ADMIN@shop.example".parse().expect("an address")));
            assert!(!settings.is_reserved(&"ada@shop.example".parse().expect("an address")));
        }
    }

    #[test]
    fn an_unusable_setting_is_refused_by_name() {
        for (key, value) in [
            ("argon2_memory_kib", "much"),
            ("argon2_memory_kib", "7"),
            ("argon2_memory_kib", "49153"),
            ("argon2_memory_kib", "-1"),
            ("argon2_memory_kib", ""),
            ("argon2_iterations", "0"),
            ("argon2_iterations", "1001"),
            ("login_failures", "0"),
            ("login_window_seconds", "0"),
            ("signing_key_hours", "0"),
            ("signing_key_hours", "99999999999999999999"),
            ("token_issuer", ""),
            ("admin_email", "admin"),
        ] {
            let mistakes = read(&[(key, value)], None).expect_err("a mistake");
            assert!(
                matches!(&*mistakes, [mistake] if mistake.starts_with(key)),
                "{key} {value}: {mistakes:?}"
            );
        }
    }

    #[test]
    fn all_mistakes_are_reported_at_once_without_secrets() {
        let mistakes = read(&[("argon2_iterations", "0"), ("login_failures", "x")], Some("opens all doors"));
        let mistakes = mistakes.expect_err("mistakes");
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
        assert!(!mistakes.join(" ").contains("doors"));
    }
}
