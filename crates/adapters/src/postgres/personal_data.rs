//! Where personal data stands: every column of the database, and of those about people what erasing does with them and
//! where the export of a person shows them. A test compares this list with a migrated database.
//!
//! A new column gets a line here. If it is [`Holds::Person`], make `contacts::erase` treat it as this list says and
//! `export_contact` show it, and plant a canary in it in `tests/postgres/personal_data.rs`.

use Erasure::{Blanked, Gone, Hashed};
use Holds::{Authored, Person, Plain, Secret, Trace};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Numbers, states and times: nothing about a person but that there is a row.
    Plain,
    /// What the tenant's people write for everybody: names of campaigns, texts, rules, senders.
    Authored,
    /// A key or its hash.
    Secret,
    /// What a recipient did. It stays for the figures, under the number of a contact that is nobody once it is erased. Which
    /// member of the export shows it; `None` for what is added up from another column.
    Trace(Option<&'static str>),
    /// Something about a recipient.
    Person {
        /// What becomes of it.
        erasure: Erasure,
        /// The member of `GET /api/contacts/{id}/export` that shows it; `None` for what is made from another column.
        export: Option<&'static str>,
    },
}

/// What erasing a person does with a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erasure {
    /// The row stays for the figures, the value goes.
    Blanked,
    /// The row is deleted.
    Gone,
    /// A keyed hash takes its place.
    Hashed,
}

