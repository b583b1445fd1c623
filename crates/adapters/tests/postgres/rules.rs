//! Rules in the database mean what they mean in the program.

use crate::audience::{ELSEWHERE, HERE, NEXT_DOOR, count, database, somebody, store_contacts};
use diesel::sql_types::{Array, Text};
use diesel_async::RunQueryDsl;
use muster_adapters::postgres::PgStore;
use muster_domain::model::contact::{ContactFacts, FieldValue, TEXT_FIELDS};
use muster_domain::model::ids::ContactNo;
use muster_domain::model::rules::{Op, Rule, fold};
use muster_domain::ports::segments::Audience;
use muster_domain::ports::store::Store;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// Texts on which two implementations are likely to disagree.
const TEXTS: &[&str] = &[
    "",
    " ",
    "a",
    "A",
    "ab",
    "Ä",
    "ä",
    "ß",
    "İ",
    "I",
    "i",
    "ı",
    "ΣΑΣ",
    "σασ",
    "σας",
    "Ж",
    "ж",
    "%",
    "_",
    "a%",
    "\\",
    "'",
    "\"",
    "München",
    "MÜNCHEN",
    "mün",
    "2026-01-01",
    "2026-10-01T09:00:00Z",
    "10",
    "9",
    "9.0",
    "09",
    "-1.50",
    "1e3",
    "+1",
    ".5",
    "123456789012345",
    "1234567890123456",
    "true",
    "TRUE",
    "false",
    "\n",
    "9\n",
    "🦀",
    "ᏸ",
    "ǅ",
    "Ω",
];
const NUMBERS: &[f64] =
    &[0.0, -0.0, 1.0, 9.0, 10.0, 10.5, -1.5, 0.1, 0.300_000_000_000_000_04, 1e15, 123_456_789_012_345_680.0, 1e300];
const NAMES: &[&str] = &["plan", "Plan", "_x-1", "0"];

fn text() -> impl Strategy<Value = String> {
    // Long ones differ before, at and after the end of what the index holds.
    let long = (195..205_usize, prop::bool::ANY, prop::bool::ANY).prop_map(|(n, upper, tail)| {
        format!("{}{}", if upper { "É" } else { "é" }.repeat(n), if tail { "x" } else { "y" })
    });
    // Up to what every Unicode that is in use knows the lower case of.
    let any = prop::collection::vec(prop::char::range('\u{1}', '\u{1c80}'), 0..4).prop_map(|c| c.into_iter().collect());
    prop_oneof![6 => prop::sample::select(TEXTS).prop_map(str::to_owned), 1 => long, 2 => any]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![3 => prop::sample::select(NUMBERS), 1 => (-20..20_i32).prop_map(f64::from)]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![text().prop_map(Value::from), number().prop_map(Value::from), any::<bool>().prop_map(Value::from)]
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(NAMES).prop_map(str::to_owned)
}

fn facts() -> impl Strategy<Value = ContactFacts> {
    let fields =
        prop::collection::btree_map(prop::sample::select(&TEXT_FIELDS[1..]).prop_map(str::to_owned), text(), 0..6);
    let tags = prop::collection::btree_set(text().prop_map(|tag| tag.to_lowercase()), 0..4);
    let value = prop_oneof![
        4 => text().prop_map(FieldValue::Text),
        2 => number().prop_map(FieldValue::Number),
        1 => any::<bool>().prop_map(FieldValue::Flag)
    ];
    let custom = prop::collection::btree_map(name(), value, 0..4);
    (fields, tags, -5..15_i32, custom).prop_map(|(fields, tags, lead_score, custom_fields)| ContactFacts {
        fields,
        tags,
        lead_score,
        custom_fields,
        ..ContactFacts::default()
    })
}

fn comparison() -> impl Strategy<Value = Value> {
    let plain = prop::sample::select(&TEXT_FIELDS[..]).prop_map(str::to_owned);
    let custom = name().prop_map(|name| format!("customFields.{name}"));
    let field = prop_oneof![3 => plain, 2 => Just("tags".to_owned()), 2 => Just("leadScore".to_owned()), 5 => custom];
    let value = prop_oneof![
        6 => scalar(),
        2 => prop::collection::vec(scalar(), 1..5).prop_map(Value::from),
        2 => prop::collection::vec(text(), 1..5).prop_map(Value::from),
    ];
    (field, prop::sample::select(&Op::ALL[..]), value)
        .prop_map(|(field, op, value)| json!({"field": field, "op": op.as_str(), "value": value}))
        .prop_filter("what does not fit is refused", |json| Rule::parse(json).is_ok())
}

fn rule() -> impl Strategy<Value = Rule> {
    comparison()
        .prop_recursive(4, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|all| json!({"all": all})),
                prop::collection::vec(inner.clone(), 0..4).prop_map(|any| json!({"any": any})),
                inner.prop_map(|not| json!({"not": not})),
            ]
        })
        .prop_map(|json| Rule::parse(&json).expect("within the limits"))
}

#[derive(diesel::QueryableByName)]
struct Letter {
    #[diesel(sql_type = Text)]
    letter: String,
}

