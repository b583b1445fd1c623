//! One value of a request: reading it as what it must be, and noting what is wrong with it.

use super::fields::Fields;
use chrono::{DateTime, NaiveDate, Utc};
use muster_domain::model::problem::FieldProblems;
use muster_domain::model::text::is_unprintable;
use serde_json::Value;
use std::cell::RefCell;
use std::ops::RangeInclusive;
use uuid::Uuid;
use validator::{ValidateLength, ValidateRange};

/// A value and where it stands. Each reading method gives `None` after it has noted what is wrong, so that the
/// other fields are still read and all that is wrong is told at once.
pub struct Item<'a> {
    pub(super) value: Value,
    pub(super) at: String,
    pub(super) problems: &'a RefCell<FieldProblems>,
    /// Query parameters are always text; numbers and booleans are read from it.
    pub(super) from_query: bool,
}

impl<'a> Item<'a> {
    /// Notes that the value is wrong.
    pub fn refuse<T>(self, code: &str, detail: &str) -> Option<T> {
        self.problems.borrow_mut().add(self.at, code, detail);
        None
    }

    /// A text of so many characters.
    pub fn text(self, length: RangeInclusive<u64>) -> Option<String> {
        let Value::String(text) = &self.value else { return self.refuse("wrong_type", "must be a string") };
        let (min, max) = length.into_inner();
        if !text.validate_length(Some(min), None, None) {
            return self.refuse("too_short", &format!("has at least {min} characters"));
        }
        if !text.validate_length(None, Some(max), None) {
            return self.refuse("too_long", &format!("has at most {max} characters"));
        }
        match self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// A text of so many characters on one line: without what no header can carry, and not blank unless it may be empty.
    pub fn line(self, length: RangeInclusive<u64>) -> Option<String> {
        let blank_allowed = *length.start() == 0;
        if let Value::String(text) = &self.value {
            if text.contains(is_unprintable) {
                return self.refuse(
                    "invalid_characters",
                    "must not contain control characters, line breaks or direction marks",
                );
            }
            if !blank_allowed && !text.is_empty() && text.trim().is_empty() {
                return self.refuse("required", "must not be blank");
            }
        }
        self.text(length)
    }

    /// What a domain type's `parse` makes of a text of at most `max` characters; takes over the problems it names.
    pub fn parsed<T>(self, max: u64, parse: impl FnOnce(&str) -> Result<T, FieldProblems>) -> Option<T> {
        let Value::String(text) = &self.value else { return self.refuse("wrong_type", "must be a string") };
        if !text.validate_length(None, Some(max), None) {
            return self.refuse("too_long", &format!("has at most {max} characters"));
        }
        let result = parse(text);
        self.problems.borrow_mut().keep(&self.at, result)
    }

    /// One of a few names.
    pub fn one_of<T>(self, names: &[&str], parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let Value::String(text) = &self.value else { return self.refuse("wrong_type", "must be a string") };
        match parse(text) {
            Some(value) => Some(value),
            None => self.refuse("unknown_value", &format!("must be one of: {}", names.join(", "))),
        }
    }

    /// A whole number within a range.
    pub fn integer(self, range: RangeInclusive<i64>) -> Option<i64> {
        let number = match &self.value {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) if self.from_query => text.parse().ok(),
            _ => None,
        };
        let (min, max) = range.into_inner();
        match number {
            None => self.refuse("wrong_type", &format!("must be a whole number from {min} to {max}")),
            Some(number) if !number.validate_range(Some(min), Some(max), None, None) => {
                self.refuse("out_of_range", &format!("must be from {min} to {max}"))
            }
            some => some,
        }
    }

