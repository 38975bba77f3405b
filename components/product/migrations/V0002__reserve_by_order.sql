-- The product service's side of an order's life: reservations with a state for each order, and reviews that outlive their author.

CREATE TABLE reservation (
    -- Its life: a row when the first event of an order arrives, for good, for it is what a repeated or late event is known by.
    -- `reserved` when every item was set aside, then once `released` or `sold`; `rejected` when there was too little;
    -- `cancelled` when the order was called off before anything was set aside, and then nothing ever is.
    order_id_ref TEXT NOT NULL PRIMARY KEY, -- An order of the order service.
    state TEXT NOT NULL CHECK (state IN ('reserved', 'rejected', 'released', 'sold', 'cancelled'))
) STRICT, WITHOUT ROWID;

INSERT INTO reservation (order_id_ref, state) SELECT order_id_ref, min(state) FROM product_reservation GROUP BY order_id_ref;

CREATE TABLE product_reservation_new (
    -- Its life: written when an order's items are set aside, and then unchanged: where they are now is the state of the order's
    -- reservation. Goes with its product, which can't go while it is reserved.
    order_id_ref TEXT NOT NULL REFERENCES reservation (order_id_ref),
    product_id TEXT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    quantity INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 10000),
    PRIMARY KEY (order_id_ref, product_id)
) STRICT, WITHOUT ROWID;

INSERT INTO product_reservation_new (order_id_ref, product_id, quantity)
SELECT order_id_ref, product_id, quantity FROM product_reservation;

DROP TABLE product_reservation;

ALTER TABLE product_reservation_new RENAME TO product_reservation;

CREATE INDEX product_reservation_by_product ON product_reservation (
    -- What goes when a product is deleted.
    product_id
);

CREATE TABLE product_review_new (
    -- Its life: written once by a customer, deleted by its author or an admin; loses its author when that user is deleted; goes with
    -- its product.
    id TEXT NOT NULL PRIMARY KEY,
    product_id TEXT NOT NULL REFERENCES product (id) ON DELETE CASCADE,
    user_id_ref TEXT, -- A user of the user service; NULL when that user is gone.
    rating INTEGER NOT NULL CHECK (rating BETWEEN 1 AND 5),
    comment TEXT,
    created_at TEXT NOT NULL,
    -- One of each customer.
    UNIQUE (product_id, user_id_ref)
) STRICT;

INSERT INTO product_review_new (id, product_id, user_id_ref, rating, comment, created_at)
SELECT id, product_id, user_id_ref, rating, comment, created_at FROM product_review;

-- Its index and its triggers go with it, and are made anew below.
DROP TABLE product_review;

ALTER TABLE product_review_new RENAME TO product_review;

CREATE INDEX product_review_by_product ON product_review (
    -- GET /products/{id}/reviews: the newest first.
    product_id, created_at, id
);

CREATE INDEX product_review_by_user ON product_review (
    -- The reviews of a user who is deleted.
    user_id_ref
);

CREATE TRIGGER product_rating_insert AFTER INSERT ON product_review BEGIN
    UPDATE product SET rating_count = rating_count + 1, rating_sum = rating_sum + new.rating WHERE id = new.product_id;
END;

CREATE TRIGGER product_rating_delete AFTER DELETE ON product_review BEGIN
    UPDATE product SET rating_count = rating_count - 1, rating_sum = rating_sum - old.rating WHERE id = old.product_id;
END;

CREATE TABLE deleted_user (
    -- Its life: a row when a user is deleted, for good. A request that was let in before that can come after it, and must not bring the
    -- user back.
    user_id_ref TEXT NOT NULL PRIMARY KEY
) STRICT, WITHOUT ROWID;
