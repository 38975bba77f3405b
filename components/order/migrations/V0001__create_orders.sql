-- Orders: their items, payment, shipping and history, and the ledger of the test gateway.
-- Ids are UUIDv7 as text; times are RFC 3339 in UTC with milliseconds, which sort as text; money is INTEGER cents.
-- The tables `product` and `user` are the host's replicas: nothing here refers to them.

CREATE TABLE "order" (
    -- Its life: placed by a customer, or by an admin for them; then what rules::status allows, until it is delivered, rejected or
    -- cancelled. Never deleted: when the customer's account is, the order forgets whose it was.
    id TEXT NOT NULL PRIMARY KEY,
    user_id_ref TEXT, -- A user of the user service; NULL once they are deleted.
    order_number TEXT NOT NULL UNIQUE,
    total_amount INTEGER NOT NULL CHECK (total_amount BETWEEN 0 AND 999999999), -- Cents; the sum of its items.
    status TEXT NOT NULL CHECK (
        status IN ('pending', 'reserved', 'paid', 'shipped', 'delivered', 'rejected', 'cancelled')
    ),
    payment_due_at TEXT NOT NULL, -- When the time to pay is over.
    created_at TEXT NOT NULL, -- When it was ordered.
    updated_at TEXT NOT NULL
) STRICT;

CREATE INDEX order_by_created_at ON "order" (
    -- GET /orders of an admin.
    created_at, id
);

CREATE INDEX order_by_user ON "order" (
    -- GET /orders of a customer, and ?user_id=; the orders of a user who is deleted.
    user_id_ref, created_at, id
);

CREATE INDEX order_by_status ON "order" (
    -- GET /orders?status=.
    status, created_at, id
);

CREATE TABLE order_number (
    -- The numbers that were given out. Its life: a row for each year in which something was ordered, counted up by each order.
    year INTEGER NOT NULL PRIMARY KEY,
    last INTEGER NOT NULL CHECK (last > 0)
) STRICT;

CREATE TABLE order_item (
    -- Its life: written with its order; the name follows the product's while the order is open, nothing else changes.
    id TEXT NOT NULL PRIMARY KEY, -- Those of an order grow in the order of its items.
    order_id TEXT NOT NULL REFERENCES "order" (id),
    product_id_ref TEXT NOT NULL, -- A product of the product service.
    product_name TEXT NOT NULL,
    unit_price INTEGER NOT NULL CHECK (unit_price BETWEEN 0 AND 999999999), -- Cents, frozen.
    quantity INTEGER NOT NULL CHECK (quantity BETWEEN 1 AND 10000),
    subtotal INTEGER NOT NULL,
    name_follows INTEGER NOT NULL DEFAULT 1 CHECK (name_follows IN (0, 1)), -- 1 while the order may yet be shipped.
    CONSTRAINT subtotal_exact CHECK (subtotal = unit_price * quantity)
) STRICT;

CREATE UNIQUE INDEX order_item_by_order ON order_item (
    -- The items of orders, in their order.
    order_id, id
);

CREATE INDEX order_item_by_product ON order_item (
    -- product.changed: the items whose name follows it.
    product_id_ref
) WHERE name_follows = 1;

CREATE TABLE order_payment (
    -- One for each order. Its life: written with its order, and settled with it.
    id TEXT NOT NULL PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE REFERENCES "order" (id),
    payment_method TEXT NOT NULL,
    payment_status TEXT NOT NULL CHECK (payment_status IN ('pending', 'captured', 'declined', 'refunded', 'voided')),
    transaction_id TEXT, -- The gateway's, once it is captured.
    amount INTEGER NOT NULL CHECK (amount BETWEEN 0 AND 999999999), -- Cents.
    paid_at TEXT,
    token TEXT, -- What it is paid with, until that was used.
    CONSTRAINT paid_when_captured CHECK (
        (payment_status IN ('captured', 'refunded')) = (paid_at IS NOT NULL AND transaction_id IS NOT NULL)
    ),
    CONSTRAINT token_until_used CHECK (token IS NULL OR payment_status = 'pending')
) STRICT;

