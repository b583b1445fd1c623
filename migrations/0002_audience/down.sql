DROP TABLE suppressions, segment_members, segments, contact_fields, contact_tags, contacts;
DROP FUNCTION muster_fold, muster_number;
DROP COLLATION muster_text;
