//! `/products/{id}/origin`, which the versions from V0004 on have: where a product comes from.

use bulkhead_contracts::{Admin, ProductId};
use bulkhead_sdk::{
    Body, Json, Path, Problem, Read as _, Result, Service, Snapshot, Text, Transaction, body, params, row,
};

row! {
    /// Where a product comes from.
    pub struct Origin {
        /// The product.
        pub product_id: ProductId,
        /// A country's two letters; null where nobody has said so.
        pub origin: Option<String>,
    }
}

body! {
    /// Where a product comes from.
    pub struct OriginInput {
        /// A country's two letters.
        pub origin: Text<2, 2>,
    }
}

fn no_such_product() -> Problem {
    Problem::not_found("there is no such product")
}

fn get(Path(id): Path<ProductId>, snapshot: Snapshot) -> Result<Json<Origin>> {
    let origin = snapshot
        .query_optional("SELECT id AS product_id, origin FROM product WHERE id = ?1", &params![id])?;
    origin.map(Json).ok_or_else(no_such_product)
}

fn set(
    _: Admin,
    Path(id): Path<ProductId>,
    Body(new): Body<OriginInput>,
    transaction: Transaction,
) -> Result<Json<Origin>> {
    let statement = "UPDATE product SET origin = ?2 WHERE id = ?1";
    if transaction.execute(statement, &params![id, new.origin])?.rows_affected == 0 {
        return Err(no_such_product());
    }
    Ok(Json(Origin { product_id: id, origin: Some(new.origin.into_string()) }))
}

/// Adds the routes.
pub fn add_to(service: Service) -> Service {
    service.get("/products/{id}/origin", "Says where a product comes from.", get).put(
        "/products/{id}/origin",
        "Sets where a product comes from.",
        set,
    )
}