    /// A number within a range.
    pub fn number(self, range: RangeInclusive<f64>) -> Option<f64> {
        let number = match &self.value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) if self.from_query => text.parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        };
        let (min, max) = range.into_inner();
        match number {
            None => self.refuse("wrong_type", "must be a number"),
            Some(number) if !number.validate_range(Some(min), Some(max), None, None) => {
                self.refuse("out_of_range", &format!("must be from {min} to {max}"))
            }
            some => some,
        }
    }

    /// True or false.
    pub fn boolean(self) -> Option<bool> {
        match &self.value {
            Value::Bool(value) => Some(*value),
            Value::String(text) if self.from_query && text == "true" => Some(true),
            Value::String(text) if self.from_query && text == "false" => Some(false),
            _ => self.refuse("wrong_type", "must be true or false"),
        }
    }

    /// An id.
    pub fn uuid(self) -> Option<Uuid> {
        match self.value.as_str().filter(|text| text.len() == 36).and_then(|text| Uuid::try_parse(text).ok()) {
            Some(id) => Some(id),
            None => self.refuse("invalid_id", "must be an id (a UUID)"),
        }
    }

    /// An instant with its offset, cut to milliseconds.
    pub fn instant(self) -> Option<DateTime<Utc>> {
        let parsed = self.value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        match parsed.map(|instant| instant.to_utc()).filter(storable) {
            Some(instant) => DateTime::from_timestamp_millis(instant.timestamp_millis()),
            None => self.refuse("invalid_instant", "must be an instant such as 2026-03-29T09:00:00Z (RFC 3339)"),
        }
    }

    /// A day.
    pub fn date(self) -> Option<NaiveDate> {
        // Written back, because the parser also takes signs and single digits; and four digits of a year, no more.
        let strict = |text: &str| {
            let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
            (text.len() == "YYYY-MM-DD".len() && date.to_string() == text).then_some(date)
        };
        match self.value.as_str().and_then(strict) {
            Some(date) => Some(date),
            None => self.refuse("invalid_date", "must be a date such as 2026-03-29"),
        }
    }

    /// Every element of an array of so many, each read by `read`.
    pub fn list<T>(self, count: RangeInclusive<usize>, mut read: impl FnMut(Item<'a>) -> Option<T>) -> Option<Vec<T>> {
        let (min, max) = count.into_inner();
        let Value::Array(elements) = self.value else { return self.refuse("wrong_type", "must be an array") };
        if elements.len() < min || elements.len() > max {
            let code = if elements.len() < min { "too_few_items" } else { "too_many_items" };
            self.problems.borrow_mut().add(self.at, code, format!("has from {min} to {max} elements"));
            return None;
        }
        let mut values = Vec::with_capacity(elements.len());
        let mut whole = true;
        for (index, value) in elements.into_iter().enumerate() {
            let at = format!("{}/{index}", self.at);
            match read(Item { value, at, problems: self.problems, from_query: self.from_query }) {
                Some(value) => values.push(value),
                None => whole = false,
            }
        }
        whole.then_some(values)
    }

    /// An object, read field by field; fields that `read` did not ask for are noted as unknown.
    pub fn object<T>(self, read: impl FnOnce(&mut Fields<'a>) -> Option<T>) -> Option<T> {
        match self.value {
            Value::Object(map) => Fields::new(map, self.at, self.problems, self.from_query).read_all(read),
            _ => self.refuse("wrong_type", "must be an object"),
        }
    }

    /// The value as it is, for what has a reader of its own.
    pub fn raw(self) -> Value {
        self.value
    }

    /// Where it stands, and the value, for what has a reader of its own; problems are noted by the `Fields` around it.
    pub fn parts(self) -> (Value, String) {
        (self.value, self.at)
    }
}

/// A float that is a whole number, such as `1e3`.
#[expect(clippy::cast_possible_truncation, reason = "checked: whole and within the exact range")]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0).then_some(number as i64)
}

/// What both PostgreSQL and RFC 3339 can write.
fn storable(instant: &DateTime<Utc>) -> bool {
    (0..=253_402_300_799).contains(&instant.timestamp())
}
