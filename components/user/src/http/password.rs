//! `/users/{id}/password`.

use bulkhead_contracts::UserId;
use bulkhead_sdk::{Body, Compute, NoContent, Problem, Result, Snapshot, Transaction, body, now};

use super::own::{Own, no_such_user};
use super::random;
use crate::problems::{PASSWORD_CHANGED, WRONG_PASSWORD};
use crate::rules::password::{self, GivenPassword, NewPassword, Verified};
use crate::settings::settings;
use crate::store::user;

body! {
    /// A change of the password.
    pub struct PasswordChange {
        /// What it is now.
        pub current_password: GivenPassword,
        /// What it is to be.
        pub new_password: NewPassword,
    }
}

pub(super) fn change(
    Own(id): Own<UserId>,
    compute: Compute,
    Body(change): Body<PasswordChange>,
    snapshot: Snapshot,
    transaction: Transaction,
) -> Result<NoContent> {
    let current = user::password_hash(&snapshot, id)?.ok_or_else(no_such_user)?;
    if password::verify(&compute, &change.current_password, &current)? == Verified::No {
        return Err(Problem::of(WRONG_PASSWORD, "the current password is another one"));
    }
    let new = password::hash(&compute, settings().cost, &change.new_password, &random()?)?;
    if user::change_password(&transaction, id, (&current, &new), now())? {
        return Ok(NoContent);
    }
    if !user::exists(&transaction, id)? {
        return Err(no_such_user());
    }
    Err(Problem::of(PASSWORD_CHANGED, "the password was changed meanwhile")
        .with("constraint", "user.password_hash"))
}
