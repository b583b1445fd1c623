DROP TABLE erased_addresses;
DROP TRIGGER tenants_have_suppression_keys ON tenants;
DROP FUNCTION muster_pseudonym, muster_make_suppression_keys;
DROP TABLE suppression_keys;
DROP FUNCTION muster_random_block;
-- Older versions know addresses only.
DELETE FROM suppressions WHERE position('@' in entry) = 0;
ALTER TABLE suppressions RENAME COLUMN entry TO email_key;
