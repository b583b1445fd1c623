//! Contacts: storing, finding, changing, erasing.

use crate::audience::{ELSEWHERE, HERE, NEXT_DOOR, count, database};
use crate::campaign;
use diesel_async::SimpleAsyncConnection;
use muster_adapters::postgres::PgStore;
use muster_domain::model::address::EmailAddress;
use muster_domain::model::contact::edit::ContactEdit;
use muster_domain::model::contact::{Contact, NewContact, Revision};
use muster_domain::model::ids::{ContactId, ContactNo, SegmentNo};
use muster_domain::model::import::{ImportRow, RowProblem};
use muster_domain::model::problem::FieldProblems;
use muster_domain::ports::contacts::ContactFilter;
use muster_domain::ports::store::{Store, StoreError, Workspace, in_tx};
use muster_domain::usecases::change_contact::{ChangeContact, ChangeContactError, change_contact};
use muster_domain::usecases::create_contact::{CreateContact, CreateContactError, Upserted, create_contact};
use muster_domain::usecases::erase_contact::{EraseContact, EraseContactError, erase_contact};
use muster_domain::usecases::import_contacts::{ImportContacts, ImportContactsError, ImportReport, import_contacts};
use muster_testkit::database::TestDatabase;
use serde_json::{Value, json};
use std::time::Duration;

fn edit(fields: &Value) -> ContactEdit {
    let mut edit = ContactEdit::default();
    let mut problems = FieldProblems::default();
    for (name, value) in fields.as_object().unwrap() {
        problems.keep(name, edit.set(name, value));
    }
    problems.into_result().unwrap();
    edit
}

fn new(fields: &Value) -> NewContact {
    edit(fields).create().unwrap()
}

fn ada() -> Value {
    json!({
        "email": "Ada@Example.org", "firstName": "Ada", "lastName": "Lovelace", "company": "Analytical \"Engines\", Ltd",
        "jobTitle": "Countess", "city": "London", "state": "England", "country": "UK", "timezone": "Europe/London",
        "tags": ["maths", "early"], "leadScore": -7,
        "customFields": {"plan": "gold", "seats": 3, "ratio": 0.1, "vip": true, "zip": "00123"},
    })
}

async fn create(store: &PgStore, of: Workspace, fields: &Value) -> Contact {
    let command = CreateContact { edit: edit(fields), upsert: false };
    match in_tx(store, of, async |tx| create_contact(tx, command.clone()).await).await.unwrap() {
        Upserted::Created(contact) => contact,
        Upserted::Updated(_) => panic!("it was there"),
    }
}

async fn find(store: &PgStore, of: Workspace, id: ContactId) -> Option<Contact> {
    in_tx(store, of, async |tx| tx.contacts().find(id).await).await.unwrap()
}

async fn ask(database: &TestDatabase, sql: &str) -> i64 {
    count(&mut database.connect().await, &format!("SELECT ({sql})::bigint AS n")).await
}

#[tokio::test]
async fn a_contact_is_read_as_it_was_written() {
    let (_database, store) = database().await;
    let written = create(&store, HERE, &ada()).await;
    let read = find(&store, HERE, written.id).await.unwrap();
    assert!(read == written);
    assert!(read.facts == new(&ada()).facts);
}

#[tokio::test]
async fn another_workspace_finds_and_changes_nothing_of_it() {
    let (_database, store) = database().await;
    let ours = create(&store, HERE, &ada()).await;
    for of in [NEXT_DOOR, ELSEWHERE] {
        let mut tx = store.begin(of).await.unwrap();
        assert_eq!(tx.contacts().find(ours.id).await.unwrap(), None);
        assert_eq!(tx.contacts().find_for_update(ours.id).await.unwrap(), None);
        assert_eq!(tx.contacts().find_by_email_for_update(&[ours.email.key()]).await.unwrap(), []);
        assert_eq!(tx.contacts().list(&ContactFilter::default(), None, 10).await.unwrap(), []);
        assert!(tx.contacts().find_facts(&[ours.no]).await.unwrap().is_empty());
        let now = tx.now().await.unwrap();
        assert!(!tx.contacts().erase(ours.id, now).await.unwrap());
        let mut after = ours.clone();
        after.facts.lead_score = 99;
        tx.contacts().save(&[Revision { before: ours.clone(), after }], now).await.unwrap();
        tx.commit().await.unwrap();
    }
    assert!(find(&store, HERE, ours.id).await.unwrap() == ours);
}

