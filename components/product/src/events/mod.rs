//! What the service publishes of its catalogue, and what it does at other services' events, `orders` and `users`, and at its own timer,
//! `words`.
//!
//! A product's and a category's event carry the whole state that others keep, so that the latest one is enough.

pub(crate) mod orders;
pub(crate) mod users;
pub(crate) mod words;

use bulkhead_contracts::v1::{CategoryChanged, ProductChanged};

use crate::store::category::Category;
use crate::store::product::Product;

/// A category was created or changed.
pub fn category_changed(category: &Category) -> CategoryChanged {
    CategoryChanged {
        id: category.id,
        name: category.name.clone(),
        slug: category.slug.clone(),
        parent_category_id: category.parent_category_id,
    }
}

/// A product was created or changed.
pub fn product_changed(product: &Product) -> ProductChanged {
    ProductChanged {
        id: product.id,
        name: product.name.clone(),
        price: product.price,
        sku: product.sku.clone(),
        category_id: product.category_id,
    }
}
