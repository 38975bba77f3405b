//! Who sees what is a user's.

use bulkhead_contracts::{Admin, UserId};
use bulkhead_sdk::Principal;

/// What is a user's is for that user and for an admin. For anybody else it is not there.
pub fn may_see(principal: &Principal, user: UserId) -> bool {
    Admin::ROLES.iter().any(|role| principal.has_role(role)) || principal.subject.parse() == Ok(user)
}

#[cfg(test)]
mod tests {
    use bulkhead_sdk::Uuid;

    use super::*;

    #[test]
    fn resources_of_a_user_are_for_that_user_and_for_admins() {
        let user = UserId::from(Uuid::from_u128(7));
        let other = UserId::from(Uuid::from_u128(8)).to_string();
        for (subject, roles, expected) in [
            (user.to_string(), &["customer"][..], true),
            (user.to_string().to_uppercase(), &["customer"], true),
            (other.clone(), &["customer"], false),
            (other.clone(), &["customer", "admin"], true),
            (other, &["administrator", "Admin"], false),
            ("service:order".to_owned(), &[], false),
            (String::new(), &[], false),
        ] {
            let roles = roles.iter().map(|role| (*role).to_owned()).collect();
            let principal = Principal { subject: subject.clone(), roles, expires_at: None };
            assert_eq!(may_see(&principal, user), expected, "{subject}");
        }
    }
}
