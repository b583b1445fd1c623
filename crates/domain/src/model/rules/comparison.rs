//! One comparison, read into types: what is asked of which field.

use super::{Did, Engaged, MAX_LIST, MAX_TEXT, Op};
use crate::model::contact::edit::check_custom_name;
use crate::model::contact::{FieldValue, TEXT_FIELDS};
use crate::model::problem::FieldProblems;
use serde_json::Value;

/// Text as it is compared: in lower case, letter for letter, the final sigma like any other.
///
/// The database's `muster_fold` does the same; a differential test holds the two together.
pub fn fold(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            'İ' => 'i',
            'Σ' | 'ς' => 'σ',
            other => other.to_lowercase().next().unwrap_or(other),
        })
        .collect()
}

/// The number that a text says, by the same rule as for a custom field's text.
fn reads_as_number(text: &str) -> Option<f64> {
    FieldValue::Text(text.to_owned()).as_number()
}

/// Which field is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// One of [`TEXT_FIELDS`].
    Text(&'static str),
    /// The tags.
    Tags,
    /// The lead score.
    LeadScore,
    /// The custom field of that name.
    Custom(String),
    /// What the contact did.
    Did(Did),
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// Text, folded; for tags in lower case.
    Text(String),
    /// A number; never for text fields and tags.
    Number(f64),
}

/// A direction of ordering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Than {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// What is asked of the field.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Equals one of these. A list never holds numbers beside text unless the field is a custom one.
    OneOf(Vec<Scalar>),
    /// Equals none of these, or is absent.
    NoneOf(Vec<Scalar>),
    /// Comes before or after this.
    Order(Than, Scalar),
    /// Has this within; for tags, is among them.
    Contains(String),
    /// Begins with this.
    StartsWith(String),
    /// Is there, or is not.
    Exists(bool),
    /// Did this, or did not.
    Engaged(Engaged, bool),
}

/// One comparison, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Of which field.
    pub subject: Subject,
    /// What is asked.
    pub test: Test,
}

impl Comparison {
    /// Reads and checks a comparison; pointers are `/field`, `/op`, `/value` and `/value/<n>`.
    pub fn read(field: &str, op: Op, value: &Value) -> Result<Self, FieldProblems> {
        let subject = Subject::read(field)?;
        if let Subject::Did(did) = subject {
            let (question, yes) = Engaged::read(did, op, value)?;
            return Ok(Self { subject, test: Test::Engaged(question, yes) });
        }
        if !subject.allows(op) {
            let detail = format!("{} does not work on this field; it takes {}", op.as_str(), subject.operators());
            return Err(FieldProblems::one("/op", "op_not_allowed", detail));
        }
        let test = match op {
            Op::Eq => Test::OneOf(vec![subject.scalar("/value", value)?]),
            Op::Ne => Test::NoneOf(vec![subject.scalar("/value", value)?]),
            Op::In => Test::OneOf(subject.list(value)?),
            Op::Lt => Test::Order(Than::Less, subject.ordered(value)?),
            Op::Lte => Test::Order(Than::AtMost, subject.ordered(value)?),
            Op::Gt => Test::Order(Than::Greater, subject.ordered(value)?),
            Op::Gte => Test::Order(Than::AtLeast, subject.ordered(value)?),
            Op::Contains => Test::Contains(subject.text(value)?),
            Op::StartsWith => Test::StartsWith(subject.text(value)?),
            Op::Exists => Test::Exists(
                value
                    .as_bool()
                    .ok_or_else(|| FieldProblems::one("/value", "invalid_type", "exists takes true or false"))?,
            ),
        };
        Ok(Self { subject, test })
    }
}

impl Subject {
    /// The field of that name.
    pub fn read(field: &str) -> Result<Self, FieldProblems> {
        if let Some(name) = TEXT_FIELDS.into_iter().find(|name| *name == field) {
            return Ok(Subject::Text(name));
        }
        if let Some(did) = Did::parse(field) {
            return Ok(Subject::Did(did));
        }
        match field {
            "tags" => Ok(Subject::Tags),
            "leadScore" => Ok(Subject::LeadScore),
            _ => match field.strip_prefix("customFields.") {
                Some(name) if check_custom_name(name).is_ok() => Ok(Subject::Custom(name.to_owned())),
                _ => Err(FieldProblems::one(
                    "/field",
                    "unknown_field",
                    format!(
                        "a field is one of {}, tags, leadScore or customFields.<name>, opened, clicked, replied, received",
                        TEXT_FIELDS.join(", ")
                    ),
                )),
            },
        }
    }

