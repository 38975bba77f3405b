//! Who sees which orders.

use bulkhead_contracts::{Admin, Customer, UserId};
use bulkhead_sdk::Principal;

/// The caller, as far as orders are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Runs the shop: sees all orders, and orders for others.
    Admin,
    /// Sees their own orders alone, and orders for themself.
    Customer(UserId),
}

impl Who {
    /// What a principal is to orders; none where it is neither an admin nor a customer. Whoever is both is an admin.
    pub fn of(principal: &Principal) -> Option<Self> {
        let has = |roles: &[&str]| roles.iter().any(|role| principal.has_role(role));
        if has(Admin::ROLES) {
            return Some(Self::Admin);
        }
        let user = principal.subject.parse().ok().filter(|user| *user != UserId::DELETED);
        user.filter(|_| has(Customer::ROLES)).map(Self::Customer)
    }

    /// An order of this customer, or of none that is left, is for them to see. For anybody else it is not there.
    pub fn sees(self, owner: Option<UserId>) -> bool {
        match self {
            Self::Admin => true,
            Self::Customer(user) => owner == Some(user),
        }
    }
}

#[cfg(test)]
mod tests {
    use bulkhead_sdk::Uuid;

    use super::*;

    #[test]
    fn an_order_is_visible_to_its_customer_and_to_admins() {
        let user = UserId::from(Uuid::from_u128(7));
        let other = UserId::from(Uuid::from_u128(8));
        let id = user.to_string();
        for (subject, roles, expected) in [
            (id.as_str(), &["customer"][..], Some(Who::Customer(user))),
            (&id, &["admin"], Some(Who::Admin)),
            (&id, &["customer", "admin"], Some(Who::Admin)),
            ("root", &["admin"], Some(Who::Admin)),
            (&id, &[], None),
            (&id, &["Admin", "customers"], None),
            ("service:product", &["customer"], None),
            (&UserId::DELETED.to_string(), &["customer"], None),
        ] {
            let roles = roles.iter().map(|role| (*role).to_owned()).collect();
            let principal = Principal { subject: subject.to_owned(), roles, expires_at: None };
            assert_eq!(Who::of(&principal), expected, "{subject}");
        }
        for (owner, customer) in [(Some(user), true), (Some(other), false), (None, false)] {
            assert_eq!(Who::Customer(user).sees(owner), customer);
            assert!(Who::Admin.sees(owner));
        }
    }
}
