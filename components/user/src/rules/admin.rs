//! The administrator: no user of the database, but an address and a password of the manifest.

use std::fmt;

use bulkhead_contracts::UserId;
use bulkhead_sdk::Uuid;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::rules::email::Email;
use crate::rules::password::{GivenPassword, prepare};

/// Whose tokens the administrator's are: 00000000-0000-7000-8000-000000000001. No user has this id.
const ID: Uuid = Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001);

/// The administrator's id.
pub fn id() -> UserId {
    ID.into()
}

/// The administrator. The address is nobody else's, also while there is no password to log in with.
#[derive(Clone)]
pub struct Administrator {
    email: Email,
    /// The SHA-256 of the password in its one form: of fixed size, so that a comparison tells nothing of the length.
    password: Option<[u8; 32]>,
}

impl Administrator {
    /// The administrator of this address. Nobody can log in as one without a password.
    pub fn new(email: Email, password: Option<&str>) -> Self {
        let digest = |password| Sha256::digest(prepare(password).as_bytes()).into();
        Self { email, password: password.map(digest) }
    }

    /// It is the administrator's address, in whatever case.
    pub fn has_email(&self, email: &Email) -> bool {
        self.email == *email
    }

    /// They are the administrator's address and password. The password is compared in constant time, and whatever the address is.
    pub fn accepts(&self, email: &Email, password: &GivenPassword) -> bool {
        let given: [u8; 32] = Sha256::digest(password).into();
        let is_the_same = bool::from(self.password.unwrap_or_default().ct_eq(&given));
        is_the_same & self.password.is_some() & self.has_email(email)
    }
}

/// Hidden: it holds a secret.
impl fmt::Debug for Administrator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Administrator(..)")
    }
}

#[cfg(test)]
mod tests {
    use bulkhead_sdk::json::Node;
    use bulkhead_sdk::{Errors, FromJson as _};

    use super::*;

    fn email(text: &str) -> Email {
        text.parse().expect("an address")
    }

    fn given(text: &str) -> GivenPassword {
        GivenPassword::from_json(Node::Text(text.into()), &mut Errors::default()).expect("a password")
    }

    #[test]
    fn the_id_is_fixed() {
        assert_eq!(id().to_string(), "00000000-0000-7000-8000-000000000001");
    }

    #[test]
    fn the_administrator_is_accepted_by_email_in_any_case_and_the_right_password() {
        let administrator = Administrator::new(email("admin@shop.example"), Some("opens all doors"));
        for (address, password, expected) in [
            ("admin@shop.example", "opens all doors", true),
            ("Admin@SHOP.example", "opens all doors", true),
            ("admin@shop.example", "opens all door", false),
            ("admin@shop.example", "opens all doors ", false),
            ("admin@shop.example", "Opens all doors", false),
            ("admin@shop.example", "", false),
            ("admin@shop.example", "opens\u{a0}all doors", true),
            ("other@shop.example", "opens all doors", false),
        ] {
            assert_eq!(
                administrator.accepts(&email(address), &given(password)),
                expected,
                "{address} {password}"
            );
        }
    }

    #[test]
    fn debug_output_hides_an_administrator() {
        let administrator = Administrator::new(email("admin@shop.example"), Some("opens all doors"));
        assert_eq!(format!("{administrator:?}"), "Administrator(..)");
    }

    #[test]
    fn without_a_password_nobody_is_accepted_but_the_address_stays_reserved() {
        let administrator = Administrator::new(email("admin@shop.example"), None);
        assert!(!administrator.accepts(&email("admin@shop.example"), &given("")));
        assert!(administrator.has_email(&email("ADMIN@shop.example")));
        assert!(!administrator.has_email(&email("a@shop.example")));
    }
}