#[tokio::test]
async fn an_address_is_unique_in_its_workspace_whatever_its_case() {
    let (_database, store) = database().await;
    create(&store, HERE, &ada()).await;
    let again = CreateContact { edit: edit(&json!({"email": "ADA@example.ORG"})), upsert: false };
    let refused = in_tx(&store, HERE, async |tx| create_contact(tx, again.clone()).await).await;
    assert!(matches!(refused, Err(CreateContactError::AlreadyExists)));
    create(&store, NEXT_DOOR, &ada()).await;
    create(&store, ELSEWHERE, &ada()).await;
}

#[tokio::test]
async fn an_upsert_merges_into_the_contact_that_has_the_address() {
    let (_database, store) = database().await;
    let before = create(&store, HERE, &ada()).await;
    let said =
        json!({"email": "ada@example.org", "city": "Bath", "lastName": null, "customFields": {"plan": null, "x": "y"}});
    let upsert = CreateContact { edit: edit(&said), upsert: true };
    let done = in_tx(&store, HERE, async |tx| create_contact(tx, upsert.clone()).await).await.unwrap();
    let Upserted::Updated(after) = done else { panic!("made another") };
    assert_eq!((after.id, after.no), (before.id, before.no));
    assert_eq!(after.email.as_str(), "Ada@Example.org", "it stays as it was first written");
    assert!(find(&store, HERE, before.id).await.unwrap() == after);
    assert_eq!(after.facts.fields["city"], "Bath");
    assert!(!after.facts.fields.contains_key("lastName"));
    let names: Vec<_> = after.facts.custom_fields.keys().map(String::as_str).collect();
    assert_eq!(names, ["ratio", "seats", "vip", "x", "zip"]);
    assert_eq!(after.facts.tags, before.facts.tags);
}

#[tokio::test]
async fn a_change_writes_what_differs_and_nothing_else() {
    let (database, store) = database().await;
    let before = create(&store, HERE, &ada()).await;
    let said = json!({
        "firstName": null, "tags": ["early", "new"], "leadScore": null,
        "customFields": {"seats": 4, "zip": null, "plan": "gold"},
    });
    let command = ChangeContact { id: before.id, edit: edit(&said) };
    let after = in_tx(&store, HERE, async |tx| change_contact(tx, command.clone()).await).await.unwrap();
    assert!(find(&store, HERE, before.id).await.unwrap() == after);
    assert_eq!(after.facts.tags, ["early".to_owned(), "new".to_owned()].into());
    assert_eq!(after.facts.lead_score, 0);
    let untouched = "SELECT count(*) FROM contact_fields WHERE name IN ('plan', 'ratio', 'vip') AND xmin = \
                     (SELECT xmin FROM contact_tags WHERE tag = 'early')";
    assert_eq!(ask(&database, untouched).await, 3, "rows that stay are not written again");
}

#[tokio::test]
async fn an_address_cannot_be_taken_from_another_contact() {
    let (_database, store) = database().await;
    let ours = create(&store, HERE, &ada()).await;
    let other = create(&store, HERE, &json!({"email": "grace@example.org"})).await;
    let change = |id, email: &str| ChangeContact { id, edit: edit(&json!({"email": email})) };
    let taken = change(other.id, "ADA@example.org");
    let refused = in_tx(&store, HERE, async |tx| change_contact(tx, taken.clone()).await).await;
    assert!(matches!(refused, Err(ChangeContactError::AddressTaken)));
    let own = change(ours.id, "ada@example.org");
    let changed = in_tx(&store, HERE, async |tx| change_contact(tx, own.clone()).await).await.unwrap();
    assert_eq!(changed.email.as_str(), "ada@example.org", "its own in another case is no conflict");
}

#[tokio::test]
async fn an_address_taken_meanwhile_is_a_conflict_and_not_a_failure() {
    let (_database, store) = database().await;
    let ours = create(&store, HERE, &ada()).await;
    let mut tx = store.begin(HERE).await.unwrap();
    let now = tx.now().await.unwrap();
    let before = tx.contacts().find_for_update(ours.id).await.unwrap().unwrap();
    create(&store, HERE, &json!({"email": "wanted@example.org"})).await;
    let mut after = before.clone();
    after.email = EmailAddress::parse("wanted@example.org").unwrap();
    let saved = tx.contacts().save(&[Revision { before, after }], now).await;
    assert!(matches!(saved, Err(StoreError::Conflict)));
}

