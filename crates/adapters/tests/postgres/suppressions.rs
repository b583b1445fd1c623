//! Suppressing and unsubscribing, and what becomes of enrollments and the books.

use crate::audience::{ELSEWHERE, HERE, NEXT_DOOR, count, database, somebody, store_contacts};
use crate::campaign;
use diesel_async::AsyncPgConnection;
use muster_adapters::postgres::PgStore;
use muster_domain::model::address::{DomainName, EmailAddress};
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::ids::{CampaignNo, ContactNo, Pass, StepNo, TenantNo};
use muster_domain::model::suppression::{Entry, NewSuppression, Suppressible, SuppressionReason};
use muster_domain::ports::store::{Store, Workspace};
use muster_domain::ports::suppressions::{Suppressed, Unsubscribed};
use muster_domain::usecases::erase_contact::{EraseContact, erase_contact};
use muster_domain::usecases::unsubscribe::{unsubscribe, workspace_of};
use muster_testkit::database::TestDatabase;
use std::time::Duration;

const ADA: &str = "Ada@Example.test";

fn what(text: &str) -> Suppressible {
    Suppressible::parse(text).unwrap()
}

/// Ada in both workspaces of the tenant and in another one, with somebody else beside her; she waits in campaign 1, has
/// a mail queued in campaign 2 and one being sent in campaign 3.
struct Scene {
    database: TestDatabase,
    store: PgStore,
    conn: AsyncPgConnection,
    ada: ContactNo,
}

async fn scene() -> Scene {
    let (database, store) = database().await;
    let mut conn = database.connect().await;
    let here = store_contacts(&mut conn, HERE, &[somebody(ADA), somebody("bob@example.test")]).await;
    let next_door = store_contacts(&mut conn, NEXT_DOOR, &[somebody("ada@example.test")]).await;
    let elsewhere = store_contacts(&mut conn, ELSEWHERE, &[somebody(ADA)]).await;
    let in_workspace = |of: Workspace, segment: i32, status: &str| {
        let (tenant, workspace) = (of.tenant.0, of.workspace.0);
        let segment_of = format!(
            "INSERT INTO segments (tenant_no, workspace_no, id, name, kind, created_at, updated_at) \
             VALUES ({tenant}, {workspace}, gen_random_uuid(), 's', 'static', now(), now());"
        );
        segment_of + &campaign::insert(tenant, workspace, segment, status)
    };
    let sql = [
        in_workspace(HERE, 1, "active"),
        in_workspace(NEXT_DOOR, 2, "paused"),
        in_workspace(ELSEWHERE, 3, "active"),
        campaign::insert(1, 1, 1, "active"),
        campaign::enroll(1, 1, here[0].0, "w"),
        campaign::enroll(1, 1, here[1].0, "w"),
        campaign::enroll(1, 2, next_door[0].0, "p"),
        campaign::enroll(2, 3, elsewhere[0].0, "p"),
        campaign::enroll(1, 4, here[0].0, "s"),
    ]
    .concat();
    database.run_sql(&sql).await;
    Scene { database, store, conn, ada: here[0] }
}

impl Scene {
    async fn count(&mut self, sql: &str) -> i64 {
        count(&mut self.conn, sql).await
    }

    /// Ada's mail of campaign 1 in the other tenant's eyes, or her own.
    fn delivery(&self) -> DeliveryKey {
        DeliveryKey { tenant: TenantNo(1), campaign: CampaignNo(1), contact: self.ada, step: StepNo(5), pass: Pass(1) }
    }

    async fn suppress(&self, of: Workspace, email: &str) -> Suppressed {
        let mut tx = self.store.begin(of).await.unwrap();
        let now = tx.now().await.unwrap();
        let email = EmailAddress::parse(email).unwrap();
        let done = tx.suppressions().suppress(&email, SuppressionReason::Manual, "api", now).await.unwrap();
        tx.commit().await.unwrap();
        done
    }

    async fn unsubscribe(&self) -> Unsubscribed {
        let mut tx = self.store.begin(workspace_of(self.delivery())).await.unwrap();
        let done = unsubscribe(&mut tx, self.delivery()).await.unwrap();
        tx.commit().await.unwrap();
        done
    }

