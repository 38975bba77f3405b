-- What the reports are made from. All of it comes from the events of other services, and none of it is anybody's original: it can be
-- made anew from their logs at any time. Ids are UUIDs as text, days are dates in UTC (2026-01-02), money is INTEGER cents.
-- No row says which user it is about.

CREATE TABLE known_order (
    -- Its life: a row when the first event of an order arrives; moves on as its facts become known; never deleted.
    order_id_ref TEXT NOT NULL PRIMARY KEY, -- An order of the order service.
    status TEXT NOT NULL
    CHECK (status IN ('pending', 'reserved', 'paid', 'shipped', 'delivered', 'rejected', 'cancelled')),
    day TEXT, -- When it was placed; NULL until order.placed is here.
    amount INTEGER CHECK (amount >= 0) -- What it comes to; NULL until order.placed or order.paid is here.
) STRICT, WITHOUT ROWID;

CREATE INDEX known_order_by_status ON known_order (
    -- GET /reports/orders-by-status.
    status
);

CREATE TABLE order_line (
    -- Its life: written when order.placed arrives; never changed or deleted.
    order_id_ref TEXT NOT NULL,
    product_id_ref TEXT NOT NULL, -- A product of the product service, which may be gone by now.
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    unit_price INTEGER NOT NULL CHECK (unit_price >= 0),
    PRIMARY KEY (order_id_ref, product_id_ref)
) STRICT, WITHOUT ROWID;

CREATE TABLE sale (
    -- What was sold of a product on a day: the sums over the lines of the orders that count as sold now. Its life: grows when an order is
    -- paid, shrinks when one is cancelled after that; a row that nothing is left of is deleted.
    product_id_ref TEXT NOT NULL, -- A product of the product service, which may be gone by now.
    day TEXT NOT NULL,
    units INTEGER NOT NULL CHECK (units >= 0),
    revenue INTEGER NOT NULL CHECK (revenue >= 0),
    PRIMARY KEY (product_id_ref, day)
) STRICT, WITHOUT ROWID;

CREATE INDEX sale_by_day ON sale (
    -- GET /reports/revenue: all that it needs of a range of days.
    day, product_id_ref, revenue
);

CREATE TABLE product (
    -- Its life: the newest state of a product; stays when the product is deleted, so that what was sold keeps its name.
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    category_id TEXT NOT NULL -- It may not be known here yet.
) STRICT, WITHOUT ROWID;

CREATE TABLE category (
    -- Its life: the newest state of a category; stays when the category is deleted.
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    parent_category_id TEXT -- NULL at the top. It may not be known here yet.
) STRICT, WITHOUT ROWID;

CREATE INDEX category_by_parent ON category (
    -- GET /reports/revenue: the way from the top-level categories down.
    parent_category_id
);