#[tokio::test]
async fn a_list_goes_on_where_it_ended_and_filters() {
    let (_database, store) = database().await;
    for n in 0..5 {
        let tags = if n % 2 == 0 { json!(["even"]) } else { json!([]) };
        create(&store, HERE, &json!({"email": format!("c{n}@example.org"), "tags": tags})).await;
    }
    create(&store, NEXT_DOOR, &json!({"email": "c0@example.org", "tags": ["even"]})).await;
    let mut tx = store.begin(HERE).await.unwrap();
    let names = |contacts: Vec<Contact>| contacts.iter().map(|c| c.email.as_str()[..2].to_owned()).collect::<Vec<_>>();
    let all = ContactFilter::default();
    let first = tx.contacts().list(&all, None, 2).await.unwrap();
    let rest = tx.contacts().list(&all, Some(first[1].no), 10).await.unwrap();
    assert_eq!([names(first), names(rest)].concat(), ["c0", "c1", "c2", "c3", "c4"]);
    let even = ContactFilter { tag: Some("even".to_owned()), email_key: None };
    assert_eq!(names(tx.contacts().list(&even, None, 10).await.unwrap()), ["c0", "c2", "c4"]);
    let one = ContactFilter { email_key: Some("c3@example.org".to_owned()), tag: None };
    assert_eq!(names(tx.contacts().list(&one, None, 10).await.unwrap()), ["c3"]);
    let neither = ContactFilter { tag: even.tag, ..one };
    assert_eq!(names(tx.contacts().list(&neither, None, 10).await.unwrap()), [""; 0]);
}

#[tokio::test]
async fn facts_of_many_are_found_by_number() {
    let (_database, store) = database().await;
    let one = create(&store, HERE, &ada()).await;
    let other = create(&store, HERE, &json!({"email": "b@example.org"})).await;
    let mut tx = store.begin(HERE).await.unwrap();
    let facts = tx.contacts().find_facts(&[one.no, other.no, ContactNo(i64::MAX)]).await.unwrap();
    assert_eq!(facts.keys().collect::<Vec<_>>(), [&one.no, &other.no]);
    assert!(facts[&one.no] == one.facts);
}

#[tokio::test]
async fn a_new_address_that_another_transaction_is_storing_is_passed_over() {
    let (_database, store) = database().await;
    let mut first = store.begin(HERE).await.unwrap();
    let now = first.now().await.unwrap();
    assert_eq!(first.contacts().insert(vec![new(&ada())], now).await.unwrap().len(), 1);
    let second = tokio::spawn({
        let store = store.clone();
        async move {
            let mut tx = store.begin(HERE).await.unwrap();
            let both = vec![new(&ada()), new(&json!({"email": "b@example.org"}))];
            let stored = tx.contacts().insert(both, now).await.unwrap();
            tx.commit().await.unwrap();
            stored
        }
    });
    first.commit().await.unwrap();
    let stored = second.await.unwrap();
    assert_eq!(stored.iter().map(|contact| contact.email.as_str()).collect::<Vec<_>>(), ["b@example.org"]);
}

fn rows(people: &[Value]) -> Vec<ImportRow> {
    let row = |(n, person): (usize, &Value)| {
        let mut edit = edit(person);
        ImportRow { line: n as u64 + 2, email: edit.email.take().unwrap(), edit }
    };
    people.iter().enumerate().map(row).collect()
}

async fn import(
    store: &PgStore,
    rows: Vec<ImportRow>,
    segment: Option<SegmentNo>,
) -> Result<ImportReport, ImportContactsError> {
    let command = ImportContacts { rows, segment };
    in_tx(store, HERE, async |tx| import_contacts(tx, &command).await).await
}

