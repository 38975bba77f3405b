//! The table `product`: single products and their stock.

use bulkhead_contracts::{CategoryId, Money, ProductId};
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{
    ConstraintKind, FromRow, Problem, Read, Result, Row, Timestamp, Transaction, Value, params, reply, row,
};

use crate::problems::{PRODUCT_RESERVED, SKU_TAKEN, UNKNOWN_CATEGORY};
use crate::rules::line::Sku;
use crate::rules::review::average;
use crate::store::image::Image;
use crate::store::product_search;

row! {
    /// A product, as lists show it.
    pub struct Product {
        /// Its id.
        pub id: ProductId,
        /// The category that it belongs to.
        pub category_id: CategoryId,
        /// What it is called.
        pub name: String,
        /// More about it; may be empty.
        pub description: String,
        /// What one costs.
        pub price: Money,
        /// The stock-keeping unit; unique.
        pub sku: String,
        /// What is available, without what is reserved.
        pub stock_quantity: i64,
        /// When it was created.
        pub created_at: Timestamp,
        /// When it, or its stock, was last changed.
        pub updated_at: Timestamp,
    }
}

reply! {
    /// What customers think of a product.
    pub struct RatingSummary {
        /// How many have rated it.
        pub count: i64,
        /// The average, with two digits; null where nobody has.
        pub average: Option<String>,
    }
}

reply! {
    /// A product with its images and the summary of its ratings.
    pub struct ProductDetail {
        /// Its id.
        pub id: ProductId,
        /// The category that it belongs to.
        pub category_id: CategoryId,
        /// What it is called.
        pub name: String,
        /// More about it; may be empty.
        pub description: String,
        /// What one costs.
        pub price: Money,
        /// The stock-keeping unit; unique.
        pub sku: String,
        /// What is available, without what is reserved.
        pub stock_quantity: i64,
        /// When it was created.
        pub created_at: Timestamp,
        /// When it, or its stock, was last changed.
        pub updated_at: Timestamp,
        /// In the order of display.
        pub images: Vec<Image>,
        /// What customers think of it.
        pub rating: RatingSummary,
    }
}

row! {
    /// Where all stock of a product ever added is: available + reserved + sold = added.
    pub struct Stock {
        /// The product.
        pub product_id: ProductId,
        /// What can be ordered.
        pub available: i64,
        /// Set aside for orders that are not shipped yet.
        pub reserved: i64,
        /// What was shipped.
        pub sold: i64,
        /// All that was ever added, less what was taken out by hand.
        pub added: i64,
    }
}

impl ProductDetail {
    /// Puts a product together with what belongs to it.
    pub fn new(product: Product, images: Vec<Image>, rating: RatingSummary) -> Self {
        let Product {
            id,
            category_id,
            name,
            description,
            price,
            sku,
            stock_quantity,
            created_at,
            updated_at,
        } = product;
        Self {
            id,
            category_id,
            name,
            description,
            price,
            sku,
            stock_quantity,
            created_at,
            updated_at,
            images,
            rating,
        }
    }
}

/// A product's row joined with one of its images, or with none.
struct Joined {
    product: Product,
    rating: RatingSummary,
    image: Option<Image>,
}

impl FromRow for Joined {
    fn from_row(row: &mut Row<'_>) -> Result<Self, Error> {
        let product = Product::from_row(row)?;
        let (count, sum) = (row.take("rating_count")?, row.take("rating_sum")?);
        let image_id: Option<_> = row.take("image_id")?;
        let image = match image_id {
            None => None,
            Some(id) => Some(Image {
                id,
                product_id: product.id,
                image_url: row.take("image_url")?,
                display_order: row.take("display_order")?,
            }),
        };
        Ok(Self { product, rating: RatingSummary { count, average: average(count, sum) }, image })
    }
}

/// One query for a product and its images: this is the most frequent request of the shop.
macro_rules! select_detail {
    ($where:literal) => {
        concat!(
            "SELECT product.id AS id, category_id, name, description, price, sku, stock_quantity, created_at, updated_at, ",
            "rating_count, rating_sum, product_image.id AS image_id, image_url, display_order ",
            "FROM product LEFT JOIN product_image ON product_image.product_id = product.id WHERE ",
            $where,
            " ORDER BY display_order, product_image.id"
        )
    };
}

/// The product with this id.
pub fn by_id(read: &impl Read, id: ProductId) -> Result<Option<ProductDetail>, Error> {
    detail(read, select_detail!("product.id = ?1"), &params![id])
}

