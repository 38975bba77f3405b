//! Email addresses.

use std::fmt;
use std::str::FromStr;

use bulkhead_sdk::serde_json::json;

/// The longest address, in characters: what fits between the angle brackets of a path of RFC 5321 (section 4.5.3.1.3).
const EMAIL_MAX: usize = 254;
/// The longest part before the `@`, in characters (RFC 5321, section 4.5.3.1.1).
const LOCAL_MAX: usize = 64;
/// The longest part of a domain, in characters (RFC 1035, section 2.3.4).
const LABEL_MAX: usize = 63;

/// An email address that somebody says is theirs, as HTML defines a valid one
/// (<https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address>): what browsers take, which leaves out of RFC 5322 what nobody
/// types, such as comments and quotes. At most 254 characters, all of them ASCII. It is kept as it was typed; two that differ in
/// upper and lower case alone are the same.
#[derive(Clone)]
pub struct Email(String);

/// An email address that somebody wants to have: one that mail can be sent to. Beyond [`Email`], its part before the `@` has at most 64
/// characters, and no dot at its beginning, at its end, or beside another (`Dot-string`, RFC 5321, section 4.1.2).
///
/// A login takes the wider [`Email`]: there what is not an account's is wrong, and not invalid.
#[derive(Clone)]
pub struct NewEmail(Email);

/// What a part of a domain is, as a pattern.
macro_rules! label {
    () => {
        "[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
    };
}

bulkhead_sdk::text_value!(
    Email,
    json!({
        "type": "string",
        "maxLength": EMAIL_MAX,
        "pattern": concat!("^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@", label!(), "(\\.", label!(), ")*$"),
    })
);

bulkhead_sdk::text_value!(
    @read NewEmail,
    json!({
        "type": "string",
        "maxLength": EMAIL_MAX,
        "pattern": concat!(
            "^[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+)*@",
            label!(), "(\\.", label!(), ")*$"
        ),
        // In a pattern of its own, for not every dialect can look ahead.
        "not": {"pattern": "^[^@]{65}"},
    })
);

impl Email {
    /// In lower case: one form for all that are the same.
    pub fn to_lower_case(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// As it was typed.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Email {}

/// Hidden: it is personal, and not for the log.
impl fmt::Debug for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Email(..)")
    }
}