    /// Everything of Ada in the tenant ended for that reason, and nothing else; and the books balance.
    async fn assert_ada_left(&mut self, reason: &str) {
        let left = format!(
            "SELECT count(*) AS n FROM enrollments WHERE status = 'x' AND exit_reason = '{reason}' AND ended_at IS NOT NULL"
        );
        assert_eq!(self.count(&left).await, 3);
        assert_eq!(
            self.count("SELECT count(*) AS n FROM enrollments WHERE status NOT IN ('x')").await,
            2,
            "Bob, and the other tenant"
        );
        assert_eq!(self.count("SELECT count(*) AS n FROM enrollment_history").await, 3);
        assert_eq!(self.count("SELECT count(*) AS n FROM messages WHERE state = 'x' AND campaign_no = 2").await, 1);
        assert_eq!(self.count("SELECT count(*) AS n FROM messages").await, 1);
        assert_eq!(
            self.count("SELECT count(*) AS n FROM outbox WHERE campaign_no = 4 AND state = 's'").await,
            1,
            "a delivery under way is left to its worker"
        );
        assert_eq!(self.count("SELECT count(*) AS n FROM outbox WHERE tenant_no = 2 AND state = 'p'").await, 1);
        assert_eq!(self.count("SELECT count(*) AS n FROM outbox").await, 2);
        let books =
            "SELECT count(*) AS n FROM campaign_counters WHERE audience = open + completed + exited AND exited > 0";
        assert_eq!(self.count(books).await, 3);
        let steps = "SELECT count(*) AS n FROM step_counters WHERE entered = pending + cancelled AND cancelled > 0";
        assert_eq!(self.count(steps).await, 2, "the wait and the queued mail");
    }
}

#[tokio::test]
async fn suppressing_an_address_ends_what_is_open_for_it_in_the_tenant_and_nowhere_else() {
    let mut scene = scene().await;
    let Suppressed::Added(added) = scene.suppress(HERE, ADA).await else { panic!("not added") };
    assert_eq!((added.entry.key(), added.reason), (Some("ada@example.test"), SuppressionReason::Manual));
    scene.assert_ada_left("s").await;
    assert_eq!(scene.count("SELECT count(*) AS n FROM suppressions WHERE tenant_no = 1").await, 1);
    assert_eq!(scene.count("SELECT count(*) AS n FROM suppressions").await, 1);
}

#[tokio::test]
async fn suppressing_again_changes_nothing() {
    let mut scene = scene().await;
    scene.suppress(HERE, ADA).await;
    let again = scene.suppress(NEXT_DOOR, "ADA@example.test").await;
    assert!(matches!(again, Suppressed::Already(there) if there.source == "api"));
    scene.assert_ada_left("s").await;
}

#[tokio::test]
async fn lifting_allows_the_address_again() {
    let mut scene = scene().await;
    scene.suppress(HERE, "eve@example.test").await;
    for (of, lifted) in [(ELSEWHERE, false), (NEXT_DOOR, true), (HERE, false)] {
        let mut tx = scene.store.begin(of).await.unwrap();
        assert_eq!(tx.suppressions().lift(&what("eve@example.test")).await.unwrap(), lifted);
        tx.commit().await.unwrap();
    }
    assert_eq!(scene.count("SELECT count(*) AS n FROM suppressions").await, 0);
}

#[tokio::test]
async fn the_list_goes_by_address_and_page() {
    let scene = scene().await;
    for email in ["c@x.test", "a@x.test", "b@x.test"] {
        scene.suppress(HERE, email).await;
    }
    let mut tx = scene.store.begin(NEXT_DOOR).await.unwrap();
    let mut page = async |after: Option<&str>| -> Vec<String> {
        let rows = tx.suppressions().list(after.map(str::to_owned), 2).await.unwrap();
        rows.into_iter().filter_map(|row| row.entry.key().map(str::to_owned)).collect()
    };
    assert_eq!(page(None).await, ["a@x.test", "b@x.test"]);
    assert_eq!(page(Some("b@x.test")).await, ["c@x.test"]);
    assert!(tx.suppressions().find(&what("C@x.test")).await.unwrap().is_some());
    assert!(tx.suppressions().find(&what("d@x.test")).await.unwrap().is_none());
    let mut tx = scene.store.begin(ELSEWHERE).await.unwrap();
    assert!(tx.suppressions().list(None, 2).await.unwrap().is_empty());
    assert!(tx.suppressions().find(&what("c@x.test")).await.unwrap().is_none());
}

