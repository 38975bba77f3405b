//! Loading: the categories level by level, then the products, on all connections at once.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::StatusCode;
use rust_decimal::Decimal;

use crate::catalogue::{Catalogue, Item};
use crate::client::Connection;
use crate::progress::Progress;
use crate::shop::{Category, NewCategory, NewProduct};
use crate::tree::Node;

/// The stock that each product opens with: the source does not know it, and a shop needs stock to sell.
const OPENING_STOCK: u32 = 1_000;

/// What a run did.
#[derive(Debug)]
pub(crate) struct Outcome {
    categories: Count,
    products: Count,
    products_time: Duration,
    total: Decimal,
}

/// How many were created, and how many were there already.
#[derive(Debug, Default)]
struct Count {
    created: Cell<usize>,
    present: Cell<usize>,
}

impl Count {
    fn add(&self, made: Made) {
        let cell = match made {
            Made::Created => &self.created,
            Made::Present => &self.present,
        };
        cell.set(cell.get() + 1);
    }
}

/// What a request to create something found.
enum Made {
    Created,
    Present,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in [("categories", &self.categories), ("products", &self.products)] {
            let (created, present) = (count.created.get(), count.present.get());
            writeln!(formatter, "{what}: {created} created, {present} were there already")?;
        }
        let seconds = self.products_time.as_secs_f64();
        let count = self.products.created.get() + self.products.present.get();
        #[expect(clippy::cast_precision_loss, reason = "a rate is shown without digits after the point")]
        let rate = count as f64 / seconds.max(f64::EPSILON);
        writeln!(formatter, "products took {seconds:.2} s: {rate:.0} products a second")?;
        writeln!(formatter, "sum of all prices: {}", self.total)
    }
}

/// Makes all that the catalogue has and the shop has not.
pub(crate) async fn load(connections: &mut [Connection], catalogue: &Catalogue) -> Result<Outcome> {
    let tree = &catalogue.tree;
    let ids: Vec<OnceCell<String>> = vec![OnceCell::new(); tree.len()];
    let id_of = |place: usize| ids.get(place).and_then(OnceCell::get).map(String::as_str);
    let categories = Count::default();
    let progress = Progress::new("categories", tree.len());
    for level in tree.levels() {
        in_parallel(connections, level, async |connection, &place| {
            let node = tree.node(place).context("the tree has no such place")?;
            let parent = node.parent.and_then(id_of);
            let (id, made) = make_category(connection, node, parent)
                .await
                .with_context(|| format!("failed to create category {}", node.slug))?;
            if let Some(cell) = ids.get(place) {
                cell.set(id).ok().context("a category was made twice")?;
            }
            categories.add(made);
            progress.advance();
            Ok(())
        })
        .await?;
    }
    progress.finish();

    let products = Count::default();
    let progress = Progress::new("products", catalogue.items.len());
    let started = Instant::now();
    in_parallel(connections, &catalogue.items, async |connection, item| {
        let category = id_of(item.category).context("the product's category was not made")?;
        let made = make_product(connection, item, category)
            .await
            .with_context(|| format!("failed to create product {}", item.sku))?;
        products.add(made);
        progress.advance();
        Ok(())
    })
    .await?;
    let products_time = started.elapsed();
    progress.finish();
    Ok(Outcome { categories, products, products_time, total: catalogue.total })
}

/// Does a job for each item, as many at a time as there are connections. The first failure ends all.
async fn in_parallel<T>(
    connections: &mut [Connection],
    items: &[T],
    job: impl AsyncFn(&mut Connection, &T) -> Result<()>,
) -> Result<()> {
    let next = Cell::new(0_usize);
    try_join_all(connections.iter_mut().map(async |connection| {
        while let Some(item) = items.get(next.replace(next.get() + 1)) {
            job(connection, item).await?;
        }
        Ok(())
    }))
    .await
    .map(|_: Vec<()>| ())
}

async fn make_category(
    connection: &mut Connection,
    node: &Node,
    parent: Option<&str>,
) -> Result<(String, Made)> {
    let body = NewCategory { name: &node.name, slug: &node.slug, parent_category_id: parent };
    let answer = connection.post("/categories", Bytes::from(serde_json::to_vec(&body)?)).await?;
    if answer.status != StatusCode::CONFLICT || answer.code().as_deref() != Some("slug-taken") {
        let category: Category = answer.read()?;
        return Ok((category.id, Made::Created));
    }
    let category: Category = connection.get(&format!("/categories/by-slug/{}", node.slug)).await?.read()?;
    if category.parent_category_id.as_deref() != parent {
        bail!(
            "the shop has a category with this slug, {:?}, under another parent. Give that one another slug, \
             or load into an empty shop",
            category.name
        );
    }
    Ok((category.id, Made::Present))
}

async fn make_product(connection: &mut Connection, item: &Item, category: &str) -> Result<Made> {
    let body = NewProduct {
        category_id: category,
        name: &item.name,
        description: &item.description,
        price: &item.price,
        sku: &item.sku,
        stock_quantity: OPENING_STOCK,
    };
    let answer = connection.post("/products", Bytes::from(serde_json::to_vec(&body)?)).await?;
    match answer.status {
        StatusCode::CREATED => Ok(Made::Created),
        StatusCode::CONFLICT if answer.code().as_deref() == Some("sku-taken") => Ok(Made::Present),
        _ => bail!(answer.problem()),
    }
}
