//! Events of the product service. The subject of those about stock is the order, so that they keep its order.

use serde::{Deserialize, Serialize};

use super::event;
use crate::{CategoryId, Money, OrderId, ProductId};

/// `category.changed`, state-carrying.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryChanged {
    /// The category; the subject.
    pub id: CategoryId,
    /// Its name.
    pub name: String,
    /// Its name in addresses.
    pub slug: String,
    /// What it belongs to; null for one at the top.
    pub parent_category_id: Option<CategoryId>,
}

/// `product.changed`, state-carrying: what others keep of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductChanged {
    /// The product; the subject.
    pub id: ProductId,
    /// Its name.
    pub name: String,
    /// Its price.
    pub price: Money,
    /// Its stock-keeping unit.
    pub sku: String,
    /// Its category.
    pub category_id: CategoryId,
}

/// `product.deleted`: the product is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductDeleted {
    /// The product; the subject.
    pub id: ProductId,
}

/// So many of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLine {
    /// The product.
    pub product_id: ProductId,
    /// How many, 1 to 10000.
    pub quantity: u32,
}

/// A product of which there is too little, or which is not there at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// The product.
    pub product_id: ProductId,
    /// How many were asked for.
    pub requested: u32,
    /// How many there were.
    pub available: u32,
}

/// `product.stock-reserved`: every item of an order is set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReserved {
    /// The order; the subject.
    pub order_id: OrderId,
    /// What is set aside.
    pub items: Vec<StockLine>,
}

/// `product.stock-rejected`: an order asks for more than there is, so nothing is set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockRejected {
    /// The order; the subject.
    pub order_id: OrderId,
    /// Every item of which there is too little.
    pub shortages: Vec<Shortage>,
}

/// `product.stock-released`: what was set aside for an order is available again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReleased {
    /// The order; the subject.
    pub order_id: OrderId,
    /// What is available again.
    pub items: Vec<StockLine>,
}

event!(CategoryChanged, "category.changed", id);
event!(ProductChanged, "product.changed", id);
event!(ProductDeleted, "product.deleted", id);
event!(StockReserved, "product.stock-reserved", order_id);
event!(StockRejected, "product.stock-rejected", order_id);
event!(StockReleased, "product.stock-released", order_id);