    fn allows(&self, op: Op) -> bool {
        match op {
            Op::Eq | Op::Ne | Op::In => true,
            Op::Lt | Op::Lte | Op::Gt | Op::Gte => matches!(self, Subject::LeadScore | Subject::Custom(_)),
            Op::Contains | Op::StartsWith | Op::Exists => !matches!(self, Subject::LeadScore),
        }
    }

    fn operators(&self) -> String {
        Op::ALL.into_iter().filter(|op| self.allows(*op)).map(Op::as_str).collect::<Vec<_>>().join(", ")
    }

    fn scalar(&self, pointer: &str, value: &Value) -> Result<Scalar, FieldProblems> {
        let refused = |detail| Err(FieldProblems::one(pointer, "invalid_type", detail));
        match (self, value) {
            (Subject::LeadScore | Subject::Custom(_), Value::Number(number)) => match number.as_f64() {
                Some(number) => Ok(Scalar::Number(number)),
                None => refused("a number within the range of a double"),
            },
            (Subject::Custom(_), Value::Bool(flag)) => Ok(Scalar::Text(flag.to_string())),
            (Subject::Text(_) | Subject::Tags | Subject::Custom(_), Value::String(text)) => {
                storable(pointer, text)?;
                Ok(Scalar::Text(self.key(text)))
            }
            (Subject::Did(_), _) => refused("this field compares with what was done"),
            (Subject::LeadScore, _) => refused("leadScore compares with a number"),
            (Subject::Custom(_), _) => refused("a custom field compares with text, a number or a boolean"),
            (Subject::Text(_) | Subject::Tags, _) => refused("this field compares with text"),
        }
    }

    /// Tags are stored in lower case, everything else as it was written.
    fn key(&self, text: &str) -> String {
        match self {
            Subject::Tags => text.to_lowercase(),
            _ => fold(text),
        }
    }

    fn list(&self, value: &Value) -> Result<Vec<Scalar>, FieldProblems> {
        let Value::Array(items) = value else {
            return Err(FieldProblems::one("/value", "invalid_type", "in takes a list"));
        };
        if items.is_empty() {
            return Err(FieldProblems::one("/value", "required", "in takes a list of at least one"));
        }
        if items.len() > MAX_LIST {
            return Err(FieldProblems::one("/value", "too_long", format!("a list has at most {MAX_LIST} entries")));
        }
        let mut problems = FieldProblems::default();
        let scalars = items
            .iter()
            .enumerate()
            .filter_map(|(n, item)| problems.keep("", self.scalar(&format!("/value/{n}"), item)))
            .collect();
        problems.into_result().map(|()| scalars)
    }

    fn ordered(&self, value: &Value) -> Result<Scalar, FieldProblems> {
        match value {
            Value::Bool(_) => {
                Err(FieldProblems::one("/value", "invalid_type", "yes and no have no order; use eq or ne"))
            }
            Value::String(text) if matches!(self, Subject::Custom(_)) => {
                storable("/value", text)?;
                Ok(reads_as_number(text).map_or_else(|| Scalar::Text(self.key(text)), Scalar::Number))
            }
            _ => self.scalar("/value", value),
        }
    }

    fn text(&self, value: &Value) -> Result<String, FieldProblems> {
        match value {
            Value::String(text) => storable("/value", text).map(|()| self.key(text)),
            _ => Err(FieldProblems::one("/value", "invalid_type", "this operator takes text")),
        }
    }
}

/// Whether the database can hold `text`, and an index its like.
fn storable(pointer: &str, text: &str) -> Result<(), FieldProblems> {
    if text.contains('\0') {
        return Err(FieldProblems::one(pointer, "invalid_character", "text cannot contain the character U+0000"));
    }
    if text.chars().count() > MAX_TEXT {
        return Err(FieldProblems::one(pointer, "too_long", format!("at most {MAX_TEXT} characters")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_maps_one_letter_to_one() {
        assert_eq!(fold("İSTANBUL ΣΑΣ Σας MÜNCHEN ЖУК"), "istanbul σασ σασ münchen жук");
        for letter in char::MIN..=char::MAX {
            assert_eq!(fold(&letter.to_string()).chars().count(), 1, "U+{:04X}", u32::from(letter));
        }
    }

    #[test]
    fn folding_twice_is_folding_once() {
        for letter in char::MIN..=char::MAX {
            let once = fold(&letter.to_string());
            assert_eq!(fold(&once), once, "U+{:04X}", u32::from(letter));
        }
    }
}
