//! The queries: what the program asks and writes for tenant 1, of the same tables, joins and rows, without its role, row-level
//! security, savepoint and time; and for what writes the writes alone, too.

/// The campaign's number where only its id is known yet.
macro_rules! number {
    () => {
        "(SELECT campaign_no FROM campaigns WHERE tenant_no = 1 AND workspace_no = 1 AND id = $1)"
    };
}
/// A campaign with what belongs to it.
macro_rules! joined {
    () => {
        "FROM campaigns c JOIN segments s USING (tenant_no, segment_no) \
        LEFT JOIN campaign_counters k ON k.tenant_no = c.tenant_no AND k.campaign_no = c.campaign_no "
    };
}
/// And with its newest steps.
macro_rules! joined_with_steps {
    () => {
        concat!(
            joined!(),
            "LEFT JOIN sequence_versions v ON v.tenant_no = c.tenant_no AND v.campaign_no = c.campaign_no AND v.version = c.sequence_version "
        )
    };
}

pub(super) const CAMPAIGN: &str = concat!(
    "SELECT row_to_json(c)::text, v.steps::text, s.id, k.audience ",
    joined_with_steps!(),
    "WHERE c.tenant_no = 1 AND c.workspace_no = 1 AND c.id = $1"
);
/// `{sums}` stands for the sum of each figure that there is.
pub(super) const FIGURES: &str = concat!(
    "SELECT row_to_json(f)::text FROM (SELECT step, {sums} FROM stats WHERE tenant_no = 1 AND campaign_no = ",
    number!(),
    " GROUP BY step) AS f"
);
pub(super) const UNDER_WAY: &str = concat!(
    "SELECT count(*) FROM outbox WHERE tenant_no = 1 AND campaign_no = ",
    number!(),
    " AND state = 's' AND lease_until IS NOT NULL"
);
pub(super) const LIST: &str = concat!(
    "SELECT row_to_json(c)::text, c.campaign_no, s.id, k.audience ",
    joined!(),
    "WHERE c.tenant_no = 1 AND c.workspace_no = 1 ORDER BY c.created_at DESC, c.campaign_no DESC LIMIT 21"
);
pub(super) const TOTALS: &str = "SELECT row_to_json(f)::text FROM (SELECT campaign_no, {sums} FROM stats \
    WHERE tenant_no = 1 AND campaign_no = ANY($1) GROUP BY campaign_no) AS f";
pub(super) const AUDIENCE_OF: &str =
    "SELECT segment_no FROM segments WHERE tenant_no = 1 AND workspace_no = 1 AND id = $1 FOR KEY SHARE";
pub(super) const CREATE: &str = "INSERT INTO campaigns (tenant_no, workspace_no, id, name, campaign_type, status, segment_no, from_email, \
    from_name, schedule, settings, sequence_version, next_step_no, created_by, created_at, updated_at) \
    VALUES (1, 1, gen_random_uuid(), $1, $2, 'draft', $3, $4, $5, '{\"timezone\": \"UTC\"}', \
    '{\"trackOpens\": false, \"trackClicks\": false, \"unsubscribeEnabled\": true}', 0, 1, gen_random_uuid(), now(), now()) \
    RETURNING row_to_json(campaigns)::text";
pub(super) const CREATE_ALONE: &str = "INSERT INTO campaigns (tenant_no, workspace_no, id, name, campaign_type, status, segment_no, from_email, \
    from_name, schedule, settings, created_by, created_at, updated_at) \
    SELECT tenant_no, workspace_no, gen_random_uuid(), $2, campaign_type, 'draft', segment_no, from_email, from_name, schedule, \
    settings, created_by, now(), now() FROM campaigns WHERE tenant_no = 1 AND id = $1 RETURNING row_to_json(campaigns)::text";
pub(super) const LOCK: &str =
    "SELECT campaign_no FROM campaigns WHERE tenant_no = 1 AND workspace_no = 1 AND id = $1 FOR NO KEY UPDATE";
