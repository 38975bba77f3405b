//! Events of the user service.

use serde::{Deserialize, Serialize};

use super::event;
use crate::UserId;

/// `user.changed`, state-carrying: what others may know of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserChanged {
    /// The user; the subject.
    pub id: UserId,
    /// Shown beside reviews.
    pub first_name: String,
}

/// `user.deleted`: the user is gone, and others forget them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserDeleted {
    /// The user; the subject.
    pub id: UserId,
}

event!(UserChanged, "user.changed", id);
event!(UserDeleted, "user.deleted", id);
