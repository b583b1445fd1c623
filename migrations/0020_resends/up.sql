-- How often a message was sent once more after a doubt: an earlier attempt of it may have been accepted, whatever became of the
-- last. Known in the outbox before; here it is what a late answer to the last attempt has to know.
ALTER TABLE messages ADD COLUMN resends smallint NOT NULL DEFAULT 0;
