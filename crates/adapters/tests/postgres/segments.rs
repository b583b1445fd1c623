//! Segments and their members.

use crate::audience::{ELSEWHERE, HERE, NEXT_DOOR, count, database, somebody, store_contacts};
use muster_adapters::postgres::PgStore;
use muster_domain::model::ids::{ContactId, SegmentId};
use muster_domain::model::rules::Rule;
use muster_domain::model::segment::{Segment, SegmentDefinition};
use muster_domain::ports::segments::{Audience, Removal};
use muster_domain::ports::store::Store;
use serde_json::json;

async fn make(store: &PgStore, name: &str, definition: &SegmentDefinition) -> Segment {
    let mut tx = store.begin(HERE).await.unwrap();
    let now = tx.now().await.unwrap();
    let segment = tx.segments().insert(name, definition, now).await.unwrap();
    tx.commit().await.unwrap();
    segment
}

fn of_berlin() -> SegmentDefinition {
    SegmentDefinition::Dynamic(Rule::parse(&json!({"field": "city", "op": "eq", "value": "Berlin"})).unwrap())
}

#[tokio::test]
async fn a_segment_is_read_as_it_was_written() {
    let (_database, store) = database().await;
    let written = make(&store, "Berlin", &of_berlin()).await;
    let mut tx = store.begin(HERE).await.unwrap();
    assert_eq!(tx.segments().find(written.id).await.unwrap(), Some(written.clone()));
    let mut changed = tx.segments().find_for_update(written.id).await.unwrap().unwrap();
    changed.name = "Bonn".to_owned();
    changed.definition = SegmentDefinition::Dynamic(Rule::parse(&json!({"all": []})).unwrap());
    tx.segments().save(&changed).await.unwrap();
    assert_eq!(tx.segments().find(written.id).await.unwrap(), Some(changed));
    assert_eq!(tx.segments().find(SegmentId(uuid::Uuid::nil())).await.unwrap(), None);
}

#[tokio::test]
async fn another_workspace_finds_nothing_of_it() {
    let (_database, store) = database().await;
    let segment = make(&store, "ours", &SegmentDefinition::Static).await;
    for of in [NEXT_DOOR, ELSEWHERE] {
        let mut tx = store.begin(of).await.unwrap();
        assert_eq!(tx.segments().find(segment.id).await.unwrap(), None);
        assert_eq!(tx.segments().find_for_update(segment.id).await.unwrap(), None);
        assert_eq!(tx.segments().list(None, 10).await.unwrap(), []);
        tx.segments().save(&Segment { name: "theirs".to_owned(), ..segment.clone() }).await.unwrap();
        tx.commit().await.unwrap();
    }
    let mut tx = store.begin(HERE).await.unwrap();
    assert_eq!(tx.segments().list(None, 10).await.unwrap(), [segment]);
}

#[tokio::test]
async fn the_newest_come_first_page_by_page() {
    let (_database, store) = database().await;
    for name in ["a", "b", "c"] {
        make(&store, name, &SegmentDefinition::Static).await;
    }
    let mut tx = store.begin(HERE).await.unwrap();
    let first = tx.segments().list(None, 2).await.unwrap();
    let second = tx.segments().list(first.last().map(|segment| segment.no), 2).await.unwrap();
    let names: Vec<_> = first.iter().chain(&second).map(|segment| segment.name.as_str()).collect();
    assert_eq!(names, ["c", "b", "a"]);
}

#[tokio::test]
async fn contacts_join_and_leave_a_list_once() {
    let (database, store) = database().await;
    let mut conn = database.connect().await;
    let people =
        store_contacts(&mut conn, HERE, &[somebody("a@x.test"), somebody("b@x.test"), somebody("c@x.test")]).await;
    let list = make(&store, "list", &SegmentDefinition::Static).await;
    let mut tx = store.begin(HERE).await.unwrap();
    assert_eq!(tx.segments().add_members(list.no, &people[..2]).await.unwrap(), 2);
    assert_eq!(tx.segments().add_members(list.no, &people).await.unwrap(), 1);
    assert_eq!(tx.segments().count_members(&Audience::of(&list)).await.unwrap(), 3);
    assert_eq!(tx.segments().remove_members(list.no, &people[..1]).await.unwrap(), 1);
    assert_eq!(tx.segments().remove_members(list.no, &people[..1]).await.unwrap(), 0);
    let left = tx.segments().list_members(&Audience::of(&list), None, 10).await.unwrap();
    assert_eq!(left.iter().map(|contact| contact.no).collect::<Vec<_>>(), people[1..]);
    let next = tx.segments().list_members(&Audience::of(&list), Some(people[1]), 10).await.unwrap();
    assert_eq!(next.iter().map(|contact| contact.email.as_str()).collect::<Vec<_>>(), ["c@x.test"]);
}

#[tokio::test]
async fn only_contacts_of_the_workspace_resolve() {
    let (database, store) = database().await;
    let mut conn = database.connect().await;
    let ours = store_contacts(&mut conn, HERE, &[somebody("a@x.test")]).await;
    store_contacts(&mut conn, NEXT_DOOR, &[somebody("b@x.test")]).await;
    let mut ids = std::collections::BTreeMap::new();
    for of in [HERE, NEXT_DOOR] {
        let mut tx = store.begin(of).await.unwrap();
        let everybody = Audience::Matching(Rule::parse(&json!({"all": []})).unwrap());
        for contact in tx.segments().list_members(&everybody, None, 10).await.unwrap() {
            ids.insert(contact.email.key(), contact.id);
        }
    }
    let mut tx = store.begin(HERE).await.unwrap();
    let wanted = [ids["b@x.test"], ids["a@x.test"], ContactId(uuid::Uuid::nil()), ids["a@x.test"]];
    assert_eq!(tx.segments().resolve(&wanted).await.unwrap(), [None, Some(ours[0]), None, Some(ours[0])]);
}

#[tokio::test]
async fn a_segment_named_by_a_campaign_stays() {
    let (database, store) = database().await;
    let mut conn = database.connect().await;
    let people = store_contacts(&mut conn, HERE, &[somebody("a@x.test")]).await;
    let (named, free) =
        (make(&store, "named", &of_berlin()).await, make(&store, "free", &SegmentDefinition::Static).await);
    database.run_sql(&crate::campaign::insert(1, 1, named.no.0, "draft")).await;
    let mut tx = store.begin(HERE).await.unwrap();
    tx.segments().add_members(free.no, &people).await.unwrap();
    assert_eq!(tx.segments().remove(named.no).await.unwrap(), Removal::InUse);
    assert_eq!(tx.segments().remove(free.no).await.unwrap(), Removal::Removed);
    tx.commit().await.unwrap();
    assert_eq!(count(&mut conn, "SELECT count(*) AS n FROM segments").await, 1);
    assert_eq!(count(&mut conn, "SELECT count(*) AS n FROM segment_members").await, 0);
}