CREATE TABLE order_payment_attempt (
    -- Its life: recorded before the gateway is asked; tried until the gateway decides, or until it is given up (`voided`) for a newer
    -- one or with its order. One of an order is undecided at most.
    order_id TEXT NOT NULL REFERENCES "order" (id),
    attempt INTEGER NOT NULL CHECK (attempt > 0), -- 1, 2, … of its order.
    payment_method TEXT NOT NULL,
    tries INTEGER NOT NULL CHECK (tries >= 0), -- How often the gateway was asked.
    outcome TEXT CHECK (outcome IN ('captured', 'declined', 'voided')), -- NULL until it is decided.
    recorded_at TEXT NOT NULL,
    decided_at TEXT,
    PRIMARY KEY (order_id, attempt),
    CONSTRAINT decided_with_outcome CHECK ((outcome IS NULL) = (decided_at IS NULL))
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX order_payment_attempt_open ON order_payment_attempt (
    -- The attempt of an order that is to be decided.
    order_id
) WHERE outcome IS NULL;

CREATE TABLE gateway_charge (
    -- The test gateway's own ledger, which makes it idempotent for each order and attempt. Its life: `open` when it is first asked for;
    -- then what the gateway decided, for good, but that what was captured may be refunded. Written by store::gateway alone.
    order_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount BETWEEN 0 AND 999999999), -- Cents.
    asked INTEGER NOT NULL CHECK (asked >= 0), -- How often it was asked for while it was open.
    state TEXT NOT NULL CHECK (state IN ('open', 'captured', 'declined', 'refunded', 'voided')),
    transaction_id TEXT UNIQUE, -- Once it is captured.
    PRIMARY KEY (order_id, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE order_shipping (
    -- One for each order. Its life: written with its order, carried on with it; whom it goes to and where is forgotten with the
    -- customer's account.
    id TEXT NOT NULL PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE REFERENCES "order" (id),
    recipient_name TEXT, -- NULL, as the whole address, once the customer is deleted.
    address_line1 TEXT,
    address_line2 TEXT,
    city TEXT,
    state TEXT,
    postal_code TEXT,
    country TEXT CHECK (length(country) = 2), -- ISO 3166-1 alpha-2.
    tracking_number TEXT, -- With the carrier, once it is shipped.
    carrier TEXT,
    shipping_status TEXT NOT NULL CHECK (shipping_status IN ('pending', 'shipped', 'delivered', 'cancelled')),
    CONSTRAINT address_whole_or_forgotten CHECK (
        CASE WHEN recipient_name IS NULL
        THEN coalesce(address_line1, address_line2, city, state, postal_code, country) IS NULL
        ELSE address_line1 IS NOT NULL AND city IS NOT NULL AND postal_code IS NOT NULL AND country IS NOT NULL
        END
    ),
    CONSTRAINT carried_when_shipped CHECK (
        (shipping_status IN ('shipped', 'delivered')) = (carrier IS NOT NULL AND tracking_number IS NOT NULL)
    )
) STRICT;

CREATE TABLE order_event (
    -- What happened to an order, from which its history is folded. Append only, in the unit of work that changes the order.
    order_id TEXT NOT NULL REFERENCES "order" (id),
    sequence INTEGER NOT NULL CHECK (sequence > 0), -- 1, 2, … of its order.
    cause TEXT NOT NULL CHECK (
        cause IN (
            'placed', 'stock-reserved', 'stock-rejected', 'payment-captured', 'payment-declined', 'payment-overdue',
            'cancelled', 'user-deleted', 'shipped', 'delivered'
        )
    ),
    at TEXT NOT NULL,
    PRIMARY KEY (order_id, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE deleted_user (
    -- Who is deleted, and orders nothing any more. Append only: an event may be on its way for long, and so may a token.
    user_id_ref TEXT NOT NULL PRIMARY KEY,
    deleted_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