/// The product with this stock-keeping unit, in whichever of its forms.
pub fn by_sku(read: &impl Read, sku: &Sku) -> Result<Option<ProductDetail>, Error> {
    for form in sku.forms() {
        let found = detail(read, select_detail!("product.sku = ?1"), &params![form])?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// 409 where another product than this one has the sku in a form from before skus were composed. The composed form is seen to by the table.
pub fn check_sku(read: &impl Read, sku: &Sku, id: ProductId) -> Result<()> {
    for form in sku.forms().iter().filter(|form| *form != sku.as_str()) {
        let other: Option<(i64,)> =
            read.query_optional("SELECT 1 FROM product WHERE sku = ?1 AND id <> ?2", &params![form, id])?;
        if other.is_some() {
            return Err(sku_taken());
        }
    }
    Ok(())
}

fn detail(read: &impl Read, statement: &str, parameters: &[Value]) -> Result<Option<ProductDetail>, Error> {
    let mut rows = read.query_all::<Joined>(statement, parameters)?.into_iter();
    Ok(rows.next().map(|first| {
        let images = first.image.into_iter().chain(rows.filter_map(|row| row.image)).collect();
        ProductDetail::new(first.product, images, first.rating)
    }))
}

/// The product with this id, alone.
pub fn row_by_id(read: &impl Read, id: ProductId) -> Result<Option<Product>, Error> {
    read.query_optional(
        "SELECT id, category_id, name, description, price, sku, stock_quantity, created_at, updated_at \
         FROM product WHERE id = ?1",
        &params![id],
    )
}

/// There is a product with this id.
pub fn exists(read: &impl Read, id: ProductId) -> Result<bool, Error> {
    let row: Option<(i64,)> = read.query_optional("SELECT 1 FROM product WHERE id = ?1", &params![id])?;
    Ok(row.is_some())
}

/// Creates a product, to be found by its words: 409 where the sku is taken or the category unknown. Its stock is all added now.
pub fn insert(transaction: &Transaction, product: &Product) -> Result<()> {
    transaction
        .execute(
            "INSERT INTO product (id, category_id, name, description, price, sku, stock_quantity, stock_added, created_at, \
             updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9)",
            &params![
                product.id,
                product.category_id,
                product.name,
                product.description,
                product.price,
                product.sku,
                product.stock_quantity,
                product.created_at,
                product.updated_at
            ],
        )
        .map_err(refused)?;
    Ok(product_search::write(transaction, product.id, &product.name, &product.description)?)
}

/// Changes what is not stock: 409 as in [`insert`]. A change of neither name nor description costs no work in the index.
pub fn update(transaction: &Transaction, before: &Product, product: &Product) -> Result<()> {
    transaction
        .execute(
            "UPDATE product SET category_id = ?2, name = ?3, description = ?4, price = ?5, sku = ?6, updated_at = ?7 \
             WHERE id = ?1",
            &params![
                product.id,
                product.category_id,
                product.name,
                product.description,
                product.price,
                product.sku,
                product.updated_at
            ],
        )
        .map_err(refused)?;
    if product.name != before.name || product.description != before.description {
        product_search::write(transaction, product.id, &product.name, &product.description)?;
    }
    Ok(())
}

/// Deletes a product with all that belongs to it: false where there is none, 409 while stock of it is reserved.
pub fn delete(transaction: &Transaction, id: ProductId) -> Result<bool> {
    let outcome = transaction.execute("DELETE FROM product WHERE id = ?1", &params![id]).map_err(
        |error| match error.constraint() {
            Some((ConstraintKind::Trigger, "product-reserved")) => {
                Problem::of(PRODUCT_RESERVED, "stock of this product is reserved for orders")
                    .with("constraint", "product-reserved")
            }
            _ => error.into(),
        },
    )?;
    Ok(outcome.rows_affected > 0)
}

/// Where a product's stock is.
pub fn stock(read: &impl Read, id: ProductId) -> Result<Option<Stock>, Error> {
    read.query_optional(
        "SELECT id AS product_id, stock_quantity AS available, stock_reserved AS reserved, stock_sold AS sold, \
         stock_added AS added FROM product WHERE id = ?1",
        &params![id],
    )
}

/// Sets what is available and what was ever added. The CHECK of the table refuses it unless both changed by the same.
pub fn update_stock(transaction: &Transaction, stock: &Stock, updated_at: Timestamp) -> Result<(), Error> {
    transaction
        .execute(
            "UPDATE product SET stock_quantity = ?2, stock_added = ?3, updated_at = ?4 WHERE id = ?1",
            &params![stock.product_id, stock.available, stock.added, updated_at],
        )
        .map(drop)
}

fn sku_taken() -> Problem {
    Problem::of(SKU_TAKEN, "another product has this sku").with("constraint", "product.sku")
}

/// What a constraint of the table means to a client.
fn refused(error: Error) -> Problem {
    match error.constraint() {
        Some((ConstraintKind::Unique, "product.sku")) => sku_taken(),
        Some((ConstraintKind::ForeignKey, _)) => {
            Problem::of(UNKNOWN_CATEGORY, "there is no category with this category_id")
                .with("constraint", "product.category_id")
        }
        _ => error.into(),
    }
}
