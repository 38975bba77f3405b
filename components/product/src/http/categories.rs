//! `/categories`.

use bulkhead_contracts::{Admin, CategoryId};
use bulkhead_sdk::{
    Body, Change, Created, Json, NoContent, Page, Patch, Path, Problem, Query, Read, Result, Snapshot,
    Transaction, body, new_id, reply,
};

use super::ListQuery;
use crate::events::category_changed;
use crate::problems::{CATEGORY_CYCLE, CATEGORY_TOO_DEEP, TOO_MANY_CHILDREN};
use crate::rules::category::{CHILDREN_MAX, DEPTH_MAX, Misplaced, Slug, check_place};
use crate::rules::line::Name;
use crate::store::category::{self, Category};

body! {
    /// A category to create.
    pub struct CategoryInput {
        /// What it is called.
        pub name: Name,
        /// Its name in addresses; made from the name where absent, with a number behind it where another category has it.
        pub slug: Option<Slug>,
        /// What it belongs to; at the top where absent.
        pub parent_category_id: Option<CategoryId>,
    }
}

body! {
    /// What to change of a category. The slug does not follow the name.
    pub struct CategoryPatch {
        /// What it is called.
        pub name: Change<Name>,
        /// Its name in addresses; unique.
        pub slug: Change<Slug>,
        /// What it belongs to; null moves it to the top.
        pub parent_category_id: Patch<CategoryId>,
    }
}

reply! {
    /// A category with where it stands.
    pub struct CategoryDetail {
        /// Its id.
        pub id: CategoryId,
        /// What it is called.
        pub name: String,
        /// Its name in addresses; unique.
        pub slug: String,
        /// What it belongs to; null at the top.
        pub parent_category_id: Option<CategoryId>,
        /// The way from the root to its parent.
        pub path: Vec<Category>,
        /// What belongs to it, by slug.
        pub children: Vec<Category>,
    }
}

fn no_such_category() -> Problem {
    Problem::not_found("there is no such category")
}

fn misplaced(why: Misplaced) -> Problem {
    match why {
        Misplaced::Cycle => {
            Problem::of(CATEGORY_CYCLE, "a category cannot belong to itself or to one below it")
        }
        Misplaced::TooDeep => Problem::of(
            CATEGORY_TOO_DEEP,
            format!("categories stand at most {DEPTH_MAX} levels deep, with all that is below them"),
        ),
        Misplaced::TooManyChildren => Problem::of(
            TOO_MANY_CHILDREN,
            format!("at most {CHILDREN_MAX} categories belong to one category"),
        ),
    }
    .with("constraint", "category.parent_category_id")
}

fn detail(read: &impl Read, category: Category) -> Result<CategoryDetail> {
    let path = match category.parent_category_id {
        Some(parent) => category::way_to(read, parent)?,
        None => Vec::new(),
    };
    let children = category::children(read, category.id)?;
    let Category { id, name, slug, parent_category_id } = category;
    Ok(CategoryDetail { id, name, slug, parent_category_id, path, children })
}

pub(super) fn list(Query(query): Query<ListQuery>, snapshot: Snapshot) -> Result<Json<Page<Category>>> {
    const SCOPE: &str = "categories";
    let behind = query.cursor.map(|cursor| cursor.keys::<String>(SCOPE)).transpose()?.unwrap_or_default();
    let rows = category::list(&snapshot, &behind, query.limit)?;
    Page::new(rows, query.limit, SCOPE, |category| category.slug.clone()).map(Json)
}

pub(super) fn by_id(Path(id): Path<CategoryId>, snapshot: Snapshot) -> Result<Json<CategoryDetail>> {
    let category = category::by_id(&snapshot, id)?.ok_or_else(no_such_category)?;
    detail(&snapshot, category).map(Json)
}

pub(super) fn by_slug(Path(slug): Path<Slug>, snapshot: Snapshot) -> Result<Json<CategoryDetail>> {
    let category = category::by_slug(&snapshot, &slug.into_string())?.ok_or_else(no_such_category)?;
    detail(&snapshot, category).map(Json)
}

pub(super) fn create(
    _: Admin,
    Body(new): Body<CategoryInput>,
    transaction: Transaction,
) -> Result<Created<CategoryDetail>> {
    let slug = match new.slug {
        Some(slug) => slug,
        None => {
            let slug = Slug::from_name(new.name.as_str()).ok_or_else(|| {
                let why = "is missing, and the name has no letters that one could be made from";
                Problem::invalid_field("slug", why)
            })?;
            // Where none is free, the unique slug refuses it as it does a slug that the client chose.
            category::free_slug(&transaction, &slug)?.unwrap_or(slug)
        }
    };
    if let Some(parent) = new.parent_category_id {
        check_place(category::place_below(&transaction, parent, None)?, 1).map_err(misplaced)?;
    }
    let category = Category {
        id: new_id().into(),
        name: new.name.into_string(),
        slug: slug.into_string(),
        parent_category_id: new.parent_category_id,
    };
    category::insert(&transaction, &category)?;
    transaction.publish(&category_changed(&category))?;
    let location = format!("/categories/{}", category.id);
    Ok(Created { location, body: detail(&transaction, category)? })
}

pub(super) fn change(
    _: Admin,
    Path(id): Path<CategoryId>,
    Body(patch): Body<CategoryPatch>,
    transaction: Transaction,
) -> Result<Json<CategoryDetail>> {
    let mut category = category::by_id(&transaction, id)?.ok_or_else(no_such_category)?;
    let is_empty = matches!(
        patch,
        CategoryPatch { name: Change(None), slug: Change(None), parent_category_id: Patch::Absent }
    );
    if let Change(Some(name)) = patch.name {
        category.name = name.into_string();
    }
    if let Change(Some(slug)) = patch.slug {
        category.slug = slug.into_string();
    }
    match patch.parent_category_id {
        Patch::Absent => {}
        Patch::Null => category.parent_category_id = None,
        Patch::Value(parent) => {
            let place = category::place_below(&transaction, parent, Some(id))?;
            check_place(place, category::height(&transaction, id)?).map_err(misplaced)?;
            category.parent_category_id = Some(parent);
        }
    }
    if !is_empty {
        category::update(&transaction, &category)?;
        transaction.publish(&category_changed(&category))?;
    }
    detail(&transaction, category).map(Json)
}

pub(super) fn delete(_: Admin, Path(id): Path<CategoryId>, transaction: Transaction) -> Result<NoContent> {
    if category::delete(&transaction, id)? { Ok(NoContent) } else { Err(no_such_category()) }
}
