//! The table `category`.

use bulkhead_contracts::CategoryId;
use bulkhead_sdk::sql::Error;
use bulkhead_sdk::{ConstraintKind, Limit, Problem, Read, Result, Transaction, params, row};

use crate::problems::{CATEGORY_NOT_EMPTY, SLUG_TAKEN, UNKNOWN_CATEGORY};
use crate::rules::category::{Place, SLUG_NUMBER_MAX, Slug};

row! {
    /// A category.
    pub struct Category {
        /// Its id.
        pub id: CategoryId,
        /// What it is called.
        pub name: String,
        /// Its name in addresses; unique.
        pub slug: String,
        /// What it belongs to; null at the top.
        pub parent_category_id: Option<CategoryId>,
    }
}

/// The category with this id.
pub fn by_id(read: &impl Read, id: CategoryId) -> Result<Option<Category>, Error> {
    read.query_optional("SELECT id, name, slug, parent_category_id FROM category WHERE id = ?1", &params![id])
}

/// The category with this slug.
pub fn by_slug(read: &impl Read, slug: &str) -> Result<Option<Category>, Error> {
    read.query_optional(
        "SELECT id, name, slug, parent_category_id FROM category WHERE slug = ?1",
        &params![slug],
    )
}

/// A page of all categories by slug, behind the one with this slug.
pub fn list(read: &impl Read, behind: &str, limit: Limit) -> Result<Vec<Category>, Error> {
    read.query_all(
        "SELECT id, name, slug, parent_category_id FROM category WHERE slug > ?1 ORDER BY slug LIMIT ?2",
        &params![behind, limit.and_one_more()],
    )
}

/// The way from the root down to this category, itself included. Empty where there is no such category.
pub fn way_to(read: &impl Read, id: CategoryId) -> Result<Vec<Category>, Error> {
    read.query_all(
        "WITH RECURSIVE way (id, name, slug, parent_category_id, height) AS ( \
           SELECT id, name, slug, parent_category_id, 0 FROM category WHERE id = ?1 \
           UNION ALL \
           SELECT category.id, category.name, category.slug, category.parent_category_id, way.height + 1 \
             FROM way JOIN category ON category.id = way.parent_category_id \
         ) SELECT id, name, slug, parent_category_id FROM way ORDER BY height DESC",
        &params![id],
    )
}

/// Where a category would stand below this parent; none for the category is one that is not there yet. An unknown parent has
/// the depth 0: the foreign key refuses it.
pub fn place_below(
    read: &impl Read,
    parent: CategoryId,
    category: Option<CategoryId>,
) -> Result<Place, Error> {
    let (parent_depth, is_below_itself, siblings) = read.query_one(
        "WITH RECURSIVE way (id, parent_category_id) AS ( \
           SELECT id, parent_category_id FROM category WHERE id = ?1 \
           UNION ALL \
           SELECT category.id, category.parent_category_id \
             FROM way JOIN category ON category.id = way.parent_category_id \
         ) SELECT count(*), count(*) FILTER (WHERE id = ?2) > 0, \
           (SELECT count(*) FROM category WHERE parent_category_id = ?1 AND id IS NOT ?2) FROM way",
        &params![parent, category],
    )?;
    Ok(Place { parent_depth, siblings, is_below_itself })
}

/// How many levels stand from this category down, itself included.
pub fn height(read: &impl Read, id: CategoryId) -> Result<i64, Error> {
    let (height,) = read.query_one(
        "WITH RECURSIVE tree (id, level) AS ( \
           VALUES (?1, 1) \
           UNION ALL \
           SELECT category.id, tree.level + 1 FROM tree JOIN category ON category.parent_category_id = tree.id \
         ) SELECT max(level) FROM tree",
        &params![id],
    )?;
    Ok(height)
}

/// The first of the slug itself and of `stem-2`, `stem-3`, … that no category has; none where all that are tried are taken.
pub fn free_slug(read: &impl Read, slug: &Slug) -> Result<Option<Slug>, Error> {
    let stem = slug.stem();
    let free: Option<(i64,)> = read.query_optional(
        "WITH RECURSIVE tried (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM tried WHERE number < ?3) \
         SELECT number FROM tried WHERE NOT EXISTS ( \
           SELECT 1 FROM category WHERE slug = CASE number WHEN 1 THEN ?1 ELSE ?2 || '-' || number END \
         ) LIMIT 1",
        &params![slug, stem, SLUG_NUMBER_MAX],
    )?;
    Ok(free.map(|(number,)| if number == 1 { slug.clone() } else { stem.numbered(number) }))
}

/// What belongs to this category, by slug.
pub fn children(read: &impl Read, id: CategoryId) -> Result<Vec<Category>, Error> {
    read.query_all(
        "SELECT id, name, slug, parent_category_id FROM category WHERE parent_category_id = ?1 ORDER BY slug",
        &params![id],
    )
}

/// Creates a category: 409 where the slug is taken or the parent is unknown.
pub fn insert(transaction: &Transaction, category: &Category) -> Result<()> {
    transaction
        .execute(
            "INSERT INTO category (id, name, slug, parent_category_id) VALUES (?1, ?2, ?3, ?4)",
            &params![category.id, category.name, category.slug, category.parent_category_id],
        )
        .map_err(refused)?;
    Ok(())
}

/// Changes a category: 409 as in [`insert`].
pub fn update(transaction: &Transaction, category: &Category) -> Result<()> {
    transaction
        .execute(
            "UPDATE category SET name = ?2, slug = ?3, parent_category_id = ?4 WHERE id = ?1",
            &params![category.id, category.name, category.slug, category.parent_category_id],
        )
        .map_err(refused)?;
    Ok(())
}

/// Deletes a category: false where there is none, 409 where something belongs to it.
pub fn delete(transaction: &Transaction, id: CategoryId) -> Result<bool> {
    let outcome = transaction.execute("DELETE FROM category WHERE id = ?1", &params![id]).map_err(
        |error| match error.constraint() {
            Some((ConstraintKind::ForeignKey, _)) => {
                Problem::of(CATEGORY_NOT_EMPTY, "products or categories still belong to this category")
                    .with("constraint", "category.id")
            }
            _ => error.into(),
        },
    )?;
    Ok(outcome.rows_affected > 0)
}

/// What a constraint of the table means to a client.
fn refused(error: Error) -> Problem {
    match error.constraint() {
        Some((ConstraintKind::Unique, "category.slug")) => {
            Problem::of(SLUG_TAKEN, "another category has this slug").with("constraint", "category.slug")
        }
        Some((ConstraintKind::ForeignKey, _)) => {
            Problem::of(UNKNOWN_CATEGORY, "there is no category with this parent_category_id")
                .with("constraint", "category.parent_category_id")
        }
        _ => error.into(),
    }
}