#[tokio::test]
async fn suppressing_waits_for_a_delivery_that_is_just_beginning() {
    let scene = scene().await;
    let mut worker = scene.database.connect().await;
    let begin = "BEGIN; SELECT pg_advisory_xact_lock_shared(1, 1)";
    diesel_async::SimpleAsyncConnection::batch_execute(&mut worker, begin).await.unwrap();
    let mut suppressing = Box::pin(scene.suppress(HERE, ADA));
    let waited = tokio::time::timeout(Duration::from_millis(300), &mut suppressing).await;
    assert!(waited.is_err(), "it did not wait");
    diesel_async::SimpleAsyncConnection::batch_execute(&mut worker, "COMMIT").await.unwrap();
    assert!(matches!(suppressing.await, Suppressed::Added(_)));
}

#[tokio::test]
async fn unsubscribing_ends_everything_and_counts_once_for_the_step_of_the_mail() {
    let mut scene = scene().await;
    assert_eq!(scene.unsubscribe().await, Unsubscribed::Now);
    scene.assert_ada_left("u").await;
    let counted = "SELECT unsubscribed AS n FROM stats WHERE tenant_no = 1 AND campaign_no = 1 AND step = 5";
    assert_eq!(scene.count(counted).await, 1);
    assert_eq!(
        scene
            .count(
                "SELECT count(*) AS n FROM suppressions s JOIN campaigns c ON c.id::text = s.source \
             WHERE s.tenant_no = 1 AND s.entry = 'ada@example.test' AND s.reason = 'unsubscribed' AND c.campaign_no = 1"
            )
            .await,
        1
    );
    assert_eq!(scene.unsubscribe().await, Unsubscribed::Already);
    scene.assert_ada_left("u").await;
    assert_eq!(scene.count(counted).await, 1);
}

#[tokio::test]
async fn two_clicks_at_once_count_once() {
    let mut scene = scene().await;
    let (one, other) = tokio::join!(scene.unsubscribe(), scene.unsubscribe());
    assert!([one, other].contains(&Unsubscribed::Now) && [one, other].contains(&Unsubscribed::Already));
    assert_eq!(scene.count("SELECT sum(unsubscribed)::bigint AS n FROM stats").await, 1);
}

#[tokio::test]
async fn unsubscribing_waits_for_a_delivery_that_is_just_beginning() {
    let scene = scene().await;
    let mut worker = scene.database.connect().await;
    let begin = format!("BEGIN; SELECT FROM contacts WHERE contact_no = {} FOR KEY SHARE", scene.ada.0);
    diesel_async::SimpleAsyncConnection::batch_execute(&mut worker, &begin).await.unwrap();
    let mut unsubscribing = Box::pin(scene.unsubscribe());
    let waited = tokio::time::timeout(Duration::from_millis(300), &mut unsubscribing).await;
    assert!(waited.is_err(), "it did not wait");
    diesel_async::SimpleAsyncConnection::batch_execute(&mut worker, "COMMIT").await.unwrap();
    assert_eq!(unsubscribing.await, Unsubscribed::Now);
}

#[tokio::test]
async fn an_erased_contact_can_unsubscribe_and_nothing_happens() {
    let mut scene = scene().await;
    let erase = format!(
        "UPDATE contacts SET email = NULL, email_key = NULL, erased_at = now() WHERE contact_no = {}",
        scene.ada.0
    );
    scene.database.run_sql(&erase).await;
    assert_eq!(scene.unsubscribe().await, Unsubscribed::Erased);
    assert_eq!(scene.count("SELECT count(*) AS n FROM suppressions").await, 0);
}