#[tokio::test]
async fn a_batch_counts_each_row_once() {
    let (database, store) = database().await;
    let known = create(&store, HERE, &ada()).await;
    let people = [
        json!({"email": "new@example.org", "city": "Bath"}),
        json!({"email": "ADA@EXAMPLE.ORG", "city": "Paris"}),
        json!({"email": "New@example.org", "city": "Rome", "customFields": {"a": 1}}),
        json!({"email": "new@example.org"}),
        json!({"email": "ada@example.org", "city": "Paris"}),
    ];
    let report = import(&store, rows(&people), None).await.unwrap();
    assert_eq!(report, ImportReport { created: 1, updated: 2, skipped: 2, problems: Vec::new() });
    let ada = find(&store, HERE, known.id).await.unwrap();
    assert_eq!((ada.facts.fields["city"].as_str(), ada.email.as_str()), ("Paris", "Ada@Example.org"));
    assert_eq!(ada.facts.tags, known.facts.tags);
    assert_eq!(
        ask(&database, "SELECT count(*) FROM contacts WHERE city = 'Rome' AND email = 'new@example.org'").await,
        1
    );
    let again = import(&store, rows(&people[2..3]), None).await.unwrap();
    assert_eq!(again, ImportReport { skipped: 1, ..ImportReport::default() });
}

#[tokio::test]
async fn a_row_beyond_the_limits_is_told_and_the_others_are_imported() {
    let (_database, store) = database().await;
    let many: serde_json::Map<_, _> = (0..100).map(|n| (format!("f{n}"), json!(n))).collect();
    create(&store, HERE, &json!({"email": "full@example.org", "customFields": many})).await;
    let people =
        [json!({"email": "full@example.org", "customFields": {"more": 1}}), json!({"email": "other@example.org"})];
    let report = import(&store, rows(&people), None).await.unwrap();
    assert_eq!((report.created, report.updated, report.skipped), (1, 0, 1));
    let told: Vec<_> =
        report.problems.iter().map(|RowProblem { line, problem }| (*line, problem.code.as_str())).collect();
    assert_eq!(told, [(2, "too_many")]);
}

#[tokio::test]
async fn everybody_imported_joins_a_static_segment_and_no_other() {
    let (database, store) = database().await;
    database
        .run_sql(
            "INSERT INTO segments (tenant_no, workspace_no, id, name, kind, rules, created_at, updated_at) VALUES \
             (1, 1, gen_random_uuid(), 'list', 'static', NULL, now(), now()), \
             (1, 1, gen_random_uuid(), 'rule', 'dynamic', '{}', now(), now()), \
             (1, 2, gen_random_uuid(), 'theirs', 'static', NULL, now(), now())",
        )
        .await;
    create(&store, HERE, &ada()).await;
    let people = [json!({"email": "ada@example.org"}), json!({"email": "b@example.org"})];
    for _ in 0..2 {
        import(&store, rows(&people), Some(SegmentNo(1))).await.unwrap();
        assert_eq!(ask(&database, "SELECT count(*) FROM segment_members WHERE segment_no = 1").await, 2);
    }
    for not_ours in [2, 3, 4] {
        let refused = import(&store, rows(&[json!({"email": "c@example.org"})]), Some(SegmentNo(not_ours))).await;
        assert!(matches!(refused, Err(ImportContactsError::NoSuchSegment)), "{not_ours}");
    }
    assert_eq!(ask(&database, "SELECT count(*) FROM segment_members").await, 2);
    assert_eq!(ask(&database, "SELECT count(*) FROM contacts WHERE email_key = 'c@example.org'").await, 0);
}

