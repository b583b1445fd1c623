//! Stored answers: claimed by one transaction at a time, as lasting as the effect beside them, kept for a day.

use crate::fixture::Fixture;
use muster_domain::ports::idempotency::{Claim, StoredAnswer};
use muster_domain::ports::keys::{Tenancy, WorkspaceIdentity};
use muster_domain::ports::store::{Store, Tx, Workspace};

const KEY: &str = "a-key";
const ONE: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];

fn answer() -> StoredAnswer {
    StoredAnswer {
        status: 201,
        headers: vec![("location".to_owned(), "/api/keys/1".to_owned())],
        body: br#"{"id":"c0ffee"}"#.to_vec(),
    }
}

async fn workspace(fixture: &Fixture, tenant: &str, name: &str) -> Workspace {
    let WorkspaceIdentity { tenant, workspace, .. } = fixture.store.ensure_workspace(tenant, name).await.unwrap();
    Workspace { tenant, workspace }
}

async fn begin(fixture: &Fixture, of: Workspace) -> Tx {
    fixture.store.begin(of).await.unwrap()
}

async fn claim(tx: &mut Tx, fingerprint: [u8; 32]) -> Claim {
    tx.idempotency().claim(KEY, fingerprint).await.unwrap()
}

/// Claims in a transaction of its own and gives the claim up. Merely dropped, it would be held until the server has noticed.
async fn claim_and_undo(fixture: &Fixture, of: Workspace, fingerprint: [u8; 32]) -> Claim {
    let mut tx = begin(fixture, of).await;
    let claimed = claim(&mut tx, fingerprint).await;
    tx.rollback().await.unwrap();
    claimed
}

#[tokio::test]
async fn a_key_is_held_by_one_transaction_and_free_again_when_that_is_undone() {
    let fixture = Fixture::new().await;
    let of = workspace(&fixture, "acme", "main").await;
    let (mut first, mut second) = (begin(&fixture, of).await, begin(&fixture, of).await);
    assert_eq!(claim(&mut first, ONE).await, Claim::First);
    assert_eq!(claim(&mut second, ONE).await, Claim::Running, "without waiting");
    first.idempotency().store(KEY, ONE, &answer()).await.unwrap();
    assert_eq!(claim(&mut second, ONE).await, Claim::Running, "stored is not committed");
    first.rollback().await.unwrap();
    assert_eq!(claim(&mut second, ONE).await, Claim::First, "nothing happened, nothing is answered");
}

#[tokio::test]
async fn a_committed_answer_is_found_by_the_same_request_and_refuses_another() {
    let fixture = Fixture::new().await;
    let of = workspace(&fixture, "acme", "main").await;
    let mut waiting = begin(&fixture, of).await;
    let mut first = begin(&fixture, of).await;
    assert_eq!(claim(&mut first, ONE).await, Claim::First);
    first.idempotency().store(KEY, ONE, &answer()).await.unwrap();
    first.commit().await.unwrap();
    assert_eq!(claim(&mut waiting, ONE).await, Claim::Answered(answer()), "even when it began before the commit");
    assert_eq!(claim(&mut waiting, OTHER).await, Claim::OtherRequest);
}

#[tokio::test]
async fn a_later_answer_replaces_the_provisional_one() {
    let fixture = Fixture::new().await;
    let of = workspace(&fixture, "acme", "main").await;
    for status in [202, 200] {
        let mut tx = begin(&fixture, of).await;
        tx.idempotency().store(KEY, ONE, &StoredAnswer { status, ..answer() }).await.unwrap();
        tx.commit().await.unwrap();
    }
    let mut tx = begin(&fixture, of).await;
    assert_eq!(claim(&mut tx, ONE).await, Claim::Answered(StoredAnswer { status: 200, ..answer() }));
}

#[tokio::test]
async fn a_key_means_nothing_in_another_workspace_or_tenant() {
    let fixture = Fixture::new().await;
    let of = workspace(&fixture, "acme", "main").await;
    let mut held = begin(&fixture, of).await;
    assert_eq!(claim(&mut held, ONE).await, Claim::First);
    held.idempotency().store(KEY, ONE, &answer()).await.unwrap();
    for stranger in [workspace(&fixture, "acme", "second").await, workspace(&fixture, "globex", "main").await] {
        assert_eq!(claim_and_undo(&fixture, stranger, OTHER).await, Claim::First, "held elsewhere");
    }
    held.commit().await.unwrap();
    for stranger in [workspace(&fixture, "acme", "second").await, workspace(&fixture, "globex", "main").await] {
        assert_eq!(claim_and_undo(&fixture, stranger, OTHER).await, Claim::First, "answered elsewhere");
    }
}

#[tokio::test]
async fn answers_that_mention_a_contact_are_blanked() {
    let fixture = Fixture::new().await;
    let of = workspace(&fixture, "acme", "main").await;
    let mut tx = begin(&fixture, of).await;
    tx.idempotency().store(KEY, ONE, &answer()).await.unwrap();
    tx.idempotency().store("another", ONE, &StoredAnswer { body: b"{}".to_vec(), ..answer() }).await.unwrap();
    tx.idempotency().redact("c0ffee").await.unwrap();
    let blank = StoredAnswer { status: 404, headers: Vec::new(), body: Vec::new() };
    assert_eq!(claim(&mut tx, ONE).await, Claim::Answered(blank), "and is not new again");
    let other = tx.idempotency().claim("another", ONE).await.unwrap();
    assert_eq!(other, Claim::Answered(StoredAnswer { body: b"{}".to_vec(), ..answer() }));
}

#[tokio::test]
async fn an_answer_of_yesterday_is_forgotten() {
    let fixture = Fixture::new().await;
    let of = workspace(&fixture, "acme", "main").await;
    let mut tx = begin(&fixture, of).await;
    tx.idempotency().store(KEY, ONE, &answer()).await.unwrap();
    tx.commit().await.unwrap();
    fixture.sql("UPDATE idempotency_keys SET created_at = now() - interval '23 hours 59 minutes'").await;
    assert_eq!(claim_and_undo(&fixture, of, ONE).await, Claim::Answered(answer()));
    fixture.sql("UPDATE idempotency_keys SET created_at = now() - interval '24 hours'").await;
    assert_eq!(claim_and_undo(&fixture, of, OTHER).await, Claim::First);
}
