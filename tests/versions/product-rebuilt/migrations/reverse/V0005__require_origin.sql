-- An origin of which nobody has said anything is NULL again.
-- SQLite can't change a column, so the table is made anew, as in https://sqlite.org/lang_altertable.html, section 7. Its children (images,
-- reviews, reservations) stay as they are: foreign keys are off in a migration. The words of `product_search` stay too, for a
-- product keeps its `search_rowid`.

-- They stand on another table and write to this one: while it is away SQLite would not let the new one have its name.
DROP TRIGGER product_rating_insert;

DROP TRIGGER product_rating_delete;

CREATE TABLE product_new (
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
    origin TEXT CHECK (length(origin) = 2), -- A country's two letters.
    CONSTRAINT stock_conserved CHECK (stock_quantity + stock_reserved + stock_sold = stock_added)
) STRICT;

INSERT INTO product_new (
    search_rowid, id, category_id, name, description, price, sku, stock_quantity, stock_reserved, stock_sold, stock_added,
    rating_count, rating_sum, created_at, updated_at, origin
)
SELECT
    search_rowid, id, category_id, name, description, price, sku, stock_quantity, stock_reserved, stock_sold, stock_added,
    rating_count, rating_sum, created_at, updated_at, nullif(origin, 'ZZ')
FROM product;

-- Its indexes and its triggers go with it, and are made anew below.
DROP TABLE product;

ALTER TABLE product_new RENAME TO product;

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

CREATE TRIGGER product_search_delete AFTER DELETE ON product BEGIN
    DELETE FROM product_search WHERE rowid = old.search_rowid;
    DELETE FROM product_search_due WHERE search_rowid = old.search_rowid;
END;

CREATE TRIGGER product_reserved_stays BEFORE DELETE ON product
WHEN old.stock_reserved > 0
BEGIN
    SELECT RAISE (ABORT, 'product-reserved');
END;

CREATE TRIGGER product_rating_insert AFTER INSERT ON product_review BEGIN
    UPDATE product SET rating_count = rating_count + 1, rating_sum = rating_sum + new.rating WHERE id = new.product_id;
END;

CREATE TRIGGER product_rating_delete AFTER DELETE ON product_review BEGIN
    UPDATE product SET rating_count = rating_count - 1, rating_sum = rating_sum - old.rating WHERE id = old.product_id;
END;
