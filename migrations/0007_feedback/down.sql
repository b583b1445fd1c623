ALTER TABLE campaigns DROP COLUMN guarded;
DROP TRIGGER contacts_note_email_change ON contacts;
DROP FUNCTION muster_note_email_change;
ALTER TABLE contacts DROP COLUMN email_changed_at;
DROP TABLE soft_bounces, hook_receipts, hooks;
