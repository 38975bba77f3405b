//! What is a user's, by the path: the one way to it, which opens to that user and to an admin alone.

use bulkhead_contracts::UserId;
use bulkhead_sdk::extract::{Context, FromPath, RouteDescription};
use bulkhead_sdk::{Extract, Principal, Problem, Result};

use crate::rules::access::may_see;

/// The parameters of a path below `/users/{id}`, of which the first is the user's id: 401 without credentials; 404 for anybody but
/// that user and an admin, the same as where there is no such user. Put it first among the arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<T>(pub(super) T);

pub(super) fn no_such_user() -> Problem {
    Problem::not_found("there is no such user")
}

impl<T: FromPath> Extract for Own<T> {
    const PATH_PARAMETERS: usize = T::PARAMETERS;

    fn extract(context: &Context<'_>) -> Result<Self> {
        let principal = Principal::extract(context)?;
        UserId::from_path(&context.captures)
            .filter(|user| may_see(&principal, *user))
            .ok_or_else(no_such_user)?;
        T::from_path(&context.captures)
            .map(Self)
            .ok_or_else(|| Problem::not_found("there is nothing at this path"))
    }

    fn describe(description: &mut RouteDescription) {
        Principal::describe(description);
        description.path = T::schemas();
    }
}
