//! The kinds of problem that are this service's own.

bulkhead_sdk::problems! {
    /// Another category has this slug. Choose one that is free, or leave it out.
    pub SLUG_TAKEN = 409 "slug-taken"
    /// There is no category with the id in `category_id` or `parent_category_id`.
    pub UNKNOWN_CATEGORY = 409 "unknown-category"
    /// A category can belong neither to itself nor to one below it.
    pub CATEGORY_CYCLE = 409 "category-cycle"
    /// Categories would stand deeper than they may.
    pub CATEGORY_TOO_DEEP = 409 "category-too-deep"
    /// As many categories belong to this one as may.
    pub TOO_MANY_CHILDREN = 409 "too-many-children"
    /// Products or categories still belong to the category. Move or delete them first.
    pub CATEGORY_NOT_EMPTY = 409 "category-not-empty"
    /// Another product has this sku.
    pub SKU_TAKEN = 409 "sku-taken"
    /// Stock of the product is reserved for orders. Try again when they are shipped or cancelled.
    pub PRODUCT_RESERVED = 409 "product-reserved"
    /// There is less stock than is to be taken out: `available` says how much there is.
    pub INSUFFICIENT_STOCK = 409 "insufficient-stock"
    /// More of the product would be available than may be: `available` says how much there is.
    pub TOO_MUCH_STOCK = 409 "too-much-stock"
    /// The product has as many images as one may have. Delete one first.
    pub TOO_MANY_IMAGES = 409 "too-many-images"
    /// The customer has reviewed the product already. Delete that review first.
    pub REVIEW_EXISTS = 409 "review-exists"
}
