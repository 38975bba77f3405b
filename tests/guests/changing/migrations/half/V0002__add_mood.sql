ALTER TABLE note ADD COLUMN mood TEXT;

-- It fails, with or without other rows: a note has a text.
INSERT INTO note (id, text, number, mood) VALUES ('half', NULL, 0, 'torn');
