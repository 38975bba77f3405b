-- NULL in notes of versions that knew no moods.
ALTER TABLE note ADD COLUMN mood TEXT;