async fn members(store: &PgStore, rule: &Rule) -> Vec<ContactNo> {
    let mut tx = store.begin(HERE).await.unwrap();
    let audience = Audience::Matching(rule.clone());
    let found = tx.segments().list_members(&audience, None, 1000).await.unwrap();
    assert_eq!(tx.segments().count_members(&audience).await.unwrap(), i64::try_from(found.len()).unwrap());
    tx.rollback().await.unwrap();
    found.into_iter().map(|contact| contact.no).collect()
}

#[test]
fn the_database_and_the_program_agree_on_every_rule() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (database, store) = runtime.block_on(database());
    let held = AtomicU64::new(0);
    let asked = AtomicU64::new(0);
    let mut runner = TestRunner::new(Config { cases: 256, failure_persistence: None, ..Config::default() });
    let people_and_rules = (prop::collection::vec(facts(), 8), prop::collection::vec(rule(), 4));
    let result = runner.run(&people_and_rules, |(mut people, rules)| {
        for (n, person) in people.iter_mut().enumerate() {
            person.fields.insert("email".to_owned(), format!("{}{n}@Example.test", ["a", "B", "ab"][n % 3]));
        }
        runtime.block_on(async {
            let mut conn = database.connect().await;
            let numbers = store_contacts(&mut conn, HERE, &people).await;
            for rule in &rules {
                let expected: Vec<_> =
                    numbers.iter().zip(&people).filter(|(_, facts)| rule.holds(facts)).map(|(no, _)| *no).collect();
                asked.fetch_add(8, Ordering::Relaxed);
                held.fetch_add(expected.len() as u64, Ordering::Relaxed);
                let found = members(&store, rule).await;
                prop_assert_eq!(found, expected, "{}", serde_json::to_string(rule).unwrap());
            }
            count(
                &mut conn,
                "WITH t AS (DELETE FROM contact_tags), f AS (DELETE FROM contact_fields), \
                 c AS (DELETE FROM contacts RETURNING 1) SELECT count(*) AS n FROM c",
            )
            .await;
            Ok(())
        })
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
    // The comparison is worth something only when rules hold for some and not for others.
    let (held, asked) = (held.into_inner(), asked.into_inner());
    assert!(held * 5 > asked && held * 5 < asked * 4, "{held} of {asked}");
}

#[tokio::test]
async fn letters_fold_alike_in_the_database_and_in_the_program() {
    let (database, _store) = database().await;
    let mut conn = database.connect().await;
    // Up to what every Unicode that is in use knows; newer scripts follow with newer databases.
    let letters: Vec<String> = ('\u{1}'..='\u{1c80}').map(|letter| letter.to_string()).collect();
    let folded: Vec<String> = letters.iter().map(|letter| fold(letter)).collect();
    let differing: Vec<Letter> = diesel::sql_query(
        "SELECT letter FROM unnest($1::text[], $2::text[]) AS u(letter, folded) WHERE muster_fold(letter) <> folded",
    )
    .bind::<Array<Text>, _>(letters)
    .bind::<Array<Text>, _>(folded)
    .load(&mut conn)
    .await
    .unwrap();
    assert!(differing.is_empty(), "{:?}", differing.iter().map(|row| &row.letter).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_rule_reaches_nobody_of_another_workspace_or_tenant_and_nobody_erased() {
    let (database, store) = database().await;
    let mut conn = database.connect().await;
    let here = store_contacts(&mut conn, HERE, &[somebody("ada@example.test"), somebody("gone@example.test")]).await;
    store_contacts(&mut conn, NEXT_DOOR, &[somebody("ada@example.test")]).await;
    store_contacts(&mut conn, ELSEWHERE, &[somebody("ada@example.test")]).await;
    database
        .run_sql(
            "UPDATE contacts SET email = NULL, email_key = NULL, erased_at = now() WHERE email = 'gone@example.test'",
        )
        .await;
    let everybody = Rule::parse(&json!({"all": []})).unwrap();
    assert_eq!(members(&store, &everybody).await, here[..1]);
    let nobody_else = Rule::parse(&json!({"not": {"field": "email", "op": "eq", "value": "x@example.test"}})).unwrap();
    assert_eq!(members(&store, &nobody_else).await, here[..1]);
}

#[tokio::test]
async fn long_values_are_told_apart_by_what_the_index_does_not_hold() {
    let (database, store) = database().await;
    let mut conn = database.connect().await;
    let values = [("é", 200, "x"), ("É", 200, "X"), ("é", 200, "y"), ("é", 200, ""), ("é", 199, ""), ("é", 201, "")];
    let values = values.map(|(letter, times, end)| letter.repeat(times) + end);
    let mut people = Vec::new();
    for (n, value) in values.iter().enumerate() {
        let mut person = somebody(&format!("c{n}@x.test"));
        person.custom_fields.insert("note".to_owned(), FieldValue::Text(value.clone()));
        people.push(person);
    }
    let numbers = store_contacts(&mut conn, HERE, &people).await;
    for (value, expected) in values.iter().zip([vec![0, 1], vec![0, 1], vec![2], vec![3], vec![4], vec![5]]) {
        let rule = Rule::parse(&json!({"field": "customFields.note", "op": "eq", "value": value})).unwrap();
        let expected: Vec<_> = expected.into_iter().map(|n: usize| numbers[n]).collect();
        assert_eq!(members(&store, &rule).await, expected, "{} characters", value.chars().count());
    }
}
