//! Reading everything back and comparing it with the file: count, prices to the cent, and the tree of categories.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::ControlFlow;

use anyhow::{Context as _, Result};
use rust_decimal::Decimal;

use crate::catalogue::Catalogue;
use crate::client::Connection;
use crate::shop::{self, Category, Product};

/// As many differences are shown in words; the rest is counted.
const SHOWN_MAX: usize = 20;

/// What was read, and where it differs from the file.
#[derive(Debug)]
pub(crate) struct Report {
    products: usize,
    categories: usize,
    total: Decimal,
    /// One sentence each.
    pub(crate) differences: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "read back: {} products in {} categories, sum of all prices: {}",
            self.products, self.categories, self.total
        )?;
        for difference in self.differences.iter().take(SHOWN_MAX) {
            writeln!(formatter, "difference: {difference}")?;
        }
        match self.differences.len() {
            0 => writeln!(formatter, "this is what the file says, to the cent"),
            count => writeln!(formatter, "{count} differences"),
        }
    }
}

/// Reads all products and categories back and compares them with the catalogue.
pub(crate) async fn verify(connection: &mut Connection, catalogue: &Catalogue) -> Result<Report> {
    let (mut products, mut categories) = (Vec::new(), Vec::new());
    shop::read_all(connection, "/products", |page: Vec<Product>| {
        products.extend(page);
        ControlFlow::Continue(())
    })
    .await
    .context("failed to read the products back")?;
    shop::read_all(connection, "/categories", |page: Vec<Category>| {
        categories.extend(page);
        ControlFlow::Continue(())
    })
    .await
    .context("failed to read the categories back")?;
    Ok(compare(catalogue, &products, &categories))
}

fn compare(catalogue: &Catalogue, products: &[Product], categories: &[Category]) -> Report {
    let mut differences = Vec::new();
    // The counts first: the rest may be long.
    let counts = [
        ("products", products.len(), catalogue.items.len()),
        ("categories", categories.len(), catalogue.tree.len()),
    ];
    for (what, found, expected) in counts {
        if found != expected {
            differences.push(format!("{found} {what}, and {expected} in the file"));
        }
    }
    compare_categories(catalogue, categories, &mut differences);
    let total = compare_products(catalogue, products, categories, &mut differences);
    Report { products: products.len(), categories: categories.len(), total, differences }
}

fn compare_categories(catalogue: &Catalogue, categories: &[Category], differences: &mut Vec<String>) {
    let slug_of: BTreeMap<&str, &str> = categories.iter().map(|c| (c.id.as_str(), c.slug.as_str())).collect();
    let mut by_slug = BTreeMap::new();
    let mut names = BTreeSet::new();
    for category in categories {
        if by_slug.insert(category.slug.as_str(), category).is_some() {
            differences.push(format!("two categories have the slug {}", category.slug));
        }
        if !names.insert((&category.parent_category_id, &category.name)) {
            differences.push(format!("category {} has a namesake under the same parent", category.slug));
        }
    }
    for node in catalogue.tree.nodes() {
        let Some(category) = by_slug.get(node.slug.as_str()) else {
            differences.push(format!("category {} is missing", node.slug));
            continue;
        };
        let expected =
            node.parent.and_then(|place| catalogue.tree.node(place)).map(|node| node.slug.as_str());
        let parent = category.parent_category_id.as_deref().map(|id| slug_of.get(id).copied().unwrap_or(id));
        if parent != expected {
            differences.push(format!("category {} lies under {parent:?} instead of {expected:?}", node.slug));
        }
    }
}

fn compare_products(
    catalogue: &Catalogue,
    products: &[Product],
    categories: &[Category],
    differences: &mut Vec<String>,
) -> Decimal {
    let slug_of: BTreeMap<&str, &str> = categories.iter().map(|c| (c.id.as_str(), c.slug.as_str())).collect();
    let mut total = Decimal::ZERO;
    let mut by_sku = BTreeMap::new();
    for product in products {
        match product.price.parse::<Decimal>() {
            Ok(price) => total += price,
            Err(_) => differences.push(format!("product {} has the price {:?}", product.sku, product.price)),
        }
        if by_sku.insert(product.sku.as_str(), product).is_some() {
            differences.push(format!("product {} was read twice", product.sku));
        }
    }
    if total != catalogue.total {
        differences.push(format!("the prices' sum is {total}, and {} in the file", catalogue.total));
    }
    for item in &catalogue.items {
        let Some(product) = by_sku.remove(item.sku.as_str()) else {
            differences.push(format!("product {} is missing", item.sku));
            continue;
        };
        let slug = slug_of.get(product.category_id.as_str()).copied();
        let expected = catalogue.tree.node(item.category).map(|node| node.slug.as_str());
        for (what, found, expected) in [
            ("price", Some(product.price.as_str()), Some(item.price.as_str())),
            ("name", Some(product.name.as_str()), Some(item.name.as_str())),
            ("category", slug, expected),
        ] {
            if found != expected {
                differences.push(format!("product {}: {what} is {found:?}, not {expected:?}", item.sku));
            }
        }
    }
    differences.extend(by_sku.keys().map(|sku| format!("product {sku} is not in the file")));
    total
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn catalogue() -> Catalogue {
        Catalogue::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../products.csv"))).unwrap()
    }

    /// The shop as it is after a perfect load; the slugs serve as ids.
    fn shop_of(catalogue: &Catalogue) -> (Vec<Product>, Vec<Category>) {
        let tree = &catalogue.tree;
        let slug = |place: usize| tree.node(place).unwrap().slug.clone();
        let categories = tree.nodes().iter().map(|node| Category {
            id: node.slug.clone(),
            name: node.name.clone(),
            slug: node.slug.clone(),
            parent_category_id: node.parent.map(slug),
        });
        let products = catalogue.items.iter().map(|item| Product {
            category_id: slug(item.category),
            name: item.name.clone(),
            price: item.price.clone(),
            sku: item.sku.clone(),
        });
        (products.collect(), categories.collect())
    }

    #[test]
    fn what_the_file_says_has_no_difference() {
        let catalogue = catalogue();
        let (products, categories) = shop_of(&catalogue);
        let report = compare(&catalogue, &products, &categories);
        assert_eq!(report.differences, Vec::<String>::new());
        assert_eq!(report.total, catalogue.total);
    }

    #[test]
    fn a_cent_a_missing_product_and_a_doubled_category_are_found() {
        let catalogue = catalogue();
        let (mut products, mut categories) = shop_of(&catalogue);
        products[0].price = "4.30".to_owned();
        products.pop();
        categories.push(categories[0].clone());
        let differences = compare(&catalogue, &products, &categories).differences;
        let last = &catalogue.items.last().unwrap().sku;
        for expected in [
            "1885 categories, and 1884 in the file",
            "12709 products, and 12710 in the file",
            &format!("product {last} is missing"),
            "product 27334: price is Some(\"4.30\"), not Some(\"4.29\")",
            "two categories have the slug",
        ] {
            assert!(differences.iter().any(|found| found.contains(expected)), "{expected}: {differences:?}");
        }
    }
}