impl fmt::Display for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Email {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > EMAIL_MAX {
            return Err("must have at most 254 characters");
        }
        let (local, domain) = text.split_once('@').ok_or("must be an email address")?;
        if local.is_empty() {
            return Err("must have something before the @: ada@example.com");
        }
        if !local.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte))
        {
            return Err("must have only letters of ASCII, digits and .!#$%&'*+/=?^_`{|}~- before the @");
        }
        if !domain.split('.').all(is_label) {
            return Err(
                "must have a domain after the @: parts of 1 to 63 letters of ASCII, digits and inner hyphens, with dots \
                        between them",
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl NewEmail {
    /// The address.
    pub fn email(&self) -> &Email {
        &self.0
    }

    /// As it was typed.
    pub fn into_string(self) -> String {
        self.0.into_string()
    }
}

/// Hidden: it is personal, and not for the log.
impl fmt::Debug for NewEmail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for NewEmail {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let email: Email = text.parse()?;
        let local = text.split('@').next().unwrap_or_default();
        if local.len() > LOCAL_MAX {
            return Err("must have at most 64 characters before the @");
        }
        if local.split('.').any(str::is_empty) {
            return Err("must not have a dot at the beginning, right before the @, or beside another dot");
        }
        Ok(Self(email))
    }
}

/// A part of a domain: letters, digits and, but at its ends, hyphens.
fn is_label(label: &str) -> bool {
    label.len() <= LABEL_MAX
        && label.starts_with(|first: char| first.is_ascii_alphanumeric())
        && label.ends_with(|last: char| last.is_ascii_alphanumeric())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_browsers_accept_is_accepted_as_typed() {
        for text in [
            "ada@shop.example",
            "Ada.Lovelace+shop@Shop.Example",
            "a@b",
            "!#$%&'*+/=?^_`{|}~-@a-b.c",
            "..a..@127.0.0.1",
            &format!("{}@example.com", "a".repeat(EMAIL_MAX - "@example.com".len())),
            &format!("a@{}.example", "b".repeat(LABEL_MAX)),
        ] {
            assert_eq!(text.parse::<Email>().expect(text).into_string(), text);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "@",
            "ada",
            "ada@",
            "@shop.example",
            "ada@shop@example",
            "ada lovelace@shop.example",
            " ada@shop.example",
            "ada@shop.example\n",
            "ada@-shop.example",
            "ada@shop-.example",
            "ada@shop..example",
            "ada@shop.example.",
            "ada@sh_op.example",
            "\"ada\"@shop.example",
            "ada@[127.0.0.1]",
            "ädä@shop.example",
            "ada@schöp.example",
            &format!("a@{}.example", "b".repeat(LABEL_MAX + 1)),
            &format!("{}@example.com", "a".repeat(EMAIL_MAX)),
        ] {
            assert!(text.parse::<Email>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_new_email_is_an_address_that_mail_can_be_sent_to() {
        for text in [
            "ada@shop.example",
            "a.b.c@b",
            "-@b",
            "!#$%&'*+/=?^_`{|}~-@a-b.c",
            &format!("{}@example.com", "a".repeat(LOCAL_MAX)),
            &format!("{}a@example.com", "a.".repeat(31)),
        ] {
            assert_eq!(text.parse::<NewEmail>().expect(text).into_string(), text);
        }
        for (text, why) in [
            (".k@example.com", "a dot at the beginning"),
            ("k.@example.com", "right before the @"),
            ("k..l@example.com", "beside another dot"),
            (".@example.com", "dot"),
            (&*format!("{}@example.com", "a".repeat(LOCAL_MAX + 1)), "64 characters before the @"),
            (&*format!("{}@example.com", "a".repeat(EMAIL_MAX)), "254"),
            ("ada", "an email address"),
            ("@example.com", "before the @"),
            ("ä@example.com", "before the @"),
            ("ada@example..com", "after the @"),
            ("ada@-example.com", "after the @"),
            ("ada@", "after the @"),
        ] {
            assert!(text.parse::<NewEmail>().expect_err(text).contains(why), "{text}");
        }
    }

    #[test]
    fn an_email_is_written_as_typed_or_in_lower_case_and_hidden_in_debug_output() {
        let email: Email = "Ada@Shop.example".parse().expect("an address");
        assert_eq!((&*email.to_string(), &*email.to_lower_case()), ("Ada@Shop.example", "ada@shop.example"));
        assert_eq!(format!("{email:?}"), "Email(..)");
        assert_eq!(format!("{:?}", "ada@shop.example".parse::<NewEmail>().expect("an address")), "Email(..)");
    }

    #[test]
    fn the_schema_of_a_new_email_refuses_a_local_part_that_is_too_long() {
        let schema = <NewEmail as bulkhead_sdk::Schema>::schema();
        assert_eq!(schema["not"]["pattern"], format!("^[^@]{{{}}}", LOCAL_MAX + 1));
        assert_eq!(schema["maxLength"], EMAIL_MAX);
    }

    #[test]
    fn upper_and_lower_case_are_the_same_address() {
        let [one, other, third] = ["Ada@Shop.example", "aDA@shop.EXAMPLE", "ada@shop.example.com"]
            .map(|text| text.parse::<Email>().expect(text));
        assert_eq!(one, other);
        assert_eq!(one.to_lower_case(), other.to_lower_case());
        assert_ne!(one, third);
    }

    #[test]
    fn debug_output_hides_an_email_address() {
        let email: Email = "ada@shop.example".parse().expect("an address");
        assert!(!format!("{email:?}").contains("ada"));
    }
}
