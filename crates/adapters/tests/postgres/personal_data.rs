//! The register of personal data says what the database has; erasing does what it says, and the export shows it.

use crate::audience::{HERE, NEXT_DOOR, count, database};
use crate::campaign;
use diesel::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use muster_adapters::postgres::PgStore;
use muster_adapters::postgres::personal_data::{Holds, REGISTER};
use muster_domain::model::contact::Contact;
use muster_domain::model::contact::edit::ContactEdit;
use muster_domain::ports::store::{Workspace, in_tx};
use muster_domain::usecases::create_contact::{CreateContact, Upserted, create_contact};
use muster_domain::usecases::erase_contact::{EraseContact, erase_contact};
use muster_domain::usecases::export_contact::{PersonalData, export_contact};
use muster_testkit::database::TestDatabase;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const HELP: &str = "Every column has a line in crates/adapters/src/postgres/personal_data.rs that says whether it holds \
    something about a recipient. If it does, let contacts/erase.rs remove it, let export_contact show it, and plant a \
    canary in it here, in `plant`.";

#[derive(QueryableByName)]
struct ColumnRow {
    #[diesel(sql_type = Text)]
    column: String,
}

#[tokio::test]
async fn every_column_of_the_database_has_its_line_in_the_register() {
    let (database, _) = database().await;
    let sql = "SELECT (c.table_name || '.' || c.column_name)::text AS column FROM information_schema.columns c \
        JOIN information_schema.tables t USING (table_schema, table_name) WHERE c.table_schema = 'public' \
        AND t.table_type = 'BASE TABLE' AND c.table_name <> '__diesel_schema_migrations'";
    let rows: Vec<ColumnRow> = diesel::sql_query(sql).load(&mut database.connect().await).await.unwrap();
    let there: BTreeSet<String> = rows.into_iter().map(|row| row.column).collect();
    let listed: BTreeSet<String> = columns(|_| true).collect();
    let unlisted: Vec<_> = there.difference(&listed).collect();
    assert!(unlisted.is_empty(), "{unlisted:?} are not in the register of personal data. {HELP}");
    let gone: Vec<_> = listed.difference(&there).collect();
    assert!(gone.is_empty(), "{gone:?} are in the register and not in the database");
    assert!(REGISTER.is_sorted_by_key(|(table, _)| table), "by name");
}

/// `table.column` of those that hold something of that kind.
fn columns(wanted: impl Fn(Holds) -> bool) -> impl Iterator<Item = String> {
    REGISTER.iter().flat_map(move |(table, columns)| {
        let wanted: Vec<_> = columns.iter().filter(|(_, holds)| wanted(*holds)).collect();
        wanted.into_iter().map(move |(column, _)| format!("{table}.{column}"))
    })
}

fn personal() -> impl Iterator<Item = (&'static str, &'static str, Option<&'static str>)> {
    REGISTER.iter().flat_map(|(table, columns)| {
        columns.iter().filter_map(|(column, holds)| match holds {
            Holds::Person { export, .. } => Some((*table, *column, *export)),
            Holds::Plain | Holds::Authored | Holds::Secret | Holds::Trace(_) => None,
        })
    })
}

/// In every text of the person; her number is this one, of which half is in a fraction.
const CANARY: &str = "kanarie7f3a";
const NUMBER: i32 = 771_930_442;

async fn create(store: &PgStore, of: Workspace, fields: &Value) -> Contact {
    let mut edit = ContactEdit::default();
    for (name, value) in fields.as_object().unwrap() {
        edit.set(name, value).unwrap();
    }
    let command = CreateContact { edit, upsert: false };
    match in_tx(store, of, async |tx| create_contact(tx, command.clone()).await).await.unwrap() {
        Upserted::Created(contact) => contact,
        Upserted::Updated(_) => panic!("it was there"),
    }
}

