//! The caller, as an argument of handlers.

use bulkhead_contracts::{Admin, Customer, UserId};
use bulkhead_sdk::access::{describe_roles, principal_with_role};
use bulkhead_sdk::extract::{Context, RouteDescription};
use bulkhead_sdk::{Extract, Problem, Result};

use crate::rules::access::Who;

/// A customer or an admin: 401 without credentials, 403 for anybody else. Put it first among the arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asks(pub(super) Who);

fn roles() -> Vec<&'static str> {
    [Customer::ROLES, Admin::ROLES].concat()
}

impl Extract for Asks {
    fn extract(context: &Context<'_>) -> Result<Self> {
        let principal = principal_with_role(context, &roles())?;
        Who::of(&principal).map(Self).ok_or_else(|| Problem::forbidden("only a user has orders"))
    }

    fn describe(description: &mut RouteDescription) {
        describe_roles(description, &roles());
    }
}

pub(super) fn no_such_order() -> Problem {
    Problem::not_found("there is no such order")
}

impl Asks {
    /// What was found, where the order is for them to see: 404 where it is not, the same as where there is none.
    pub(super) fn see<T>(self, found: Option<T>, owner: impl Fn(&T) -> Option<UserId>) -> Result<T> {
        found.filter(|order| self.0.sees(owner(order))).ok_or_else(no_such_order)
    }
}