#[tokio::test]
async fn many_imports_of_the_same_people_end_with_each_of_them_once() {
    let (database, store) = database().await;
    let importers: Vec<_> = (0..6)
        .map(|importer: usize| {
            let store = store.clone();
            let mut people: Vec<_> = (0..200)
                .map(
                    |n| json!({"email": format!("p{n}@example.org"), "leadScore": importer, "tags": [format!("t{n}")]}),
                )
                .collect();
            people.rotate_left(importer * 31);
            tokio::spawn(async move {
                let mut conflicts = 0;
                loop {
                    match import(&store, rows(&people), None).await {
                        Ok(report) => return (report.created, conflicts),
                        Err(ImportContactsError::Store(StoreError::Conflict)) => conflicts += 1,
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        })
        .collect();
    let mut created = 0;
    for importer in importers {
        let (made, conflicts) = importer.await.unwrap();
        created += made;
        assert!(conflicts <= 6, "{conflicts}: each other import comes between once at most");
    }
    assert_eq!(created, 200);
    assert_eq!(ask(&database, "SELECT count(*) FROM contacts").await, 200);
    assert_eq!(ask(&database, "SELECT count(*) FROM contact_tags").await, 200);
}

/// What a delivery to the first contact holds while it begins.
const BEGINNING: &str = "BEGIN; SELECT 1 FROM contacts WHERE tenant_no = 1 AND contact_no = 1 FOR KEY SHARE";

/// Statistics come minutes after a big list; a plan made without them must not read the whole list for every row.
#[tokio::test]
async fn a_batch_costs_little_in_a_big_list_without_statistics() {
    let (database, store) = database().await;
    database
        .run_sql(
            "ALTER TABLE contacts SET (autovacuum_enabled = off); ALTER TABLE contact_tags SET (autovacuum_enabled = off); \
             INSERT INTO contacts (tenant_no, workspace_no, id, email, email_key, created_at, updated_at) \
             SELECT 1, 1, gen_random_uuid(), e, e, now(), now() FROM generate_series(1, 60000) n, \
             LATERAL (SELECT 'p' || n || '@example.org' AS e) AS address; \
             INSERT INTO contact_tags SELECT 1, contact_no, 'old' FROM contacts",
        )
        .await;
    let people: Vec<_> = (59_500..60_500)
        .map(|n| json!({"email": format!("p{n}@example.org"), "tags": ["new"], "customFields": {"n": n}}))
        .collect();
    let importing = import(&store, rows(&people), None);
    let report =
        tokio::time::timeout(Duration::from_secs(5), importing).await.expect("a fraction of a second").unwrap();
    assert_eq!((report.created, report.updated), (499, 501));
}

async fn erase(store: &PgStore, of: Workspace, id: ContactId) -> Result<(), EraseContactError> {
    in_tx(store, of, async |tx| erase_contact(tx, EraseContact { id }).await).await
}

#[tokio::test]
async fn nothing_of_an_erased_person_is_left_in_any_column() {
    let (database, store) = database().await;
    let ada = create(&store, HERE, &ada()).await;
    let kept = create(&store, HERE, &json!({"email": "kept@example.org", "tags": ["early"]})).await;
    database
        .run_sql(&format!(
            "INSERT INTO segments (tenant_no, workspace_no, id, name, kind, created_at, updated_at) \
             VALUES (1, 1, gen_random_uuid(), 'list', 'static', now(), now()); \
             INSERT INTO segment_members VALUES (1, 1, {}), (1, 1, {}); \
             INSERT INTO idempotency_keys (tenant_no, workspace_no, key, fingerprint, status, headers, body) VALUES \
             (1, 1, 'k1', '\\x00', 201, '[[\"location\", \"/api/contacts/{id}\"]]', '{{\"id\":\"{id}\",\"firstName\":\"Ada\"}}'), \
             (1, 1, 'k2', '\\x00', 201, '[]', '{{\"email\":\"Ada@Example.org\"}}'), \
             (1, 1, 'k3', '\\x00', 201, '[]', '{{\"email\":\"ada@example.org\"}}'), \
             (1, 1, 'k4', '\\x00', 201, '[]', '{{\"email\":\"kept@example.org\"}}')",
            ada.no.0,
            kept.no.0,
            id = ada.id,
        ))
        .await;
    erase(&store, HERE, ada.id).await.unwrap();
    assert_eq!(find(&store, HERE, ada.id).await, None);
    assert!(matches!(erase(&store, HERE, ada.id).await, Err(EraseContactError::NotFound)));
    for trace in ["ada@example", "Lovelace", "Analytical", "Countess", "London", "maths", "00123"] {
        // Every column of every table, bytes also as they are written in hexadecimal.
        let hex = trace.bytes().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let found = format!(
            "SELECT count(*) FROM pg_tables t, query_to_xml(format('SELECT r::text FROM %I r WHERE r::text ILIKE ''%%{trace}%%'' \
             OR r::text LIKE ''%%{hex}%%''', t.tablename), false, true, '') x \
             WHERE t.schemaname = 'public' AND x::text <> ''"
        );
        assert_eq!(ask(&database, &found).await, 0, "{trace}");
    }
    let row = "SELECT count(*) FROM contacts WHERE erased_at IS NOT NULL AND email IS NULL AND lead_score = 0";
    assert_eq!(ask(&database, row).await, 1, "its number stays");
    assert_eq!(ask(&database, "SELECT count(*) FROM segment_members").await, 1);
    assert!(find(&store, HERE, kept.id).await.unwrap() == kept);
    assert_eq!(ask(&database, "SELECT count(*) FROM idempotency_keys WHERE body <> ''").await, 1);
    create(&store, HERE, &json!({"email": "ada@example.org"})).await;
}

#[tokio::test]
async fn erasing_ends_every_way_through_a_campaign_and_keeps_the_books() {
    let (database, store) = database().await;
    let ada = create(&store, HERE, &ada()).await;
    let kept = create(&store, HERE, &json!({"email": "kept@example.org"})).await;
    database
        .run_sql(
            "INSERT INTO segments (tenant_no, workspace_no, id, name, kind, created_at, updated_at) \
             VALUES (1, 1, gen_random_uuid(), 'list', 'static', now(), now())",
        )
        .await;
    // Waiting, queued, claimed, being sent; in active and in paused campaigns.
    for (campaign, (status, standing)) in
        [("active", "w"), ("paused", "p"), ("active", "c"), ("active", "s")].into_iter().enumerate()
    {
        let number = i32::try_from(campaign).unwrap() + 1;
        database.run_sql(&campaign::insert(1, 1, 1, status)).await;
        database.run_sql(&campaign::enroll(1, number, ada.no.0, standing)).await;
        database.run_sql(&campaign::enroll(1, number, kept.no.0, standing)).await;
    }
    erase(&store, HERE, ada.id).await.unwrap();
    let counts = [
        // The person left all four, with the reason and a line of history; the other one stays.
        ("SELECT count(*) FROM enrollments WHERE status = 'x' AND exit_reason = 'p' AND due_at IS NULL", 4),
        (
            "SELECT count(*) FROM enrollment_history WHERE path[cardinality(path)] = 1000 + ascii('p') AND contact_no = 1",
            4,
        ),
        ("SELECT count(*) FROM enrollments WHERE status IN ('w', 'd')", 4),
        // What was queued or claimed is cancelled; what is being sent is left to its worker.
        ("SELECT count(*) FROM messages WHERE state = 'x' AND contact_no = 1", 2),
        ("SELECT count(*) FROM outbox WHERE contact_no = 1 AND state = 's'", 1),
        ("SELECT count(*) FROM outbox WHERE contact_no = 1", 1),
        ("SELECT count(*) FROM outbox WHERE contact_no = 2", 3),
        // Every campaign: audience = open + completed + exited; every step adds up.
        ("SELECT count(*) FROM campaign_counters WHERE audience = 2 AND open = 1 AND completed = 0 AND exited = 1", 4),
        ("SELECT count(*) FROM step_counters WHERE entered = 2 AND pending = 1 AND cancelled = 1", 3),
        (
            "SELECT count(*) FROM step_counters WHERE entered = 2 AND pending = 2 AND cancelled = 0 AND campaign_no = 4",
            1,
        ),
    ];
    for (sql, expected) in counts {
        assert_eq!(ask(&database, sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn erasing_waits_for_a_delivery_that_is_beginning() {
    let (database, store) = database().await;
    let ada = create(&store, HERE, &ada()).await;
    let mut delivery = database.connect().await;
    delivery.batch_execute(BEGINNING).await.unwrap();
    let erasing = tokio::spawn({
        let store = store.clone();
        async move { erase(&store, HERE, ada.id).await }
    });
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    tokio::time::timeout(Duration::from_secs(10), async {
        while ask(&database, waiting).await == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it waits");
    assert!(find(&store, HERE, ada.id).await.is_some(), "nothing is erased before the delivery has begun");
    delivery.batch_execute("COMMIT").await.unwrap();
    erasing.await.unwrap().unwrap();
    assert_eq!(find(&store, HERE, ada.id).await, None);
}

#[tokio::test]
async fn changing_a_contact_does_not_wait_for_a_delivery() {
    let (database, store) = database().await;
    let ada = create(&store, HERE, &ada()).await;
    let mut delivery = database.connect().await;
    delivery.batch_execute(BEGINNING).await.unwrap();
    let command = ChangeContact { id: ada.id, edit: edit(&json!({"city": "Bath", "tags": []})) };
    let changing = in_tx(&store, HERE, async |tx| change_contact(tx, command.clone()).await);
    let changed = tokio::time::timeout(Duration::from_secs(10), changing).await.expect("it does not wait").unwrap();
    assert_eq!(changed.facts.fields["city"], "Bath");
}
