ALTER TABLE stats DROP COLUMN undelivered;
