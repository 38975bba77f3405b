//! The handlers, a file per resource. Who may call them is said by what they take: `Admin`, `Own`, a principal, or nobody in
//! particular.

mod addresses;
mod keys;
mod own;
mod password;
mod preferences;
mod reply;
mod sessions;
#[cfg(test)]
mod tests;
mod users;

use bulkhead_contracts::v1::{UserChanged, UserDeleted};
use bulkhead_sdk::{Cursor, Limit, Problem, Result, Service, migration, query, random_bytes};

use crate::problems;
use crate::settings::settings;

query! {
    /// The query of a list without filters.
    pub struct ListQuery {
        /// At most so many items.
        pub limit: Limit,
        /// Where the page begins: the `next_cursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}

/// Random bytes, for salts and keys.
fn random<const COUNT: usize>() -> Result<[u8; COUNT]> {
    random_bytes(COUNT)
        .try_into()
        .map_err(|_| Problem::internal("the host gave another number of random bytes than it was asked for"))
}

/// The service.
///
/// # Panics
/// Where a setting of the manifest cannot be used: at load.
pub fn service() -> Service {
    settings();
    Service::new("Users: accounts, addresses, preferences, sessions.")
        .migration(migration!("../../migrations/V0001__create_accounts.sql"))
        .publishes::<UserChanged>()
        .publishes::<UserDeleted>()
        .get("/users", "Lists the users, the oldest first.", users::list)
        .post("/users", "Registers a user.", users::create)
        .answers_with(&[problems::EMAIL_TAKEN])
        .get("/users/{id}", "Gives a user.", users::by_id)
        .patch("/users/{id}", "Changes a user.", users::change)
        .answers_with(&[problems::EMAIL_TAKEN])
        .delete("/users/{id}", "Deletes a user with all that is theirs.", users::delete)
        .put("/users/{id}/password", "Changes a user's password.", password::change)
        .answers_with(&[problems::WRONG_PASSWORD, problems::PASSWORD_CHANGED])
        .get("/users/{id}/addresses", "Lists a user's addresses, the oldest first.", addresses::list)
        .post("/users/{id}/addresses", "Adds an address of a user.", addresses::create)
        .answers_with(&[problems::TOO_MANY_ADDRESSES])
        .get("/users/{id}/addresses/{address_id}", "Gives an address.", addresses::by_id)
        .put("/users/{id}/addresses/{address_id}", "Replaces an address.", addresses::replace)
        .delete("/users/{id}/addresses/{address_id}", "Deletes an address.", addresses::delete)
        .get("/users/{id}/preferences", "Lists a user's preferences by key.", preferences::list)
        .get("/users/{id}/preferences/{key}", "Gives a preference.", preferences::by_key)
        .put("/users/{id}/preferences/{key}", "Sets a preference.", preferences::put)
        .answers_with(&[problems::TOO_MANY_PREFERENCES])
        .delete("/users/{id}/preferences/{key}", "Deletes a preference.", preferences::delete)
        .post("/sessions", "Logs in.", sessions::create)
        .repeatable()
        .answers_with(&[problems::INVALID_CREDENTIALS, problems::TOO_MANY_LOGINS])
        .get("/sessions/current", "Says whose session this is.", sessions::current)
        .get("/.well-known/jwks.json", "Gives the keys that tokens are verified with.", keys::list)
}
