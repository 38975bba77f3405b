//! `/products/{id}/images`.

use bulkhead_contracts::{Admin, ImageId, ProductId};
use bulkhead_sdk::{
    Body, Created, Integer, Json, NoContent, Page, Path, Problem, Query, Result, Snapshot, Transaction, body,
    new_id,
};

use super::{ListQuery, no_such_product};
use crate::problems::TOO_MANY_IMAGES;
use crate::rules::image::{DISPLAY_ORDER_MAX, HttpsUrl, IMAGES_MAX};
use crate::store::image::{self, Image};
use crate::store::product;

body! {
    /// An image to add.
    pub struct ImageInput {
        /// An https URL.
        pub image_url: HttpsUrl,
        /// Images are shown in this order; behind the last one where absent.
        pub display_order: Option<Integer<0, DISPLAY_ORDER_MAX>>,
    }
}

fn no_such_image() -> Problem {
    Problem::not_found("there is no such image of this product")
}

pub(super) fn list(
    Path(product_id): Path<ProductId>,
    Query(query): Query<ListQuery>,
    snapshot: Snapshot,
) -> Result<Json<Page<Image>>> {
    let scope = format!("images {product_id}");
    let rows = image::list(&snapshot, product_id, query.cursor.as_ref(), &scope, query.limit)?;
    if rows.is_empty() && !product::exists(&snapshot, product_id)? {
        return Err(no_such_product());
    }
    Page::new(rows, query.limit, &scope, |image| -> image::Key { (image.display_order, image.id) }).map(Json)
}

pub(super) fn by_id(
    Path((product_id, id)): Path<(ProductId, ImageId)>,
    snapshot: Snapshot,
) -> Result<Json<Image>> {
    image::by_id(&snapshot, product_id, id)?.map(Json).ok_or_else(no_such_image)
}

pub(super) fn create(
    _: Admin,
    Path(product_id): Path<ProductId>,
    Body(new): Body<ImageInput>,
    transaction: Transaction,
) -> Result<Created<Image>> {
    let (count, next_order) = image::count_and_next_order(&transaction, product_id)?;
    if count >= IMAGES_MAX {
        return Err(Problem::of(TOO_MANY_IMAGES, format!("a product has at most {IMAGES_MAX} images"))
            .with("constraint", "product_image.product_id"));
    }
    let image = Image {
        id: new_id().into(),
        product_id,
        image_url: new.image_url.into_string(),
        display_order: new.display_order.map_or(next_order.min(DISPLAY_ORDER_MAX), Integer::get),
    };
    image::insert(&transaction, &image)?;
    Ok(Created { location: format!("/products/{product_id}/images/{}", image.id), body: image })
}

pub(super) fn delete(
    _: Admin,
    Path((product_id, id)): Path<(ProductId, ImageId)>,
    transaction: Transaction,
) -> Result<NoContent> {
    if image::delete(&transaction, product_id, id)? { Ok(NoContent) } else { Err(no_such_image()) }
}