/// A table and what its columns hold.
pub type Table = (&'static str, &'static [(&'static str, Holds)]);

const fn person(erasure: Erasure, export: &'static str) -> Holds {
    Person { erasure, export: Some(export) }
}

const DERIVED: Holds = Person { erasure: Blanked, export: None };
const DERIVED_GONE: Holds = Person { erasure: Gone, export: None };
const CONTACT: Holds = person(Blanked, "contact");
const FIELD: Holds = person(Gone, "contact");
const DONE: Holds = Trace(Some("campaigns"));

/// Every table there is, by name.
pub const REGISTER: &[Table] = &[
    (
        "api_keys",
        &[
            ("tenant_no", Plain),
            ("workspace_no", Plain),
            ("id", Plain),
            ("prefix", Secret),
            ("secret_hash", Secret),
            ("name", Authored),
            ("scopes", Plain),
            ("created_by", Plain),
            ("created_at", Plain),
            ("expires_at", Plain),
            ("revoked_at", Plain),
        ],
    ),
    (
        "campaign_counters",
        &[
            ("tenant_no", Plain),
            ("campaign_no", Plain),
            ("audience", Plain),
            ("open", Plain),
            ("completed", Plain),
            ("exited", Plain),
        ],
    ),
    (
        "campaign_steps",
        &[
            ("tenant_no", Plain),
            ("campaign_no", Plain),
            ("step", Plain),
            ("id", Plain),
            ("step_order", Plain),
            ("name", Authored),
            ("step_type", Plain),
            ("removed", Plain),
        ],
    ),
    (
        "campaigns",
        &[
            ("tenant_no", Plain),
            ("campaign_no", Plain),
            ("workspace_no", Plain),
            ("id", Plain),
            ("name", Authored),
            ("description", Authored),
            ("campaign_type", Plain),
            ("status", Plain),
            ("segment_no", Plain),
            ("from_email", Authored),
            ("from_name", Authored),
            ("reply_to_email", Authored),
            ("schedule", Authored),
            ("settings", Authored),
            ("version", Plain),
            ("created_by", Plain),
            ("created_at", Plain),
            ("updated_at", Plain),
            ("scheduled_at", Plain),
            ("launched_at", Plain),
            ("paused_at", Plain),
            ("completed_at", Plain),
            ("sequence_version", Plain),
            ("next_step_no", Plain),
            ("enrollment_state", Plain),
            ("enroll_cursor", Plain),
            ("launch_mark", Plain),
            ("enroll_total", Plain),
            ("held_until", Plain),
            ("last_problem", Plain),
            ("retrying", Plain),
            ("guarded", Plain),
        ],
    ),
    (
        "contact_fields",
        &[
            ("tenant_no", Plain),
            ("contact_no", Plain),
            ("name", FIELD),
            ("kind", Plain),
            ("value", FIELD),
            ("value_key", DERIVED_GONE),
            ("number", FIELD),
            ("number_key", DERIVED_GONE),
        ],
    ),
    ("contact_tags", &[("tenant_no", Plain), ("contact_no", Plain), ("tag", FIELD)]),
    (
        "contacts",
        &[
            ("tenant_no", Plain),
            ("contact_no", Plain),
            ("workspace_no", Plain),
            // Stays: whoever holds it can learn that it was erased, and nothing else.
            ("id", Plain),
            ("email", CONTACT),
            ("email_key", DERIVED),
            ("first_name", CONTACT),
            ("last_name", CONTACT),
            ("company", CONTACT),
            ("job_title", CONTACT),
            ("city", CONTACT),
            ("state", CONTACT),
            ("country", CONTACT),
            ("timezone", CONTACT),
            ("lead_score", CONTACT),
            ("created_at", Plain),
            ("updated_at", Plain),
            ("erased_at", Plain),
            ("email_changed_at", Plain),
        ],
    ),
    (
        "delivery_decisions",
        &[
            ("tenant_no", Plain),
            ("campaign_no", Plain),
            ("contact_no", Plain),
            ("step", Plain),
            ("pass", Plain),
            ("seq", Plain),
            ("at", Plain),
            ("decision", Plain),
            ("evidence", Plain),
            ("decided_by", Plain),
            ("state", Plain),
            ("detail", person(Blanked, "campaigns")),
        ],
    ),
    (
        "engagements",
        &[
            ("tenant_no", Plain),
            ("campaign_no", Plain),
            ("contact_no", Plain),
            ("step", Plain),
            ("pass", Plain),
            ("kind", Trace(None)),
            ("link", Trace(None)),
            ("total", Trace(None)),
            ("human_total", Trace(None)),
            ("first_at", Trace(None)),
            ("first_human_at", Trace(None)),
            ("last_human_at", Trace(None)),
        ],
    ),
    (
        "enrollment_history",
        &[
            ("tenant_no", Plain),
            ("campaign_no", Plain),
            ("contact_no", Plain),
            ("at", Plain),
            ("seq", Plain),
            ("version", Plain),
            ("path", Plain),
        ],
    ),
    (
        "enrollments",
        &[
            ("tenant_no", Plain),
            ("campaign_no", Plain),
            ("contact_no", Plain),
            ("due_at", Plain),
            ("last_email_sent_at", Plain),
            ("enrolled_at", Plain),
            ("ended_at", Plain),
            ("version", Plain),
            ("pass", Plain),
            ("step", Plain),
            ("status", Plain),
            ("exit_reason", Plain),
        ],
    ),
    ("erased_addresses", &[("tenant_no", Plain), ("hash", Plain), ("reason", Plain), ("created_at", Plain)]),
    ("event_horizons", &[("tenant_no", Plain), ("kept_since", Plain)]),
    (
        "events",
        &[
            ("tenant_no", Plain),
            ("campaign_no", Plain),
            ("contact_no", Plain),
            ("step", Plain),
            ("pass", Plain),
            ("kind", DONE),
            ("id", Plain),
            ("link", DONE),
            ("at", DONE),
            ("machine", DONE),
        ],
    ),
    (
        "hook_receipts",
        // Hashes over whole reports, kept for some days; nobody's address can be tried on them.
        &[("tenant_no", Plain), ("hook_no", Plain), ("receipt", Plain), ("content", Plain), ("received_at", Plain)],
    ),
    (
        "hooks",
        &[
            ("tenant_no", Plain),
            ("hook_no", Plain),
            ("workspace_no", Plain),
            ("id", Plain),
            ("name", Authored),
            ("created_at", Plain),
            ("revoked_at", Plain),
        ],
    ),
    (
        "idempotency_keys",
        &[
            ("tenant_no", Plain),
            ("workspace_no", Plain),
            ("key", person(Blanked, "storedAnswers")),
            ("fingerprint", Plain),
            ("status", Plain),
            ("headers", DERIVED),
            ("body", person(Blanked, "storedAnswers")),
            ("created_at", Plain),
        ],
    ),
    (
        "link_stats",
        &[
            ("tenant_no", Plain),
            ("campaign_no", Plain),
            ("step", Plain),
            ("link", Plain),
            ("quarter", Plain),
            ("clicks", Plain),
            ("human_clicks", Plain),
            ("clicked", Plain),
            ("human_clicked", Plain),
        ],
    ),
    ("links", &[("tenant_no", Plain), ("campaign_no", Plain), ("step", Plain), ("link", Plain), ("url", Authored)]),
    (
        "messages",
        &[
            ("tenant_no", Plain),
            ("campaign_no", Plain),
            ("contact_no", Plain),
            ("step", Plain),
            ("pass", Plain),
            ("state", Plain),
            ("attempts", Plain),
            ("epoch", Plain),
            ("version", Plain),
            ("queued_at", Plain),
            ("ended_at", Plain),
            ("detail", person(Blanked, "campaigns")),
            ("resends", Plain),
        ],
    ),
    (
        "outbox",
        &[
            ("tenant_no", Plain),
            ("campaign_no", Plain),
            ("contact_no", Plain),
            ("step", Plain),
            ("pass", Plain),
            ("state", Plain),
            ("epoch", Plain),
            ("attempts", Plain),
            ("due_at", Plain),
            ("retry_at", Plain),
            ("lease_until", Plain),
            ("queued_at", Plain),
            ("version", Plain),
            ("next_step", Plain),
            ("resends", Plain),
            ("by_hand", Plain),
        ],
    ),
    ("segment_members", &[("tenant_no", Plain), ("segment_no", Plain), ("contact_no", person(Gone, "segments"))]),
    (
        "segments",
        &[
            ("tenant_no", Plain),
            ("segment_no", Plain),
            ("workspace_no", Plain),
            ("id", Plain),
            ("name", Authored),
            ("kind", Plain),
            ("rules", Authored),
            ("created_at", Plain),
            ("updated_at", Plain),
        ],
    ),
    (
        "sending_quota",
        &[("tenant_no", Plain), ("campaign_no", Plain), ("kind", Plain), ("period", Plain), ("begun", Plain)],
    ),
    (
        "sequence_versions",
        &[("tenant_no", Plain), ("campaign_no", Plain), ("version", Plain), ("steps", Authored), ("created_at", Plain)],
    ),
    (
        "soft_bounces",
        &[
            ("tenant_no", Plain),
            ("contact_no", Plain),
            ("campaign_no", Plain),
            ("step", Plain),
            ("pass", Plain),
            ("bounced_at", Plain),
        ],
    ),
    (
        "stats",
        &[
            ("tenant_no", Plain),
            ("campaign_no", Plain),
            ("step", Plain),
            ("quarter", Plain),
            ("sent", Plain),
            ("bounced", Plain),
            ("returned", Plain),
            ("undelivered", Plain),
            ("confirmed", Plain),
            ("opens", Plain),
            ("human_opens", Plain),
            ("opened", Plain),
            ("human_opened", Plain),
            ("clicks", Plain),
            ("human_clicks", Plain),
            ("clicked", Plain),
            ("human_clicked", Plain),
            ("replied", Plain),
            ("complained", Plain),
            ("unsubscribed", Plain),
        ],
    ),
    (
        "step_counters",
        &[
            ("tenant_no", Plain),
            ("campaign_no", Plain),
            ("step", Plain),
            ("entered", Plain),
            ("pending", Plain),
            ("passed", Plain),
            ("sent", Plain),
            ("failed", Plain),
            ("suppressed", Plain),
            ("skipped", Plain),
            ("in_doubt", Plain),
            ("cancelled", Plain),
        ],
    ),
    ("suppression_keys", &[("tenant_no", Plain), ("inner_key", Secret), ("outer_key", Secret)]),
    (
        "suppressions",
        &[
            ("tenant_no", Plain),
            ("entry", person(Hashed, "suppressions")),
            ("reason", Plain),
            ("source", person(Gone, "suppressions")),
            ("created_at", Plain),
        ],
    ),
    ("tenants", &[("tenant_no", Plain), ("id", Plain), ("name", Authored), ("created_at", Plain)]),
    ("virtual_clock", &[("one", Plain), ("factor", Plain), ("virtual_now", Plain), ("ticked_at", Plain)]),
    (
        "workspaces",
        &[("tenant_no", Plain), ("workspace_no", Plain), ("id", Plain), ("name", Authored), ("created_at", Plain)],
    ),
];