/// A person with a canary in every column that may hold something of her, one where a stranger's eye would not look.
async fn plant(database: &TestDatabase, store: &PgStore) -> Contact {
    let person = create(
        store,
        HERE,
        &json!({
            "email": format!("{}@Zoo.test", CANARY.to_uppercase()), "firstName": CANARY, "lastName": CANARY,
            "company": CANARY, "jobTitle": CANARY, "city": CANARY, "state": CANARY, "country": CANARY,
            "timezone": "Antarctica/Troll", "tags": [CANARY], "leadScore": NUMBER,
            "customFields": {CANARY: CANARY, "number": NUMBER},
        }),
    )
    .await;
    let (no, id) = (person.no.0, person.id);
    let answer = |workspace: i32, key: &str, headers: &str, body: &str| {
        format!(
            "INSERT INTO idempotency_keys (tenant_no, workspace_no, key, fingerprint, status, headers, body) \
             VALUES (1, {workspace}, '{key}', '\\x00', 201, '{headers}', '{body}');"
        )
    };
    let about = format!("[[\"link\", \"</api/contacts/{id}>; rel=\\\"about\\\"\"]]");
    let link = format!("[[\"location\", \"/api/suppressions/{CANARY}%40zoo.test\"]]");
    let sql = [
        "INSERT INTO segments (tenant_no, workspace_no, id, name, kind, created_at, updated_at) \
         VALUES (1, 1, gen_random_uuid(), 'list', 'static', now(), now());"
            .to_owned(),
        format!("INSERT INTO segment_members VALUES (1, 1, {no});"),
        campaign::insert(1, 1, 1, "active"),
        campaign::insert(1, 1, 1, "active"),
        campaign::enroll(1, 1, no, "w"),
        campaign::enroll(1, 2, no, "p"),
        format!(
            "INSERT INTO messages (tenant_no, campaign_no, contact_no, step, pass, state, attempts, epoch, version, \
             queued_at, ended_at, detail) VALUES (1, 1, {no}, 9, 9, 'f', 1, 1, 1, now(), now(), '550 {CANARY} has left us');"
        ),
        format!(
            "INSERT INTO delivery_decisions (tenant_no, campaign_no, contact_no, step, pass, at, decision, evidence, state, \
             detail) VALUES (1, 1, {no}, 9, 9, now(), 'f', 'b', 'd', '421 {CANARY} is out');"
        ),
        "INSERT INTO links VALUES (1, 1, 9, 5, 'https://zoo.test/aviary'); ".to_owned(),
        format!(
            "INSERT INTO events (tenant_no, campaign_no, contact_no, step, pass, kind, id, link, at, machine) \
             VALUES (1, 1, {no}, 9, 9, 'c', gen_random_uuid(), 5, '2026-05-01T12:34:56Z', 'a');"
        ),
        format!("INSERT INTO suppressions VALUES (1, '{CANARY}@zoo.test', 'manual', 'a call by {CANARY}', now());"),
        answer(1, "by-id", "[]", &format!("{{\"id\": \"{id}\", \"name\": \"{CANARY}\"}}")),
        answer(1, "by-link", &about, &format!("{{\"html\": \"Hello {CANARY}\"}}")),
        answer(1, "by-address", &link, &format!("{{\"email\": \"{CANARY}@ZOO.test\"}}")),
        answer(1, &format!("make {}@zoo.test", CANARY.to_uppercase()), "[]", "{}"),
        answer(2, "next-door", "[]", &format!("{{\"email\": \"{CANARY}@zoo.test\"}}")),
    ];
    database.run_sql(&sql.concat()).await;
    person
}

/// How many rows of the database hold `text`, in whatever column and, in bytes, as hexadecimal.
async fn traces(database: &TestDatabase, text: &str) -> i64 {
    let hex = text.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let sql = format!(
        "SELECT coalesce(sum((xpath('/row/n/text()', query_to_xml(format( \
            'SELECT count(*) AS n FROM %I r WHERE r::text ILIKE ''%%{text}%%'' OR r::text ILIKE ''%%{hex}%%''', tablename), \
            false, true, '')))[1]::text::bigint), 0)::bigint AS n FROM pg_tables WHERE schemaname = 'public'"
    );
    count(&mut database.connect().await, &sql).await
}

/// What the export shows, member by member.
fn shown(data: &PersonalData, member: &str) -> String {
    match member {
        "contact" => {
            let Contact { email, facts, .. } = &data.contact;
            let (score, tags) = (facts.lead_score, &facts.tags);
            format!("{} {score} {tags:?} {:?} {:?}", email.as_str(), facts.fields, facts.custom_fields)
        }
        "segments" => data.segments.iter().map(|(_, name)| name.as_str()).collect(),
        "suppressions" => {
            format!("{:?}", data.suppressions.iter().map(|one| (one.entry.key(), &one.source)).collect::<Vec<_>>())
        }
        "campaigns" => format!("{:?}", data.ways.iter().map(|way| &way.events).collect::<Vec<_>>()),
        "storedAnswers" => {
            let body = |answer: &[u8]| String::from_utf8_lossy(answer).into_owned();
            data.answers.iter().map(|one| one.key.clone() + &body(&one.answer.body)).collect()
        }
        other => panic!("the export has no member {other}"),
    }
}

/// What tells the person in this column.
fn canary_in(table: &str, column: &str) -> String {
    match (table, column) {
        ("contacts", "timezone") => "Antarctica/Troll".to_owned(),
        ("contacts", "lead_score") | ("contact_fields", "number" | "number_key") => NUMBER.to_string(),
        ("segment_members", "contact_no") => "1".to_owned(),
        _ => CANARY.to_owned(),
    }
}

