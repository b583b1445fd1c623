//! The journal of a process that is really killed.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking; the victim reports by printing"
)]

use muster_adapters::journal::{FileJournal, FileJournalArchive};
use muster_domain::model::delivery::{Attempt, DeliveryKey, Epoch, SendOutcome};
use muster_domain::model::ids::{CampaignNo, ContactNo, Pass, StepNo, TenantNo};
use muster_domain::ports::transport::{Journal, JournalArchive, Orphan, Phase};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Set in the process that is to be killed: where its journal is.
const VICTIM: &str = "MUSTER_JOURNAL_VICTIM";

fn attempt(contact: i64) -> Attempt {
    let (tenant, campaign, contact) = (TenantNo(1), CampaignNo(1), ContactNo(contact));
    Attempt { key: DeliveryKey { tenant, campaign, contact, step: StepNo(1), pass: Pass(1) }, epoch: Epoch(1) }
}

fn sent() -> Phase {
    Phase::Replied { outcome: SendOutcome::Sent { reply: "250 2.0.0 queued".into() } }
}

/// Takes attempt after attempt through all phases, each number printed once it is in the journal.
fn live_until_killed(state: &Path) {
    let journal = FileJournal::open(state).unwrap();
    journal.record(attempt(-1), &Phase::Begun).unwrap();
    journal.record(attempt(-2), &Phase::Dot).unwrap();
    journal.record(attempt(-3), &sent()).unwrap();
    for n in 0.. {
        for phase in [Phase::Begun, Phase::Dot, sent(), Phase::Recorded] {
            journal.record(attempt(n), &phase).unwrap();
        }
        println!("recorded {n}");
    }
}

#[tokio::test]
async fn what_a_killed_process_had_in_hand_is_found_and_nothing_else() {
    if let Ok(state) = std::env::var(VICTIM) {
        live_until_killed(Path::new(&state));
    }
    let state = tempfile::tempdir().unwrap();
    let archive = FileJournalArchive::new(state.path());
    for _ in 0..5 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "what_a_killed_process_had_in_hand_is_found_and_nothing_else", "--nocapture"])
            .env(VICTIM, state.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut printed = BufReader::new(victim.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(printed.any(|line| line.ends_with("recorded 500")), "the victim did not get that far");
        assert!(archive.adopt().await.unwrap().is_none(), "the journal of a living process was adopted");
        victim.kill().unwrap();
        victim.wait().unwrap();
        let last = printed.filter_map(|line| line.strip_prefix("recorded ")?.parse::<i64>().ok()).last().unwrap_or(500);

        let adopted = archive.adopt().await.unwrap().unwrap();
        let orphans = adopted.orphans();
        let (kept, in_hand) = orphans.split_at(3);
        let expected = [(-1, Phase::Begun), (-2, Phase::Dot), (-3, sent())];
        assert_eq!(kept, expected.map(|(contact, phase)| Orphan { attempt: attempt(contact), phase }));
        // At most the one it was at, which comes after every one whose record had returned.
        assert!(in_hand.len() <= 1 && in_hand.iter().all(|orphan| orphan.attempt.key.contact.0 > last), "{in_hand:?}");
        adopted.discard().unwrap();
        assert_eq!(std::fs::read_dir(state.path().join("journal")).unwrap().count(), 0);
    }
}

#[test]
fn a_hundred_thousand_records_leave_one_small_file() {
    let state = tempfile::tempdir().unwrap();
    let journal = FileJournal::open(state.path()).unwrap();
    for n in 0..25_000 {
        for phase in [Phase::Begun, Phase::Dot, sent(), Phase::Recorded] {
            journal.record(attempt(n), &phase).unwrap();
        }
    }
    let files: Vec<_> = std::fs::read_dir(state.path().join("journal")).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 1);
    assert!(files[0].metadata().unwrap().len() < 9 * 1024 * 1024, "it was not compacted");
}
