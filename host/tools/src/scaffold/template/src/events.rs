//! What the service publishes. Others may rely on it: a payload's fields stay, and new ones are optional.

use std::borrow::Cow;

use bulkhead_sdk::serde::{Deserialize, Serialize};
use bulkhead_sdk::{Event, Uuid};

/// `{{name}}.created`: there is a new entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "bulkhead_sdk::serde")]
pub struct EntryCreated {
    /// The entry; the subject.
    pub id: Uuid,
    /// What it says.
    pub text: String,
}

impl Event for EntryCreated {
    const TYPE: &'static str = "{{name}}.created";

    /// Events of one subject are taken in the order in which they were published.
    fn subject(&self) -> Cow<'_, str> {
        self.id.to_string().into()
    }
}
