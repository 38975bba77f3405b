-- The index has the texts themselves again, and triggers write it.

DROP TRIGGER product_search_delete;

-- Its trigger goes with it.
DROP VIEW product_words;

DROP TABLE product_search_due;

DROP TABLE product_search;

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

INSERT INTO product_search (rowid, name, description) SELECT search_rowid, name, description FROM product;