pub(super) const WITH_STEPS: &str = concat!(
    "SELECT c.*, v.steps, s.id AS segment_id, k.audience ",
    joined_with_steps!(),
    "WHERE c.tenant_no = 1 AND c.workspace_no = 1 AND c.id = $1"
);
/// What a launch answers.
pub(super) const ANSWER: &str = concat!(
    "SELECT row_to_json(c)::text, s.id, k.audience ",
    joined!(),
    "WHERE c.tenant_no = 1 AND c.workspace_no = 1 AND c.id = $1"
);
pub(super) const AUDIENCE: &str = "SELECT s.rules::text, l.mark, (SELECT count(*) FROM segment_members m JOIN contacts c USING (tenant_no, contact_no) \
    WHERE m.tenant_no = 1 AND m.segment_no = $1 AND c.workspace_no = 1 AND c.erased_at IS NULL AND m.contact_no <= l.mark) \
    FROM segments s CROSS JOIN (SELECT coalesce(max(contact_no), 0) AS mark FROM contacts WHERE tenant_no = 1 AND workspace_no = 1) AS l \
    WHERE s.tenant_no = 1 AND s.segment_no = $1";
pub(super) const ENROLL: &str = "WITH chunk AS MATERIALIZED (SELECT m.contact_no FROM segment_members m JOIN contacts c USING (tenant_no, contact_no) \
    WHERE m.tenant_no = 1 AND m.segment_no = $2 AND c.workspace_no = 1 AND c.erased_at IS NULL AND m.contact_no <= $3 \
    ORDER BY m.contact_no LIMIT 10001), joined AS (\
    INSERT INTO enrollments (tenant_no, campaign_no, contact_no, due_at, enrolled_at, version, step, status) \
    SELECT 1, $1, contact_no, now(), now(), 1, 1, 'e' FROM chunk RETURNING 1) \
    SELECT (SELECT count(*) FROM joined), (SELECT max(contact_no) FROM chunk)";
pub(super) const LAUNCH: &str = "UPDATE campaigns SET status = 'active', launched_at = now(), updated_at = now(), version = version + 1, \
    enrollment_state = 'done', enroll_total = $2, enroll_cursor = $3, launch_mark = $4, held_until = NULL \
    WHERE tenant_no = 1 AND campaign_no = $1";
pub(super) const BOOK: &str = "INSERT INTO campaign_counters AS c (tenant_no, campaign_no, audience, open) VALUES (1, $1, $2, $2) \
    ON CONFLICT (tenant_no, campaign_no) DO UPDATE SET audience = c.audience + excluded.audience, open = c.open + excluded.open";
pub(super) const LAUNCH_ALONE: &str = "UPDATE campaigns SET status = 'active', launched_at = now(), version = version + 1, enrollment_state = 'done', \
    enroll_total = 10 WHERE tenant_no = 1 AND id = $1 RETURNING row_to_json(campaigns)::text, campaign_no, segment_no";
pub(super) const ENROLL_ALONE: &str = "INSERT INTO enrollments (tenant_no, campaign_no, contact_no, due_at, enrolled_at, version, step, status) \
    SELECT tenant_no, $1, contact_no, now(), now(), 1, 1, 'e' FROM segment_members WHERE tenant_no = 1 AND segment_no = $2";
pub(super) const BOOK_ALONE: &str =
    "INSERT INTO campaign_counters (tenant_no, campaign_no, audience, open) VALUES (1, $1, 10, 10)";
pub(super) const SUMS: &str = "SELECT string_agg(format('sum(%I)', column_name), ', ') FROM information_schema.columns \
    WHERE table_name = 'stats' AND data_type = 'bigint'";
pub(super) const ALL: [&str; 18] = [
    CAMPAIGN,
    FIGURES,
    UNDER_WAY,
    LIST,
    TOTALS,
    AUDIENCE_OF,
    CREATE,
    CREATE_ALONE,
    LOCK,
    WITH_STEPS,
    ANSWER,
    AUDIENCE,
    ENROLL,
    LAUNCH,
    BOOK,
    LAUNCH_ALONE,
    ENROLL_ALONE,
    BOOK_ALONE,
];
