//! The words of products from before migration 3, which SQL could not write: a timer writes some, and sets the next, until none is due.
//!
//! Nothing runs when a migration does, so the first timer is set by whoever writes while some are due: [`see_to`]. Each of them sets one. Of
//! those that begin with the same row the first goes on, and the others end: so however many are set, there are not more and more, and one
//! goes on where another has failed for good.

use std::borrow::Cow;

use bulkhead_sdk::serde::{Deserialize, Serialize};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Event, HandleError, PublishError, Received, Transaction, now};

use crate::store::product_search;

/// The timer: the words of products from before are to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "bulkhead_sdk::serde")]
pub(crate) struct WordsDue {
    /// The row of the first product whose words are due.
    pub(crate) first: i64,
}

impl Event for WordsDue {
    const TYPE: &'static str = "product.words-due";

    fn subject(&self) -> Cow<'_, str> {
        Cow::Borrowed("product_search")
    }
}

/// Sets the timer where words are due.
pub(crate) fn see_to<E: From<Error> + From<PublishError>>(transaction: &Transaction) -> Result<(), E> {
    if let Some(first) = product_search::first_due(transaction)? {
        transaction.schedule(&WordsDue { first }, now())?;
    }
    Ok(())
}

/// Writes the words of some products, and comes back for the rest.
pub(crate) fn due(received: Received<WordsDue>, transaction: Transaction) -> Result<(), HandleError> {
    // Else another timer has been here, or a handler that wrote or deleted this product: they have set the next one.
    if product_search::first_due(&transaction)? != Some(received.event.first) {
        return Ok(());
    }
    product_search::write_due(&transaction)?;
    see_to(&transaction)
}

#[cfg(test)]
mod tests {
    use bulkhead_sdk::serde_json::{from_value, json, to_value};

    use super::*;

    #[test]
    fn a_timer_set_by_one_version_is_read_by_the_next() {
        let timer = WordsDue { first: 7 };
        assert_eq!(to_value(&timer).expect("JSON"), json!({"first": 7}));
        assert_eq!(from_value::<WordsDue>(json!({"first": 7})).expect("a timer"), timer);
    }
}
