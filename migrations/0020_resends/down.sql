ALTER TABLE messages DROP COLUMN resends;
