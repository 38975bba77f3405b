-- The catalogue: categories, products, their images and reviews, and the reservations of stock.
-- Ids are UUIDv7 as text; times are RFC 3339 in UTC with milliseconds, which sort as text; money is INTEGER cents.

CREATE TABLE category (
    -- Its life: created and changed by admins; deleted only while no product and no other category belongs to it.
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    slug TEXT NOT NULL UNIQUE,
    -- NULL at the top. The handlers see to it that there are no cycles.
    parent_category_id TEXT REFERENCES category (id)
) STRICT;

CREATE INDEX category_by_parent ON category (
    -- GET /categories/{id}: its children by slug; the walk down from a category; the check at DELETE.
    parent_category_id, slug
);

CREATE TABLE product (
    -- Its life: created, changed and deleted by admins; never deleted while stock of it is reserved.
    search_rowid INTEGER PRIMARY KEY, -- The row of product_search; nobody outside sees it.
    id TEXT NOT NULL UNIQUE,
    category_id TEXT NOT NULL REFERENCES category (id),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    price INTEGER NOT NULL CHECK (price BETWEEN 0 AND 999999999), -- Cents.
    sku TEXT NOT NULL UNIQUE,
    stock_quantity INTEGER NOT NULL CHECK (stock_quantity >= 0), -- What is available: without what is reserved.
    stock_reserved INTEGER NOT NULL DEFAULT 0 CHECK (stock_reserved >= 0), -- Sum of the reservations that stand.
    stock_sold INTEGER NOT NULL DEFAULT 0 CHECK (stock_sold >= 0),
    stock_added INTEGER NOT NULL, -- All that was ever added, less what was taken out by hand.
    rating_count INTEGER NOT NULL DEFAULT 0, -- Kept by the triggers of product_review.
    rating_sum INTEGER NOT NULL DEFAULT 0, -- Kept by the triggers of product_review.
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT stock_conserved CHECK (stock_quantity + stock_reserved + stock_sold = stock_added)
) STRICT;

CREATE INDEX product_by_category ON product (
    -- GET /products?category=; the check at DELETE of a category.
    category_id
);

CREATE INDEX product_by_name ON product (
    -- GET /products?sort=name.
    name, id
);

CREATE INDEX product_by_price ON product (
    -- GET /products?sort=price and -price; ?min_price= and ?max_price=.
    price, id
);

CREATE INDEX product_by_created_at ON product (
    -- GET /products, and ?sort=created_at and -created_at.
    created_at, id
);

-- The words of products, for GET /products?q=. Its life: follows product by the triggers below, and is written by nothing else.
-- Contentless: it holds the index alone, the texts are in product.
CREATE VIRTUAL TABLE product_search USING fts5 (
    name, description, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TRIGGER product_search_insert AFTER INSERT ON product BEGIN
    INSERT INTO product_search (rowid, name, description) VALUES (new.search_rowid, new.name, new.description);
END;

CREATE TRIGGER product_search_delete AFTER DELETE ON product BEGIN
    DELETE FROM product_search WHERE rowid = old.search_rowid;
END;

CREATE TRIGGER product_search_update AFTER UPDATE OF name, description ON product
-- A change of the price alone costs no work in the index.
WHEN old.name <> new.name OR old.description <> new.description
BEGIN
    DELETE FROM product_search WHERE rowid = old.search_rowid;
    INSERT INTO product_search (rowid, name, description) VALUES (new.search_rowid, new.name, new.description);
END;

CREATE TRIGGER product_reserved_stays BEFORE DELETE ON product
WHEN old.stock_reserved > 0
BEGIN
    SELECT RAISE (ABORT, 'product-reserved');
END;

CREATE TABLE product_image (
    -- Its life: added and deleted by admins; goes with its product.
    id TEXT NOT NULL PRIMARY KEY,
    product_id TEXT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    image_url TEXT NOT NULL,
    display_order INTEGER NOT NULL
) STRICT;

CREATE INDEX product_image_by_product ON product_image (
    -- GET /products/{id} and /products/{id}/images: in the order of display.
    product_id, display_order, id
);

CREATE TABLE product_review (
    -- Its life: written once by a customer, deleted by its author or an admin; goes with its product.
    id TEXT NOT NULL PRIMARY KEY,
    product_id TEXT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    user_id_ref TEXT NOT NULL, -- A user of the user service.
    rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
    comment TEXT,
    created_at TEXT NOT NULL,
    -- One of each customer.
    UNIQUE (product_id, user_id_ref)
) STRICT;

CREATE INDEX product_review_by_product ON product_review (
    -- GET /products/{id}/reviews: the newest first.
    product_id, created_at, id
);

CREATE TRIGGER product_rating_insert AFTER INSERT ON product_review BEGIN
    UPDATE product SET rating_count = rating_count + 1, rating_sum = rating_sum + new.rating WHERE id = new.product_id;
END;

CREATE TRIGGER product_rating_delete AFTER DELETE ON product_review BEGIN
    UPDATE product SET rating_count = rating_count - 1, rating_sum = rating_sum - old.rating WHERE id = old.product_id;
END;

CREATE TABLE product_reservation (
    -- Its life: `reserved` when an order is placed; then once, and for good, `sold` when it is shipped or `released` when it is
    -- cancelled. Goes with its product, which can't go while it is reserved.
    order_id_ref TEXT NOT NULL, -- An order of the order service.
    product_id TEXT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    quantity INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 10000),
    state TEXT NOT NULL CHECK (state IN ('reserved', 'sold', 'released')),
    PRIMARY KEY (order_id_ref, product_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX product_reservation_by_product ON product_reservation (
    -- What goes when a product is deleted.
    product_id
);
