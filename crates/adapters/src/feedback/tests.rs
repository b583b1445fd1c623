//! Reports in the shapes in which servers write them, whole and broken.

use super::*;
use muster_domain::model::bounce::{BounceClass, EnhancedStatus};
use muster_domain::model::feedback::{Bounce, Feedback, FeedbackKind, MailName};
use muster_domain::ports::feedback::Unreadable;
use proptest::prelude::*;

/// In place of the sealed names in a real mail.
const PATH: &str = "path-of-the-mail";
const ID: &str = "id-of-the-mail";

fn fixture(name: &str) -> String {
    let text = match name {
        "postfix_unknown_user" => include_str!("fixtures/postfix_unknown_user.eml"),
        "postfix_headers_only" => include_str!("fixtures/postfix_headers_only.eml"),
        "postfix_delayed" => include_str!("fixtures/postfix_delayed.eml"),
        "exim_report" => include_str!("fixtures/exim_report.eml"),
        "exim_prose" => include_str!("fixtures/exim_prose.eml"),
        "exchange" => include_str!("fixtures/exchange.eml"),
        "delivered" => include_str!("fixtures/delivered.eml"),
        "complaint" => include_str!("fixtures/complaint.eml"),
        "reply" => include_str!("fixtures/reply.eml"),
        "out_of_office" => include_str!("fixtures/out_of_office.eml"),
        other => panic!("no fixture {other}"),
    };
    text.replace("{path}", PATH).replace("{id}", ID)
}

const ALL: [&str; 10] = [
    "postfix_unknown_user",
    "postfix_headers_only",
    "postfix_delayed",
    "exim_report",
    "exim_prose",
    "exchange",
    "delivered",
    "complaint",
    "reply",
    "out_of_office",
];

fn read_mail(mail: &[u8]) -> Option<Feedback> {
    let mut read = MailReports.read(mail).unwrap();
    assert!(read.len() <= 1);
    read.pop()
}

fn bounced(class: BounceClass, status: &str) -> FeedbackKind {
    FeedbackKind::Bounced(Bounce { class, status: EnhancedStatus::parse(status) })
}

#[test]
fn the_reports_of_common_servers_are_understood() {
    for (name, expected) in [
        ("postfix_unknown_user", Some(bounced(BounceClass::Hard, "5.1.1"))),
        ("postfix_headers_only", Some(bounced(BounceClass::Soft, "4.4.7"))),
        ("postfix_delayed", None),
        ("exim_report", Some(bounced(BounceClass::Hard, "5.2.1"))),
        ("exim_prose", Some(bounced(BounceClass::Hard, ""))),
        ("exchange", Some(bounced(BounceClass::Soft, "5.2.2"))),
        ("delivered", Some(FeedbackKind::Delivered)),
        ("complaint", Some(FeedbackKind::Complained)),
        ("reply", Some(FeedbackKind::Replied { by_program: false })),
        ("out_of_office", Some(FeedbackKind::Replied { by_program: true })),
    ] {
        for mail in [fixture(name), fixture(name).replace('\n', "\r\n"), format!("From x@y Tue\n{}", fixture(name))] {
            assert_eq!(read_mail(mail.as_bytes()).map(|feedback| feedback.kind), expected, "{name}");
        }
    }
}

#[test]
fn the_mail_is_found_by_where_the_report_went_and_by_what_it_returns() {
    for (name, by_path, by_id) in [
        ("postfix_unknown_user", true, true),
        ("postfix_headers_only", false, true),
        ("exim_report", true, true),
        ("exim_prose", true, false),
        ("exchange", true, true),
        ("delivered", true, false),
        ("complaint", true, true),
        ("reply", false, true),
    ] {
        let names = read_mail(fixture(name).as_bytes()).unwrap().mail;
        assert_eq!(names.contains(&MailName::ReturnPath(PATH.to_owned())), by_path, "{name}: {names:?}");
        assert_eq!(names.contains(&MailName::MessageId(ID.to_owned())), by_id, "{name}: {names:?}");
    }
}

