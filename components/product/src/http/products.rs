//! `/products`.

use bulkhead_contracts::v1::ProductDeleted;
use bulkhead_contracts::{Admin, CategoryId, Money, ProductId, TypedMoney};
use bulkhead_sdk::json::Node;
use bulkhead_sdk::serde_json::{self, json};
use bulkhead_sdk::{
    Body, Change, Created, Cursor, Errors, FromJson, Integer, Json, Limit, NoContent, Page, Path, Problem,
    Query, Result, Schema, Snapshot, Text, Transaction, body, new_id, now, query,
};

use super::no_such_product;
use crate::events::{product_changed, words};
use crate::rules::line::{Name, Sku};
use crate::rules::search::FullText;
use crate::rules::stock::STOCK_MAX;
use crate::store::product::{self, Product, ProductDetail, RatingSummary};
use crate::store::product_list::{self, Filter, Sort};

/// The longest description, in characters.
const DESCRIPTION_MAX: usize = 10_000;

query! {
    /// Which products, in which order.
    pub struct ProductsQuery {
        /// Products of this category and of all below it.
        pub category: Option<CategoryId>,
        /// Words that name or description have, without regard to upper and lower case, accents and width; the last one may go on. In
        /// scripts that are written without spaces any part of a text is found. Blank is no filter; without a letter or digit it finds
        /// nothing.
        pub q: Option<Text<0, 200>>,
        /// Products that cost at least so much.
        pub min_price: Option<TypedMoney>,
        /// Products that cost at most so much.
        pub max_price: Option<TypedMoney>,
        /// Products of which there is stock, or none.
        pub in_stock: Option<bool>,
        /// The order; `created_at` where absent. Names are compared by code point.
        pub sort: Option<Sort>,
        /// At most so many items.
        pub limit: Limit,
        /// Where the page begins: the `next_cursor` of the page before.
        pub cursor: Option<Cursor>,
    }
}

body! {
    /// A product to create.
    pub struct ProductInput {
        /// The category that it belongs to.
        pub category_id: CategoryId,
        /// What it is called.
        pub name: Name,
        /// More about it; may be empty.
        pub description: Text<0, DESCRIPTION_MAX> = Text::default(),
        /// What one costs.
        pub price: Money,
        /// The stock-keeping unit; unique.
        pub sku: Sku,
        /// What is available at first.
        pub stock_quantity: Integer<0, STOCK_MAX> = Integer::clamped(0),
    }
}

body! {
    /// What to change of a product.
    pub struct ProductPatch {
        /// The category that it belongs to.
        pub category_id: Change<CategoryId>,
        /// What it is called.
        pub name: Change<Name>,
        /// More about it; may be empty.
        pub description: Change<Text<0, DESCRIPTION_MAX>>,
        /// What one costs.
        pub price: Change<Money>,
        /// The stock-keeping unit; unique.
        pub sku: Change<Sku>,
        /// Refused: stock changes by `POST /products/{id}/stock`.
        pub stock_quantity: StockIsElsewhere,
    }
}

/// Stands for `stock_quantity` in a PATCH, and refuses it with the place where it changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct StockIsElsewhere;

impl Schema for StockIsElsewhere {
    fn schema() -> serde_json::Value {
        json!({"not": {}})
    }
}

impl FromJson for StockIsElsewhere {
    fn from_json(_: Node<'_>, errors: &mut Errors) -> Option<Self> {
        errors.add("cannot be set: stock changes by POST /products/{id}/stock");
        None
    }

    fn absent() -> Option<Self> {
        Some(Self)
    }
}

pub(super) fn list(Query(query): Query<ProductsQuery>, snapshot: Snapshot) -> Result<Json<Page<Product>>> {
    let typed = query.q.as_deref().filter(|typed| !typed.trim().is_empty());
    let full_text = typed.map(FullText::of);
    if full_text == Some(None) {
        return Ok(Json(Page::empty()));
    }
    let filter = Filter {
        category: query.category,
        full_text: full_text.flatten(),
        min_price: query.min_price.map(|typed| typed.0),
        max_price: query.max_price.map(|typed| typed.0),
        in_stock: query.in_stock,
        sort: query.sort.unwrap_or(Sort::CreatedAt),
    };
    product_list::page(&snapshot, &filter, query.cursor.as_ref(), query.limit).map(Json)
}

pub(super) fn by_id(Path(id): Path<ProductId>, snapshot: Snapshot) -> Result<Json<ProductDetail>> {
    product::by_id(&snapshot, id)?.map(Json).ok_or_else(no_such_product)
}

pub(super) fn by_sku(Path(sku): Path<Sku>, snapshot: Snapshot) -> Result<Json<ProductDetail>> {
    product::by_sku(&snapshot, &sku)?.map(Json).ok_or_else(no_such_product)
}

pub(super) fn create(
    _: Admin,
    Body(new): Body<ProductInput>,
    transaction: Transaction,
) -> Result<Created<ProductDetail>> {
    let (id, now) = (new_id().into(), now());
    product::check_sku(&transaction, &new.sku, id)?;
    let product = Product {
        id,
        category_id: new.category_id,
        name: new.name.into_string(),
        description: new.description.into_string(),
        price: new.price,
        sku: new.sku.into_string(),
        stock_quantity: new.stock_quantity.get(),
        created_at: now,
        updated_at: now,
    };
    product::insert(&transaction, &product)?;
    words::see_to::<Problem>(&transaction)?;
    transaction.publish(&product_changed(&product))?;
    let location = format!("/products/{}", product.id);
    let rating = RatingSummary { count: 0, average: None };
    Ok(Created { location, body: ProductDetail::new(product, Vec::new(), rating) })
}

pub(super) fn change(
    _: Admin,
    Path(id): Path<ProductId>,
    Body(patch): Body<ProductPatch>,
    transaction: Transaction,
) -> Result<Json<ProductDetail>> {
    let before = product::row_by_id(&transaction, id)?.ok_or_else(no_such_product)?;
    let is_empty = matches!(
        patch,
        ProductPatch {
            category_id: Change(None),
            name: Change(None),
            description: Change(None),
            price: Change(None),
            sku: Change(None),
            stock_quantity: StockIsElsewhere,
        }
    );
    if !is_empty {
        if let Some(sku) = &patch.sku.0 {
            product::check_sku(&transaction, sku, id)?;
        }
        let changed = Product {
            category_id: patch.category_id.0.unwrap_or(before.category_id),
            name: patch.name.0.map_or_else(|| before.name.clone(), Name::into_string),
            description: patch.description.0.map_or_else(|| before.description.clone(), Text::into_string),
            price: patch.price.0.unwrap_or(before.price),
            sku: patch.sku.0.map_or_else(|| before.sku.clone(), Sku::into_string),
            updated_at: now(),
            ..before
        };
        product::update(&transaction, &before, &changed)?;
        words::see_to::<Problem>(&transaction)?;
        transaction.publish(&product_changed(&changed))?;
    }
    product::by_id(&transaction, id)?.map(Json).ok_or_else(no_such_product)
}

pub(super) fn delete(_: Admin, Path(id): Path<ProductId>, transaction: Transaction) -> Result<NoContent> {
    if !product::delete(&transaction, id)? {
        return Err(no_such_product());
    }
    // It may have been the one that the timer begins with.
    words::see_to::<Problem>(&transaction)?;
    transaction.publish(&ProductDeleted { id })?;
    Ok(NoContent)
}
