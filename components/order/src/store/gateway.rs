//! The test gateway: its ledger, the table `gateway_charge`, behind the functions that a real one would have.
//!
//! It lies in the service's own database, so what it takes and what the order says of it commit together. Asked again about an order and
//! an attempt, it answers as before.

use bulkhead_contracts::{Money, OrderId};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{Read as _, Transaction, choice, new_id, params, row};

use crate::rules::gateway::{Decision, decide};
use crate::rules::payment::Token;

choice! {
    /// How a charge stands.
    enum State {
        /// Asked for, and not decided.
        Open = "open",
        /// Taken.
        Captured = "captured",
        /// Not taken.
        Declined = "declined",
        /// Taken, and given back.
        Refunded = "refunded",
        /// Given up before it was decided.
        Voided = "voided",
    }
}

row! {
    struct Row {
        state: State,
        asked: i64,
        transaction_id: Option<String>,
    }
}

/// What is to be paid. The order and the attempt are the key: they are charged once.
#[derive(Debug, Clone, Copy)]
pub struct Charge {
    /// The order.
    pub order_id: OrderId,
    /// The attempt to pay it.
    pub attempt: i64,
    /// How much.
    pub amount: Money,
}

/// What the gateway answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The money was taken.
    Captured {
        /// By which it is known to the gateway.
        transaction_id: String,
    },
    /// It was not, and will not be.
    Declined,
    /// Ask again later.
    Unavailable,
}

/// Takes the money of a charge, or not.
pub fn charge(transaction: &Transaction, charge: Charge, token: &Token) -> Result<Answer, Error> {
    let row: Row = transaction.query_one(
        "INSERT INTO gateway_charge (order_id, attempt, amount, asked, state) VALUES (?1, ?2, ?3, 0, 'open') \
         ON CONFLICT (order_id, attempt) DO UPDATE SET asked = asked + (state = 'open') \
         RETURNING state, asked, transaction_id",
        &params![charge.order_id, charge.attempt, charge.amount],
    )?;
    match (row.state, row.transaction_id) {
        (State::Captured | State::Refunded, Some(transaction_id)) => Ok(Answer::Captured { transaction_id }),
        (State::Open, _) => match decide(token.expose(), row.asked) {
            Decision::Unavailable => Ok(Answer::Unavailable),
            Decision::Decline => set(transaction, charge, State::Declined, None).map(|()| Answer::Declined),
            Decision::Capture => {
                let transaction_id = format!("test-{}", new_id());
                set(transaction, charge, State::Captured, Some(&transaction_id))?;
                Ok(Answer::Captured { transaction_id })
            }
        },
        _ => Ok(Answer::Declined),
    }
}

fn set(
    transaction: &Transaction,
    charge: Charge,
    state: State,
    transaction_id: Option<&str>,
) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE gateway_charge SET state = ?3, transaction_id = ?4 WHERE order_id = ?1 AND attempt = ?2",
            &params![charge.order_id, charge.attempt, state, transaction_id],
        )
        .map(drop)
}

/// Gives back what was taken for an order, and takes nothing that is still open.
pub fn release(transaction: &Transaction, order_id: OrderId) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE gateway_charge SET state = iif(state = 'captured', 'refunded', 'voided') \
             WHERE order_id = ?1 AND state IN ('captured', 'open')",
            &params![order_id],
        )
        .map(drop)
}
