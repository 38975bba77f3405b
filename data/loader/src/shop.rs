//! What the loader reads and writes of the shop's API.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::ControlFlow;

use anyhow::Result;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::catalogue::Catalogue;
use crate::client::Connection;

/// The most that a page may hold.
const PAGE_LIMIT: u32 = 200;

/// The body that creates a category.
#[derive(Serialize)]
pub(crate) struct NewCategory<'a> {
    pub(crate) name: &'a str,
    pub(crate) slug: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent_category_id: Option<&'a str>,
}

/// The body that creates a product.
#[derive(Serialize)]
pub(crate) struct NewProduct<'a> {
    pub(crate) category_id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) description: &'a str,
    pub(crate) price: &'a str,
    pub(crate) sku: &'a str,
    pub(crate) stock_quantity: u32,
}

/// A category of the shop, as far as the loader looks at it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Category {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) slug: String,
    pub(crate) parent_category_id: Option<String>,
}

/// A product of the shop, as far as the loader looks at it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Product {
    pub(crate) category_id: String,
    pub(crate) name: String,
    pub(crate) price: String,
    pub(crate) sku: String,
}

/// A page of a list.
#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

/// Whether the shop has any product.
pub(crate) async fn has_products(connection: &mut Connection) -> Result<bool> {
    let page: Page<Product> = connection.get("/products?limit=1").await?.read()?;
    Ok(!page.items.is_empty())
}

/// How many of these products the shop has. It reads no further than to the last of them.
pub(crate) async fn count_products(connection: &mut Connection, catalogue: &Catalogue) -> Result<usize> {
    let mut missing: HashSet<&str> = catalogue.items.iter().map(|item| item.sku.as_str()).collect();
    read_all(connection, "/products", |page: Vec<Product>| {
        for product in page {
            missing.remove(product.sku.as_str());
        }
        if missing.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .await?;
    Ok(catalogue.items.len() - missing.len())
}

/// Reads a list, page by page, and hands each page's items on, until it ends or enough is read.
pub(crate) async fn read_all<T: DeserializeOwned>(
    connection: &mut Connection,
    list: &str,
    mut take: impl FnMut(Vec<T>) -> ControlFlow<()>,
) -> Result<()> {
    let mut path: Cow<'_, str> = format!("{list}?limit={PAGE_LIMIT}").into();
    loop {
        let page: Page<T> = connection.get(&path).await?.read()?;
        if take(page.items).is_break() {
            return Ok(());
        }
        let Some(cursor) = page.next_cursor else { return Ok(()) };
        path = format!("{list}?limit={PAGE_LIMIT}&cursor={}", escape(&cursor)).into();
    }
}

/// Percent-encodes all that could mean something in a query.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_escaped_for_a_query() {
        assert_eq!(escape("aZ9-._~"), "aZ9-._~");
        assert_eq!(escape("a+b/c==&ä"), "a%2Bb%2Fc%3D%3D%26%C3%A4");
    }
}
