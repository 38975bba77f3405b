//! `products.csv` as the shop is to have it: each line checked, named and put in its place in the tree of categories.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::names;
use crate::tree::Tree;

/// A line of the file.
#[derive(Deserialize)]
struct Line {
    product_id: String,
    manufacturer_id: String,
    department: String,
    product_category: String,
    product_type: String,
    brand: String,
    package_size: String,
    unit_price: String,
}

/// A product that is to be there.
#[derive(Debug)]
pub(crate) struct Item {
    /// The source's product id.
    pub(crate) sku: String,
    /// What people read.
    pub(crate) name: String,
    /// Where it comes from: its department, its category, its maker.
    pub(crate) description: String,
    /// US dollars with two decimals, as text: it never becomes a float.
    pub(crate) price: String,
    /// The place of its category in the tree.
    pub(crate) category: usize,
}

/// The whole file.
#[derive(Debug)]
pub(crate) struct Catalogue {
    /// In the order of the file.
    pub(crate) items: Vec<Item>,
    /// The categories that they need.
    pub(crate) tree: Tree,
    /// The sum of all prices.
    pub(crate) total: Decimal,
}

impl Catalogue {
    /// Reads and checks the file.
    pub(crate) fn read(file: &Path) -> Result<Catalogue> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("failed to read {} (another file: --products FILE)", file.display()))?;
        Catalogue::parse(&text).with_context(|| format!("failed to understand {}", file.display()))
    }

    fn parse(text: &str) -> Result<Catalogue> {
        let mut lines = Vec::new();
        for line in csv::Reader::from_reader(text.as_bytes()).into_deserialize::<Line>() {
            lines.push(line?);
        }
        let paths: Vec<Vec<String>> = lines.iter().map(path).collect();
        let tree = Tree::of(paths.iter().map(Vec::as_slice));
        let mut skus = BTreeSet::new();
        let mut total = Decimal::ZERO;
        let mut items = Vec::with_capacity(lines.len());
        for (line, path) in lines.into_iter().zip(&paths) {
            let Some(category) = tree.place_of(path) else {
                bail!("product {} has no department", line.product_id);
            };
            if line.product_id.is_empty() || !skus.insert(line.product_id.clone()) {
                bail!("the product id {:?} is empty or stands there twice", line.product_id);
            }
            total += price(&line.unit_price).with_context(|| {
                format!("product {} has a price of {:?}", line.product_id, line.unit_price)
            })?;
            let what = path.last().map_or("", String::as_str);
            items.push(Item {
                name: names::product(what, &line.brand, &line.package_size),
                description: description(&line),
                sku: line.product_id,
                price: line.unit_price,
                category,
            });
        }
        Ok(Catalogue { items, tree, total })
    }
}

/// The levels that the line has. An empty field is a level that is skipped.
fn path(line: &Line) -> Vec<String> {
    [&line.department, &line.product_category, &line.product_type]
        .into_iter()
        .map(|level| level.trim())
        .filter(|level| !level.is_empty())
        .map(str::to_owned)
        .collect()
}

fn description(line: &Line) -> String {
    let mut description = format!("Department: {}.", names::title(&line.department));
    for (label, value) in
        [("Category", names::title(&line.product_category)), ("Manufacturer", line.manufacturer_id.clone())]
    {
        if !value.is_empty() {
            description.push_str(&format!(" {label}: {value}."));
        }
    }
    description
}

/// Digits, a point and two digits: anything else would not be the same text in the shop.
fn price(text: &str) -> Result<Decimal> {
    let exact = text.split_once('.').is_some_and(|(whole, cents)| {
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        !whole.is_empty() && cents.len() == 2 && digits(whole) && digits(cents)
    });
    if !exact {
        bail!("a price has digits, a point and two digits");
    }
    Ok(text.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real() -> Catalogue {
        Catalogue::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../products.csv"))).unwrap()
    }

    #[test]
    fn the_real_catalogue_is_complete() {
        let catalogue = real();
        assert_eq!(catalogue.items.len(), 12_710);
        assert_eq!(catalogue.tree.len(), 1_884);
        assert_eq!(catalogue.tree.levels().first().map(Vec::len), Some(21));
    }

    #[test]
    fn no_two_categories_of_the_real_catalogue_share_a_slug_or_a_name_under_one_parent() {
        let tree = real().tree;
        let slugs: BTreeSet<&str> = tree.nodes().iter().map(|node| node.slug.as_str()).collect();
        assert_eq!(slugs.len(), tree.len());
        let mut names = BTreeSet::new();
        for node in tree.nodes() {
            assert!(names.insert((node.parent, &node.name)), "{} is there twice", node.slug);
        }
    }

    #[test]
    fn every_product_of_the_real_catalogue_has_a_name_that_the_shop_takes() {
        for item in real().items {
            let length = item.name.chars().count();
            assert!((1..=200).contains(&length), "product {} is named {:?}", item.sku, item.name);
            assert_eq!(item.name.trim(), item.name);
        }
    }

    #[test]
    fn the_real_total_is_the_sum_of_the_prices_in_cents() {
        let catalogue = real();
        let cents: u64 =
            catalogue.items.iter().map(|item| item.price.replace('.', "").parse::<u64>().unwrap()).sum();
        assert_eq!(catalogue.total, Decimal::new(i64::try_from(cents).unwrap(), 2));
    }

    #[test]
    fn a_price_that_is_not_exact_is_refused() {
        for text in ["1", "1.5", "1.234", ".50", "-1.00", "1.00 ", "1e2", ""] {
            assert!(price(text).is_err(), "{text:?} was taken");
        }
        assert_eq!(price("4.29").unwrap(), Decimal::new(429, 2));
    }
}
