//! Events as JSON: the form for whoever writes the sending side.

use chrono::{DateTime, Utc};
use muster_domain::model::bounce::{BounceClass, EnhancedStatus};
use muster_domain::model::feedback::{Bounce, Feedback, FeedbackKind, MailName};
use muster_domain::model::problem::FieldProblems;
use muster_domain::ports::feedback::{FeedbackFormat, Unreadable};
use serde_json::{Map, Value};

/// One report brings no more events.
const EVENTS_AT_MOST: usize = 100;
/// No name and no text is longer, in characters.
const TEXT_AT_MOST: usize = 1000;

/// What is known of an event.
const MEMBERS: [&str; 7] = ["type", "messageId", "returnPath", "occurredAt", "bounceClass", "status", "diagnostic"];

/// `{"events": [{"type": "bounced", "messageId": "<…>", …}]}`.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsonEvents;

impl FeedbackFormat for JsonEvents {
    fn provider(&self) -> &'static str {
        "json"
    }

    fn media_type(&self) -> &'static str {
        "application/json"
    }

    fn read(&self, body: &[u8]) -> Result<Vec<Feedback>, Unreadable> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| Unreadable::Malformed(format!("line {}, column {}", error.line(), error.column())))?;
        let mut problems = FieldProblems::default();
        let events = read_events(&body, &mut problems);
        problems.into_result().map_err(Unreadable::Invalid)?;
        Ok(events)
    }
}

fn read_events(body: &Value, problems: &mut FieldProblems) -> Vec<Feedback> {
    let Some(body) = body.as_object() else {
        problems.add("", "wrong_type", "must be an object");
        return Vec::new();
    };
    refuse_unknown(body, &["events"], "", problems);
    let Some(events) = body.get("events").and_then(Value::as_array) else {
        problems.add("/events", "required", "must be a list of events");
        return Vec::new();
    };
    if events.is_empty() || events.len() > EVENTS_AT_MOST {
        problems.add("/events", "out_of_range", format!("must have 1 to {EVENTS_AT_MOST} events"));
        return Vec::new();
    }
    let mut read = |at: usize, event: &Value| {
        let pointer = format!("/events/{at}");
        let Some(event) = event.as_object() else {
            problems.add(pointer, "wrong_type", "must be an object");
            return None;
        };
        Reader { event, pointer, problems: &mut *problems }.read()
    };
    events.iter().enumerate().filter_map(|(at, event)| read(at, event)).collect()
}

fn refuse_unknown(object: &Map<String, Value>, known: &[&str], pointer: &str, problems: &mut FieldProblems) {
    for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
        let name = name.replace('~', "~0").replace('/', "~1");
        problems.add(format!("{pointer}/{name}"), "unknown_field", "is not known here");
    }
}

/// Reads one event and notes all that is wrong with it.
struct Reader<'a> {
    event: &'a Map<String, Value>,
    pointer: String,
    problems: &'a mut FieldProblems,
}

impl<'a> Reader<'a> {
    fn read(mut self) -> Option<Feedback> {
        refuse_unknown(self.event, &MEMBERS, &self.pointer, self.problems);
        let kind = self.kind();
        let mail = self.mail();
        let occurred_at = self.occurred_at();
        kind.map(|kind| Feedback { kind, mail, occurred_at })
    }

    fn kind(&mut self) -> Option<FeedbackKind> {
        let bounce = self.bounce();
        let kind = match self.text("type")? {
            "delivered" => FeedbackKind::Delivered,
            "bounced" => return Some(FeedbackKind::Bounced(bounce)),
            "complained" => FeedbackKind::Complained,
            "replied" => FeedbackKind::Replied { by_program: false },
            _ => {
                self.refuse("type", "unknown_value", "must be one of: delivered, bounced, complained, replied");
                return None;
            }
        };
        for name in ["bounceClass", "status", "diagnostic"] {
            if self.event.get(name).is_some_and(|value| !value.is_null()) {
                self.refuse(name, "not_allowed", "belongs to a bounce");
            }
        }
        Some(kind)
    }

    fn bounce(&mut self) -> Bounce {
        let status = self.optional("status").and_then(|text| {
            let status = EnhancedStatus::parse(text);
            if status.is_none() {
                self.refuse("status", "invalid_status", "must be an enhanced status code such as 5.1.1");
            }
            status
        });
        let said = self.optional("diagnostic");
        let class = self.optional("bounceClass").and_then(|text| {
            let class = BounceClass::parse(text);
            if class.is_none() {
                self.refuse("bounceClass", "unknown_value", "must be one of: hard, soft, blocked");
            }
            class
        });
        let status = status.or_else(|| said.and_then(EnhancedStatus::find));
        Bounce { class: class.unwrap_or_else(|| BounceClass::of(status, said)), status }
    }

    fn mail(&mut self) -> Vec<MailName> {
        let path = self.optional("returnPath").map(MailName::return_path);
        let id = self.optional("messageId").map(MailName::message_id);
        if ["returnPath", "messageId"].iter().all(|name| self.event.get(*name).is_none_or(Value::is_null)) {
            self.refuse("messageId", "required", "name the mail by its messageId or its returnPath");
        }
        path.into_iter().chain(id).collect()
    }

    fn occurred_at(&mut self) -> Option<DateTime<Utc>> {
        let text = self.optional("occurredAt")?;
        let at = DateTime::parse_from_rfc3339(text).ok();
        if at.is_none() {
            self.refuse(
                "occurredAt",
                "invalid_instant",
                "must be an instant of RFC 3339, such as 2026-01-31T09:00:00Z",
            );
        }
        at.map(|at| at.to_utc())
    }

    fn text(&mut self, name: &str) -> Option<&'a str> {
        if self.event.get(name).is_none_or(Value::is_null) {
            self.refuse(name, "required", "is needed");
            return None;
        }
        self.optional(name)
    }

    /// `None` when it is absent, null, or noted as wrong.
    fn optional(&mut self, name: &str) -> Option<&'a str> {
        let value = self.event.get(name).filter(|value| !value.is_null())?;
        match value.as_str() {
            None => self.refuse(name, "wrong_type", "must be a text"),
            Some(text) if text.chars().count() > TEXT_AT_MOST => {
                self.refuse(name, "too_long", &format!("at most {TEXT_AT_MOST} characters"));
            }
            Some(text) => return Some(text),
        }
        None
    }

    fn refuse(&mut self, name: &str, code: &str, detail: &str) {
        self.problems.add(format!("{}/{name}", self.pointer), code, detail);
    }
}
