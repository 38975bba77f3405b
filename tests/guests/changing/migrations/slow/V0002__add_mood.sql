ALTER TABLE note ADD COLUMN mood TEXT;

CREATE TABLE toil (
    -- Its life: from here to the end of the migration.
    sum INTEGER NOT NULL
) STRICT;

-- So many numbers take some two seconds, and more than one on a machine that is twice as fast.
INSERT INTO toil (sum)
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number LIMIT 12000000)
SELECT sum(n % 7) FROM number;

DROP TABLE toil;
