//! What the service publishes of a user: the whole state that others keep, so that the latest one is enough.

use bulkhead_contracts::v1::UserChanged;

use crate::store::user::User;

/// A user was created or changed.
pub fn user_changed(user: &User) -> UserChanged {
    UserChanged { id: user.id, first_name: user.first_name.clone() }
}