#[test]
fn what_programs_answer_is_told_from_what_a_person_wrote() {
    let reply = fixture("reply");
    let kind = |mail: &str| read_mail(mail.as_bytes()).map(|feedback| feedback.kind);
    for mark in
        ["Auto-Submitted: auto-generated (vacation)", "Precedence: auto_reply", "X-Autoreply: yes", "Return-Path: <>"]
    {
        let marked = format!("{mark}\n{reply}");
        assert_eq!(kind(&marked), Some(FeedbackKind::Replied { by_program: true }), "{mark}");
    }
    assert_eq!(kind(&format!("Auto-Submitted: no\n{reply}")), Some(FeedbackKind::Replied { by_program: false }));
    let read_notice = "multipart/report; report-type=disposition-notification; boundary=x";
    for nobodys in [
        format!("List-Id: <list.example.org>\n{reply}"),
        reply.replace("From: Ada <ada@example.org>", "From: MAILER-DAEMON@example.org"),
        reply.replace("text/plain; charset=utf-8", read_notice),
    ] {
        assert_eq!(kind(&nobodys), None, "{nobodys}");
    }
}

#[test]
fn a_report_about_somebody_elses_mail_inside_a_mail_is_not_taken_for_one_about_ours() {
    let carried = fixture("postfix_unknown_user").replace(PATH, "other").replace(ID, "other");
    let mail = format!(
        "From: ada@example.org\nTo: news@example.com\nIn-Reply-To: <{ID}@example.com>\nMIME-Version: 1.0\n\
         Content-Type: multipart/mixed; boundary=outer\n\n--outer\nContent-Type: text/plain\n\nLook what I got.\n\
         --outer\nContent-Type: message/rfc822\n\n{carried}\n--outer--\n"
    );
    assert_eq!(
        read_mail(mail.as_bytes()).map(|feedback| feedback.kind),
        Some(FeedbackKind::Replied { by_program: false })
    );
}

#[test]
fn a_complaint_that_is_none_is_passed_over() {
    for kind in ["not-spam", "auth-failure", "virus", "miscategorized", ""] {
        let mail = fixture("complaint").replace("Feedback-Type: abuse", &format!("Feedback-Type: {kind}"));
        assert_eq!(read_mail(mail.as_bytes()), None, "{kind}");
    }
}

#[test]
fn a_broken_report_is_read_as_far_as_it_goes() {
    let whole = fixture("postfix_unknown_user");
    let hard = Some(bounced(BounceClass::Hard, "5.1.1"));
    let kind = |mail: &str| read_mail(mail.as_bytes()).map(|feedback| feedback.kind);
    // Cut off after the fields that matter, in the middle of the mail it returns, without its last boundary.
    let fields_end = whole.find("Remote-MTA").unwrap();
    assert_eq!(kind(&whole[..fields_end]), hard);
    assert_eq!(kind(&whole[..whole.find("Hello Ada").unwrap()]), hard);
    // The type of the report is not named, or wrongly.
    assert_eq!(kind(&whole.replace("multipart/report; report-type=delivery-status", "multipart/mixed")), hard);
    // A server that leaves the action out, and one that says nothing of use.
    assert_eq!(kind(&whole.replace("Action: failed\n", "")), hard);
    let mute = whole.replace("Status: 5.1.1\n", "").replace("Diagnostic-Code: smtp; 550 5.1.1 <ada", "X: <ada");
    assert_eq!(kind(&mute), Some(bounced(BounceClass::Soft, "")));
    // No boundary at all: one text, and nothing to hold on to.
    assert_eq!(kind(&whole.replace("boundary=", "bound=")), None);
}

#[test]
fn what_is_no_mail_reports_nothing() {
    for bytes in [&b""[..], b"\0\0\0", b"From ", b"From x\n", b"\n\n\n", b"no header here", &[0xff; 4096]] {
        assert_eq!(MailReports.read(bytes), Ok(Vec::new()));
    }
    let nested = (0..2000).map(|at| format!("Content-Type: multipart/mixed; boundary=b{at}\n\n--b{at}\n"));
    assert_eq!(MailReports.read(nested.collect::<String>().as_bytes()), Ok(Vec::new()));
    let carried = "Content-Type: message/rfc822\n\n".repeat(5000);
    assert_eq!(MailReports.read(carried.as_bytes()).map(|read| read.len() <= 1), Ok(true));
}

