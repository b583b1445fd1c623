//! A campaign with enrollments in every standing, put in place with plain SQL.

/// Inserts a campaign of that workspace over that segment. The first one of a database is number 1.
pub(crate) fn insert(tenant: i32, workspace: i32, segment: i32, status: &str) -> String {
    let launched = if status == "draft" { "NULL" } else { "now()" };
    let paused = if status == "paused" { "now()" } else { "NULL" };
    let state = if status == "draft" { "none" } else { "done" };
    format!(
        "INSERT INTO campaigns (tenant_no, workspace_no, id, name, campaign_type, status, segment_no, from_email, from_name, \
         schedule, settings, created_by, created_at, updated_at, launched_at, paused_at, enrollment_state) VALUES \
         ({tenant}, {workspace}, gen_random_uuid(), 'c', 'drip', '{status}', {segment}, 'f@x.test', 'F', '{{}}', '{{}}', \
         gen_random_uuid(), now(), now(), {launched}, {paused}, '{state}');"
    )
}

/// Enrolls a contact: waiting (`w`) in step 1, or delivering (`d`) step 2 with a queued mail in that outbox state.
/// Keeps the books.
pub(crate) fn enroll(tenant: i32, campaign: i32, contact: i64, standing: &str) -> String {
    let (status, step, due) = match standing {
        "w" => ("w", 1, "now() + interval '1 day'"),
        _ => ("d", 2, "NULL"),
    };
    let enrolled = format!(
        "INSERT INTO enrollments (tenant_no, campaign_no, contact_no, due_at, enrolled_at, version, pass, step, status) \
         VALUES ({tenant}, {campaign}, {contact}, {due}, now(), 1, 1, {step}, '{status}'); \
         INSERT INTO campaign_counters AS c VALUES ({tenant}, {campaign}, 1, 1) ON CONFLICT (tenant_no, campaign_no) \
         DO UPDATE SET audience = c.audience + 1, open = c.open + 1; \
         INSERT INTO step_counters AS c (tenant_no, campaign_no, step, entered, pending) VALUES ({tenant}, {campaign}, {step}, 1, 1) \
         ON CONFLICT (tenant_no, campaign_no, step) DO UPDATE SET entered = c.entered + 1, pending = c.pending + 1;"
    );
    if status != "d" {
        return enrolled;
    }
    let lease = if standing == "p" { "NULL" } else { "now() + interval '30 s'" };
    let queued = format!(
        "INSERT INTO outbox (tenant_no, campaign_no, contact_no, step, pass, state, due_at, lease_until, queued_at, version, \
         next_step) VALUES ({tenant}, {campaign}, {contact}, {step}, 1, '{standing}', now(), {lease}, now(), 1, 0);"
    );
    enrolled + &queued
}
