-- What was shipped has a number again. One that is forgotten stays so, and is empty.

CREATE TABLE order_shipping_kept (
    -- Gone at the end of this migration.
    id TEXT,
    order_id TEXT,
    recipient_name TEXT,
    address_line1 TEXT,
    address_line2 TEXT,
    city TEXT,
    state TEXT,
    postal_code TEXT,
    country TEXT,
    tracking_number TEXT,
    carrier TEXT,
    shipping_status TEXT
) STRICT;

INSERT INTO order_shipping_kept
SELECT
    id, order_id, recipient_name, address_line1, address_line2, city, state, postal_code, country, tracking_number, carrier,
    shipping_status
FROM order_shipping;

DROP TABLE order_shipping;

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

INSERT INTO order_shipping (
    id, order_id, recipient_name, address_line1, address_line2, city, state, postal_code, country, tracking_number, carrier,
    shipping_status
)
SELECT
    id, order_id, recipient_name, address_line1, address_line2, city, state, postal_code, country,
    iif(carrier IS NULL, NULL, coalesce(tracking_number, '')), carrier, shipping_status
FROM order_shipping_kept;

DROP TABLE order_shipping_kept;