#[tokio::test]
async fn a_campaign_that_is_over_can_still_be_unsubscribed_from() {
    let mut scene = scene().await;
    scene
        .database
        .run_sql("UPDATE campaigns SET status = 'completed', completed_at = now() WHERE campaign_no = 1")
        .await;
    assert_eq!(scene.unsubscribe().await, Unsubscribed::Now);
    assert_eq!(scene.count("SELECT unsubscribed AS n FROM stats").await, 1);
}

impl Scene {
    async fn erase_ada(&self) {
        let mut tx = self.store.begin(HERE).await.unwrap();
        let found = tx.contacts().find_by_email_for_update(&["ada@example.test".to_owned()]).await.unwrap();
        erase_contact(&mut tx, EraseContact { id: found[0].id }).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn find(&self, of: Workspace, text: &str) -> Option<(Entry, SuppressionReason)> {
        let mut tx = self.store.begin(of).await.unwrap();
        let found = tx.suppressions().find(&what(text)).await.unwrap();
        found.map(|suppression| (suppression.entry, suppression.reason))
    }
}

#[tokio::test]
async fn an_erasure_leaves_a_hash_that_recognises_the_address_in_its_tenant_alone() {
    let mut scene = scene().await;
    scene.erase_ada().await;
    let erased = Some((Entry::Erased, SuppressionReason::Erased));
    assert!(scene.find(HERE, "ADA@example.test").await == erased);
    assert!(scene.find(NEXT_DOOR, "ada@example.test").await == erased);
    assert!(scene.find(ELSEWHERE, "ada@example.test").await.is_none());
    assert!(scene.find(HERE, "bob@example.test").await.is_none());
    assert!(scene.find(HERE, "example.test").await.is_none());
    let mut tx = scene.store.begin(HERE).await.unwrap();
    assert!(tx.suppressions().list(None, 10).await.unwrap().is_empty(), "there is nothing to show");
    tx.commit().await.unwrap();
    // HMAC's nesting (RFC 2104 section 2), under keys that differ from tenant to tenant.
    let nested = "SELECT count(*) AS n FROM erased_addresses e JOIN suppression_keys k USING (tenant_no) \
        WHERE e.hash = sha256(k.outer_key || sha256(k.inner_key || 'ada@example.test'::bytea))";
    assert_eq!(scene.count(nested).await, 1);
    let keys = "SELECT count(DISTINCT k) AS n FROM (SELECT inner_key AS k FROM suppression_keys \
        UNION ALL SELECT outer_key FROM suppression_keys) AS keys";
    assert_eq!(scene.count(keys).await, 4);
}

#[tokio::test]
async fn an_erasure_takes_over_the_reason_and_is_not_overwritten() {
    let mut scene = scene().await;
    assert_eq!(scene.unsubscribe().await, Unsubscribed::Now);
    scene.erase_ada().await;
    assert_eq!(scene.count("SELECT count(*) AS n FROM suppressions").await, 0);
    let kept = Some((Entry::Erased, SuppressionReason::Unsubscribed));
    assert!(scene.find(HERE, ADA).await == kept);
    assert!(matches!(scene.suppress(HERE, ADA).await, Suppressed::Already(there) if there.entry == Entry::Erased));
    assert_eq!(scene.count("SELECT count(*) AS n FROM suppressions").await, 0, "the address does not come back");
    assert!(scene.find(HERE, ADA).await == kept);
}

#[tokio::test]
async fn an_erasure_is_lifted_by_who_knows_the_address() {
    let mut scene = scene().await;
    scene.erase_ada().await;
    for (of, lifted) in [(ELSEWHERE, false), (NEXT_DOOR, true), (HERE, false)] {
        let mut tx = scene.store.begin(of).await.unwrap();
        assert_eq!(tx.suppressions().lift(&what(ADA)).await.unwrap(), lifted);
        tx.commit().await.unwrap();
    }
    assert_eq!(scene.count("SELECT count(*) AS n FROM erased_addresses").await, 0);
}

#[tokio::test]
async fn who_comes_again_after_an_erasure_and_unsubscribes_is_told_that_it_was_so_before() {
    let mut scene = scene().await;
    scene.erase_ada().await;
    let again = store_contacts(&mut scene.conn, HERE, &[somebody(ADA)]).await;
    scene.ada = again[0];
    assert_eq!(scene.unsubscribe().await, Unsubscribed::Already);
    assert_eq!(scene.count("SELECT count(*) AS n FROM suppressions").await, 0);
}

#[tokio::test]
async fn a_domain_is_an_entry_of_its_own() {
    let mut scene = scene().await;
    let domain = |text| DomainName::parse(text).unwrap();
    for (text, expected) in [("Example.test", true), ("example.test", false)] {
        let mut tx = scene.store.begin(HERE).await.unwrap();
        let now = tx.now().await.unwrap();
        let done = tx.suppressions().suppress_domain(&domain(text), SuppressionReason::Manual, "api", now).await;
        assert_eq!(matches!(done.unwrap(), Suppressed::Added(_)), expected);
        tx.commit().await.unwrap();
    }
    assert!(
        scene.find(HERE, "example.test").await
            == Some((Entry::Domain("example.test".to_owned()), SuppressionReason::Manual))
    );
    assert!(scene.find(HERE, ADA).await.is_none(), "her address has no entry of its own");
    let mut tx = scene.store.begin(HERE).await.unwrap();
    for (email, covered) in [(ADA, 1), ("ada@sub.example.test", 0), ("ada@test", 0), ("example.test@x.test", 0)] {
        if let Ok(email) = EmailAddress::parse(email) {
            assert_eq!(tx.suppressions().covering(&email).await.unwrap().len(), covered, "{}", email.as_str());
        }
    }
    tx.commit().await.unwrap();
    assert!(matches!(scene.suppress(HERE, ADA).await, Suppressed::Added(_)), "beside her domain");
    assert_eq!(scene.count("SELECT count(*) AS n FROM enrollments WHERE exit_reason = 's'").await, 3);
}

#[tokio::test]
async fn several_are_put_on_the_list_at_once_and_each_counts_once() {
    let mut scene = scene().await;
    scene.suppress(HERE, "old@x.test").await;
    scene.erase_ada().await;
    let entries: Vec<_> = ["old@x.test", "new@x.test", "x.test", "NEW@x.test", ADA, "bob@example.test"]
        .into_iter()
        .map(|text| NewSuppression {
            what: what(text),
            reason: SuppressionReason::Bounced,
            source: "import".to_owned(),
        })
        .collect();
    let mut tx = scene.store.begin(HERE).await.unwrap();
    let now = tx.now().await.unwrap();
    assert_eq!(tx.suppressions().suppress_all(&entries, now).await.unwrap(), 3);
    tx.commit().await.unwrap();
    assert_eq!(scene.count("SELECT count(*) AS n FROM suppressions WHERE reason = 'bounced'").await, 3);
    assert_eq!(scene.count("SELECT count(*) AS n FROM suppressions WHERE reason = 'manual'").await, 1);
    let bob = "SELECT count(*) AS n FROM enrollments WHERE exit_reason = 's'";
    assert_eq!(scene.count(bob).await, 1, "Bob has left");
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_are_locked_before_the_list_is_written_to() {
    let scene = scene().await;
    let ada = format!("SELECT FROM contacts WHERE contact_no = {} FOR UPDATE", scene.ada.0);
    let mut recording = scene.database.hold(&ada).await;
    let suppressing = async {
        let done = scene.suppress(HERE, ADA).await;
        assert!(matches!(done, Suppressed::Already(_)), "the other was first: {done:?}");
    };
    let other = async {
        scene.database.until_locks_are_awaited(1).await;
        recording
            .run(
                "SET LOCAL lock_timeout = '2s'; INSERT INTO suppressions (tenant_no, entry, reason, source, created_at) \
                 VALUES (1, 'ada@example.test', 'bounced', 'x', now()) ON CONFLICT DO NOTHING",
            )
            .await;
        recording.release().await;
    };
    tokio::join!(suppressing, other);
}
