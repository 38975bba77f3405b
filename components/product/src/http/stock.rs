//! `/products/{id}/stock`.

use bulkhead_contracts::{Admin, ProductId};
use bulkhead_sdk::json::Node;
use bulkhead_sdk::{
    Body, Errors, FromJson, Integer, Json, Path, Problem, Result, Schema, Snapshot, Transaction, body, now,
    serde_json,
};

use super::no_such_product;
use crate::problems::{INSUFFICIENT_STOCK, TOO_MUCH_STOCK};
use crate::rules::stock::{self, DELTA_MAX, DELTA_MIN, Refusal, STOCK_MAX};
use crate::store::product::{self, Stock};

body! {
    /// A change of stock by hand.
    pub struct StockChange {
        /// How many come in, or go out where negative. Not 0.
        pub delta: Delta,
    }
}

/// A change: not 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delta(i64);

impl Schema for Delta {
    fn schema() -> serde_json::Value {
        let mut schema = Integer::<DELTA_MIN, DELTA_MAX>::schema();
        if let Some(members) = schema.as_object_mut() {
            members.insert("not".to_owned(), serde_json::json!({"const": 0}));
        }
        schema
    }
}

impl FromJson for Delta {
    fn from_json(node: Node<'_>, errors: &mut Errors) -> Option<Self> {
        match Integer::<DELTA_MIN, DELTA_MAX>::from_json(node, errors)?.get() {
            0 => {
                errors.add("must not be 0");
                None
            }
            delta => Some(Self(delta)),
        }
    }
}

pub(super) fn get(_: Admin, Path(id): Path<ProductId>, snapshot: Snapshot) -> Result<Json<Stock>> {
    product::stock(&snapshot, id)?.map(Json).ok_or_else(no_such_product)
}

pub(super) fn change(
    _: Admin,
    Path(id): Path<ProductId>,
    Body(change): Body<StockChange>,
    transaction: Transaction,
) -> Result<Json<Stock>> {
    let mut stock = product::stock(&transaction, id)?.ok_or_else(no_such_product)?;
    let Delta(delta) = change.delta;
    stock.available = stock::change(stock.available, delta).map_err(|refusal| match refusal {
        Refusal::Insufficient => {
            Problem::of(INSUFFICIENT_STOCK, "there is less stock than is to be taken out")
                .with("available", stock.available)
                .with("constraint", "product.stock_quantity")
        }
        Refusal::TooMuch => {
            Problem::of(TOO_MUCH_STOCK, format!("at most {STOCK_MAX} of a product can be available"))
                .with("available", stock.available)
                .with("constraint", "product.stock_quantity")
        }
    })?;
    stock.added += delta;
    product::update_stock(&transaction, &stock, now())?;
    Ok(Json(stock))
}