fn problems(body: &str) -> Vec<String> {
    match JsonEvents.read(body.as_bytes()) {
        Err(Unreadable::Invalid(problems)) => {
            problems.0.iter().map(|problem| format!("{} {}", problem.pointer, problem.code)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn events_are_read_in_their_order() {
    let body = r#"{"events": [
        {"type": "delivered", "messageId": "<a@example.com>", "occurredAt": "2026-03-03T11:00:00+01:00"},
        {"type": "bounced", "returnPath": "b@bounces.example.com", "status": "5.1.1"},
        {"type": "bounced", "messageId": "c", "bounceClass": "blocked", "diagnostic": "550 5.7.26 no"},
        {"type": "complained", "messageId": "d", "status": null},
        {"type": "replied", "messageId": "e"}]}"#;
    let read = JsonEvents.read(body.as_bytes()).unwrap();
    let kinds: Vec<_> = read.iter().map(|feedback| feedback.kind).collect();
    assert_eq!(
        kinds,
        [
            FeedbackKind::Delivered,
            bounced(BounceClass::Hard, "5.1.1"),
            bounced(BounceClass::Blocked, "5.7.26"),
            FeedbackKind::Complained,
            FeedbackKind::Replied { by_program: false },
        ]
    );
    assert_eq!(read[0].occurred_at.unwrap().to_rfc3339(), "2026-03-03T10:00:00+00:00");
    assert_eq!(read[0].mail, [MailName::MessageId("a".to_owned())]);
    assert_eq!(read[1].mail, [MailName::ReturnPath("b".to_owned())]);
}

#[test]
fn everything_wrong_with_events_is_named_at_once() {
    let body = r#"{"event": 1, "events": [
        {"type": "opened", "messageId": "a"},
        {"type": "bounced", "status": "5.1", "bounceClass": "firm", "occurredAt": "yesterday"},
        {"type": "delivered", "messageId": 7, "status": "5.1.1", "recipient": "ada@example.org"},
        "bounced", {}]}"#;
    assert_eq!(
        problems(body),
        [
            "/event unknown_field",
            "/events/0/type unknown_value",
            "/events/1/status invalid_status",
            "/events/1/bounceClass unknown_value",
            "/events/1/messageId required",
            "/events/1/occurredAt invalid_instant",
            "/events/2/recipient unknown_field",
            "/events/2/status not_allowed",
            "/events/2/messageId wrong_type",
            "/events/3 wrong_type",
            "/events/4/type required",
            "/events/4/messageId required",
        ]
    );
    assert_eq!(problems("[]"), [" wrong_type"]);
    assert_eq!(problems("{}"), ["/events required"]);
    assert_eq!(problems(r#"{"events": []}"#), ["/events out_of_range"]);
    let many = format!(r#"{{"events": [{}]}}"#, vec![r#"{"type":"replied","messageId":"a"}"#; 101].join(","));
    assert_eq!(problems(&many), ["/events out_of_range"]);
    assert!(matches!(JsonEvents.read(b"{"), Err(Unreadable::Malformed(_))));
    assert!(matches!(JsonEvents.read(&b"[".repeat(100_000)), Err(Unreadable::Malformed(_))));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        prop_assert!(MailReports.read(&bytes).is_ok());
        let _ = JsonEvents.read(&bytes);
    }

    /// A report cut, changed and put together anew, as no server ever wrote it.
    #[test]
    fn a_mangled_report_is_read_without_a_panic(
        name in prop::sample::select(&ALL[..]),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let mut mail = fixture(name).into_bytes();
        for (from, to, byte) in cuts {
            let (from, to) = (from.index(mail.len()), to.index(mail.len()));
            if byte % 3 == 0 {
                mail[from] = byte;
            } else {
                let piece = mail[from.min(to)..from.max(to).min(from.min(to) + 200)].to_vec();
                if byte % 3 == 1 {
                    mail.splice(to..to, piece);
                } else {
                    mail.drain(from.min(to)..from.min(to) + piece.len());
                }
            }
            if mail.is_empty() {
                break;
            }
        }
        prop_assert!(MailReports.read(&mail).is_ok());
    }

    #[test]
    fn lines_of_headers_and_boundaries_in_any_order_are_read_without_a_panic(
        lines in prop::collection::vec(prop::sample::select(vec![
            "Content-Type: multipart/report; boundary=b", "Content-Type: message/rfc822", "Content-Type: text/plain",
            "Content-Type: message/delivery-status", "Content-Transfer-Encoding: base64", "--b", "--b--", "", "\t", " x",
            "Action: failed", "Status: 5.1.1", "To: <a@b>", "Message-ID: <a@b>", "X-Failed-Recipients: a@b", ":", "=", "\u{0}",
        ]), 0..40),
        end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
    ) {
        prop_assert!(MailReports.read(lines.join(end).as_bytes()).is_ok());
    }
}