/// What tells of the planted click in this column.
fn trace_in(column: &str) -> &'static str {
    match column {
        "kind" => "Clicked",
        "link" => "https://zoo.test/aviary",
        "at" => "2026-05-01T12:34:56Z",
        "machine" => "Agent",
        other => panic!("plant something in {other}. {HELP}"),
    }
}

#[tokio::test]
async fn a_canary_in_every_personal_column_is_exported_and_gone_after_the_erasure() {
    let (database, store) = database().await;
    let person = plant(&database, &store).await;
    let mut conn = database.connect().await;
    for (table, column, _) in personal() {
        let text = if column == "body" { format!("encode({column}, 'escape')") } else { format!("{column}::text") };
        let canary = canary_in(table, column);
        let sql = format!("SELECT count(*) AS n FROM {table} WHERE {text} ILIKE '%{canary}%'");
        let number = if column.starts_with("number") {
            count(&mut conn, &format!("SELECT count(*) AS n FROM {table} WHERE {column} = {NUMBER}")).await
        } else {
            count(&mut conn, &sql).await
        };
        assert!(number > 0, "there is no canary in {table}.{column}. {HELP}");
    }
    let data =
        in_tx(&store, HERE, async |tx| export_contact(tx, person.id).await).await.unwrap().expect("she is there");
    for (table, column, member) in personal() {
        let Some(member) = member else { continue };
        let canary = if table == "segment_members" { "list".to_owned() } else { canary_in(table, column) };
        let told = shown(&data, member).to_lowercase();
        assert!(told.contains(&canary.to_lowercase()), "{table}.{column} is not in {member}: {told}");
    }
    for (_, columns) in REGISTER {
        for (column, holds) in *columns {
            let Holds::Trace(Some(member)) = holds else { continue };
            let told = shown(&data, member);
            assert!(told.contains(trace_in(column)), "{column} is not in {member}: {told}");
        }
    }
    assert_eq!(data.answers.len(), 4);

    in_tx(&store, HERE, async |tx| erase_contact(tx, EraseContact { id: person.id }).await).await.unwrap();
    for text in [CANARY, &NUMBER.to_string(), "Antarctica"] {
        assert_eq!(traces(&database, text).await, 0, "{text}");
    }
    let left = [
        ("SELECT count(*) AS n FROM segment_members", 0),
        ("SELECT count(*) AS n FROM contacts WHERE erased_at IS NOT NULL", 1),
        ("SELECT count(*) AS n FROM messages WHERE contact_no = 1", 2),
        ("SELECT count(*) AS n FROM events WHERE contact_no = 1 AND kind = 'c'", 1),
        ("SELECT count(*) AS n FROM messages WHERE detail = 'contact_erased'", 1),
        ("SELECT count(*) AS n FROM enrollments WHERE exit_reason = 'p'", 2),
        ("SELECT count(*) AS n FROM erased_addresses WHERE reason = 'manual'", 1),
        ("SELECT count(*) AS n FROM idempotency_keys WHERE status = 404 AND body = ''", 5),
        ("SELECT sum(audience - open - completed - exited)::bigint AS n FROM campaign_counters", 0),
    ];
    for (sql, expected) in left {
        assert_eq!(count(&mut conn, sql).await, expected, "{sql}");
    }
    let again = in_tx(&store, HERE, async |tx| export_contact(tx, person.id).await).await.unwrap();
    assert!(again.is_none(), "there is nobody to tell of");
}

#[tokio::test]
async fn another_workspace_keeps_what_it_has_of_an_address_of_its_own() {
    let (database, store) = database().await;
    let person = plant(&database, &store).await;
    let mut conn = database.connect().await;
    let theirs = create(&store, NEXT_DOOR, &json!({"email": format!("{CANARY}@zoo.test"), "city": "Basel"})).await;
    in_tx(&store, HERE, async |tx| erase_contact(tx, EraseContact { id: person.id }).await).await.unwrap();
    let kept = in_tx(&store, NEXT_DOOR, async |tx| tx.contacts().find(theirs.id).await).await.unwrap();
    assert!(kept == Some(theirs), "it is theirs to erase");
    let answers = "SELECT count(*) AS n FROM idempotency_keys WHERE workspace_no = 2 AND body <> ''";
    assert_eq!(count(&mut conn, answers).await, 1);
    let stranger = in_tx(&store, NEXT_DOOR, async |tx| export_contact(tx, person.id).await).await.unwrap();
    assert!(stranger.is_none());
}
