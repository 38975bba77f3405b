ALTER TABLE note ADD COLUMN mood TEXT;

-- There is no such number, and no last one: it looks on for ever, and takes no memory for it.
INSERT INTO note (id, text, number, mood)
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number)
SELECT 'endless', 'never written', n, 'patient' FROM number WHERE n < 0;
