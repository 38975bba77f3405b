-- Where a product comes from: a country's two letters; NULL where nobody has said so yet.
ALTER TABLE product ADD COLUMN origin TEXT CHECK (length(origin) = 2);
