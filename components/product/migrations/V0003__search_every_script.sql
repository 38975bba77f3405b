-- Search in every script: the index has the words of a text as the service writes them (rules/words.rs) in place of the text itself, for
-- SQL knows neither all that is the same letter nor how to take apart what is written without spaces.

DROP TRIGGER product_search_insert;

DROP TRIGGER product_search_update;

DROP TRIGGER product_search_delete;

DROP TABLE product_search;

-- The words of products, for GET /products?q=. Its life: follows product by the triggers below, and is written by nothing else.
-- Contentless: it holds the index alone, the texts are in product. The words are apart and in one form already: `ascii` splits at
-- spaces, and takes all that is not ASCII for letters.
CREATE VIRTUAL TABLE product_search USING fts5 (
    name, description, content = '', contentless_delete = 1, tokenize = 'ascii'
);

CREATE TABLE product_search_due (
    -- Its life: the products from before this migration whose words SQL can't write; each goes when the service has written them, which it
    -- does a few at a time whenever it writes. Nothing is added.
    search_rowid INTEGER PRIMARY KEY -- The row of product and of product_search.
) STRICT;

-- Where a product's words are written: it shows nothing, and what is inserted goes into the index in the place of what is there.
CREATE VIEW product_words (search_rowid, name, description) AS SELECT NULL, NULL, NULL WHERE false;

CREATE TRIGGER product_words_insert INSTEAD OF INSERT ON product_words BEGIN
    DELETE FROM product_search WHERE rowid = new.search_rowid;
    INSERT INTO product_search (rowid, name, description) VALUES (new.search_rowid, new.name, new.description);
    DELETE FROM product_search_due WHERE search_rowid = new.search_rowid;
END;

CREATE TRIGGER product_search_delete AFTER DELETE ON product BEGIN
    DELETE FROM product_search WHERE rowid = old.search_rowid;
    DELETE FROM product_search_due WHERE search_rowid = old.search_rowid;
END;

-- Of a text that is all ASCII, `ascii` makes the very words that the service would. The others are found by those of their words alone until
-- the service has written all of them.
INSERT INTO product_search (rowid, name, description) SELECT search_rowid, name, description FROM product;

INSERT INTO product_search_due (search_rowid)
SELECT search_rowid FROM product
WHERE length(CAST(name AS BLOB)) > length(name) OR length(CAST(description AS BLOB)) > length(description);
