//! What ratings come to, and who may delete a review.

use bulkhead_contracts::UserId;
use bulkhead_sdk::Principal;

/// The average of ratings as a decimal with two digits, rounded half up; none where there are none.
pub fn average(count: i64, sum: i64) -> Option<String> {
    let hundredths = (sum * 200 + count).checked_div(count * 2)?;
    Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
}

/// A review may be deleted by its author, as long as it has one, and by an admin.
pub fn may_delete(principal: &Principal, author: Option<UserId>) -> bool {
    principal.has_role("admin") || author.is_some_and(|author| principal.subject.parse() == Ok(author))
}

#[cfg(test)]
mod tests {
    use bulkhead_sdk::Uuid;

    use super::*;

    #[test]
    fn averages_are_rounded_half_up() {
        for (count, sum, expected) in [
            (0, 0, None),
            (1, 5, Some("5.00")),
            (3, 14, Some("4.67")),
            (3, 13, Some("4.33")),
            (8, 25, Some("3.13")),
        ] {
            assert_eq!(average(count, sum).as_deref(), expected, "{sum}/{count}");
        }
    }

    #[test]
    fn only_the_author_or_an_admin_can_delete_a_review() {
        let author = UserId::from(Uuid::from_u128(1));
        let principal = |subject: &str, roles: &[&str]| Principal {
            subject: subject.to_owned(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            expires_at: None,
        };
        assert!(may_delete(&principal(&author.to_string(), &["customer"]), Some(author)));
        assert!(may_delete(&principal("someone", &["customer", "admin"]), Some(author)));
        assert!(!may_delete(&principal("someone", &["customer"]), Some(author)));
        // When the author is gone.
        assert!(!may_delete(&principal(&author.to_string(), &["customer"]), None));
        assert!(!may_delete(&principal("", &[]), None));
        assert!(may_delete(&principal("someone", &["admin"]), None));
    }
}
