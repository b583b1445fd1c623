//! The fields of a JSON object, or of a query string, taken one by one until none is left.
//!
//! Deserializing stops at the first error; callers want all of them. So a request is read field by field: each read
//! gives a value or notes a problem, and what nobody asked for is an unknown field. A new endpoint cannot forget that.
//!
//! ```
//! # use muster_api::extract::{Fields, FromFields};
//! struct Rename { name: String, note: Option<String> }
//!
//! impl FromFields for Rename {
//!     fn read(fields: &mut Fields<'_>) -> Option<Self> {
//!         // Read everything first, and only then use `?`: that is what names all bad fields at once.
//!         let name = fields.required("name", |value| value.line(1..=200));
//!         let note = fields.optional("note", |value| value.text(0..=2000));
//!         Some(Self { name: name?, note: note? })
//!     }
//! }
//! ```

use super::item::Item;
use muster_domain::model::problem::FieldProblems;
use serde_json::{Map, Value};
use std::cell::RefCell;

/// Something that is read from fields: a request body or query parameters.
pub trait FromFields: Sized {
    /// Whether an empty body stands for `{}`: true for actions, whose fields are all optional.
    const MAY_BE_EMPTY: bool = false;

    /// Takes the fields. `None` when a problem was noted.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;
}

/// A body with no fields at all: `{}`, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nothing;

impl FromFields for Nothing {
    const MAY_BE_EMPTY: bool = true;

    fn read(_: &mut Fields<'_>) -> Option<Self> {
        Some(Self)
    }
}

/// What a PATCH says about a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<T> {
    /// Not mentioned: stays.
    Keep,
    /// `null`: goes back to nothing.
    Clear,
    /// The new value.
    Set(T),
}

impl<T> Change<T> {
    /// The value after the change.
    pub fn apply(self, current: Option<T>) -> Option<T> {
        match self {
            Change::Keep => current,
            Change::Clear => None,
            Change::Set(value) => Some(value),
        }
    }

    /// `None` to keep, `Some(None)` to clear, `Some(Some(value))` to set.
    pub fn into_option(self) -> Option<Option<T>> {
        match self {
            Change::Keep => None,
            Change::Clear => Some(None),
            Change::Set(value) => Some(Some(value)),
        }
    }
}

/// The fields that were not read yet. All parts of one request note their problems in one place.
pub struct Fields<'a> {
    left: Map<String, Value>,
    at: String,
    problems: &'a RefCell<FieldProblems>,
    from_query: bool,
}

impl<'a> Fields<'a> {
    /// The fields of the object at `at`.
    pub(super) fn new(
        map: Map<String, Value>,
        at: String,
        problems: &'a RefCell<FieldProblems>,
        from_query: bool,
    ) -> Self {
        Self { left: map, at, problems, from_query }
    }

    /// Reads everything: what `read` leaves over is noted as unknown.
    pub(super) fn read_all<T>(mut self, read: impl FnOnce(&mut Fields<'a>) -> Option<T>) -> Option<T> {
        let before = self.problems.borrow().0.len();
        let value = read(&mut self);
        for name in self.left.keys() {
            self.problems.borrow_mut().add(
                format!("{}/{}", self.at, escaped(name)),
                "unknown_field",
                "is not known here",
            );
        }
        // A problem that a reader noted while it still gave a value counts all the same.
        if self.problems.borrow().0.len() == before { value } else { None }
    }

    /// A field that must be there and not be null.
    pub fn required<T>(&mut self, name: &str, read: impl FnOnce(Item<'a>) -> Option<T>) -> Option<T> {
        match self.left.remove(name) {
            Some(Value::Null) | None => {
                self.refuse(name, "required", "is required");
                None
            }
            Some(value) => read(self.item(name, value)),
        }
    }

    /// A field that may be absent or null: `Some(None)` then, `None` when it is there and wrong.
    pub fn optional<T>(&mut self, name: &str, read: impl FnOnce(Item<'a>) -> Option<T>) -> Option<Option<T>> {
        match self.left.remove(name) {
            Some(Value::Null) | None => Some(None),
            Some(value) => read(self.item(name, value)).map(Some),
        }
    }

    /// A field that stands for `default` when it is absent or null.
    pub fn or<T>(&mut self, name: &str, default: T, read: impl FnOnce(Item<'a>) -> Option<T>) -> Option<T> {
        self.optional(name, read).map(|value| value.unwrap_or(default))
    }

    /// A field of a PATCH that can be taken away.
    pub fn change<T>(&mut self, name: &str, read: impl FnOnce(Item<'a>) -> Option<T>) -> Option<Change<T>> {
        match self.left.remove(name) {
            None => Some(Change::Keep),
            Some(Value::Null) => Some(Change::Clear),
            Some(value) => read(self.item(name, value)).map(Change::Set),
        }
    }

    /// A field of a PATCH that can be changed, not taken away: null is refused.
    pub fn replace<T>(&mut self, name: &str, read: impl FnOnce(Item<'a>) -> Option<T>) -> Option<Option<T>> {
        if self.has(name) { self.required(name, read).map(Some) } else { Some(None) }
    }

    /// Whether a field is there and was not read yet; null counts.
    pub fn has(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    /// Every field that is left, by name, each read by `read`: for maps whose names the caller chooses.
    pub fn rest<T>(&mut self, mut read: impl FnMut(&str, Item<'a>) -> Option<T>) -> Option<Vec<(String, T)>> {
        let mut values = Vec::new();
        let mut whole = true;
        for (name, value) in std::mem::take(&mut self.left) {
            match read(&name, self.item(&name, value)) {
                Some(value) => values.push((name, value)),
                None => whole = false,
            }
        }
        whole.then_some(values)
    }

    /// Notes a problem with a field, for rules that span several.
    pub fn refuse(&mut self, name: &str, code: &str, detail: &str) {
        self.problems.borrow_mut().add(format!("{}/{}", self.at, escaped(name)), code, detail);
    }

    /// Takes over problems that were noted elsewhere, their pointers below this object.
    pub fn refuse_all(&mut self, problems: FieldProblems) {
        self.problems.borrow_mut().extend_under(&self.at, problems);
    }

    fn item(&self, name: &str, value: Value) -> Item<'a> {
        let at = format!("{}/{}", self.at, escaped(name));
        Item { value, at, problems: self.problems, from_query: self.from_query }
    }
}

/// A name as a JSON pointer writes it (RFC 6901 section 3).
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Reads a whole value: an object of fields.
pub(super) fn read_object<T: FromFields>(
    value: Value,
    problems: FieldProblems,
    from_query: bool,
) -> Result<T, FieldProblems> {
    let noted = RefCell::new(problems);
    let read = Item { value, at: String::new(), problems: &noted, from_query }.object(T::read);
    let problems = noted.into_inner();
    match read {
        Some(value) if problems.0.is_empty() => Ok(value),
        _ if problems.0.is_empty() => Err(FieldProblems::one("", "invalid", "could not be read")),
        _ => Err(problems),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Reads `value` and gives what was read, or the problems as `pointer code`.
    fn read<T>(
        value: Value,
        from_query: bool,
        read: impl FnOnce(&mut Fields<'_>) -> Option<T>,
    ) -> Result<T, Vec<String>> {
        let noted = RefCell::default();
        let item = Item { value, at: String::new(), problems: &noted, from_query };
        let read = item.object(read);
        let problems: Vec<_> = noted.into_inner().0.iter().map(|p| format!("{} {}", p.pointer, p.code)).collect();
        if problems.is_empty() { Ok(read.expect("no problem, so a value")) } else { Err(problems) }
    }

    #[test]
    fn a_patch_tells_absence_from_null() {
        let change = |body| read(body, false, |fields| fields.change("note", |value| value.text(1..=5)));
        assert_eq!(change(json!({})), Ok(Change::Keep));
        assert_eq!(change(json!({ "note": null })), Ok(Change::Clear));
        assert_eq!(change(json!({ "note": "new" })), Ok(Change::Set("new".to_owned())));
        let replace = |body| read(body, false, |fields| fields.replace("name", |value| value.text(1..=5)));
        assert_eq!(replace(json!({})), Ok(None));
        assert_eq!(replace(json!({ "name": null })), Err(vec!["/name required".to_owned()]));
    }

    #[test]
    fn a_default_stands_for_absence_and_null_and_not_for_a_wrong_value() {
        let limit = |body| read(body, false, |fields| fields.or("limit", 20, |value| value.integer(1..=100)));
        assert_eq!(limit(json!({})), Ok(20));
        assert_eq!(limit(json!({ "limit": null })), Ok(20));
        assert_eq!(limit(json!({ "limit": 5 })), Ok(5));
        assert_eq!(limit(json!({ "limit": 0 })), Err(vec!["/limit out_of_range".to_owned()]));
    }

    #[test]
    fn every_problem_at_every_depth_is_named_where_it_stands() {
        let body = json!({ "steps": [{ "name": 1, "x/y": 0 }, "no object", { "name": "fits" }], "more~": 1 });
        let problems = read(body, false, |fields| {
            fields.required("steps", |list| {
                list.list(1..=5, |step| step.object(|step| step.required("name", |n| n.text(1..=9))))
            })
        });
        let expected =
            ["/steps/0/name wrong_type", "/steps/0/x~1y unknown_field", "/steps/1 wrong_type", "/more~0 unknown_field"];
        assert_eq!(problems.unwrap_err(), expected);
    }

    #[test]
    fn numbers_and_booleans_are_read_from_text_in_a_query_only() {
        let both = |fields: &mut Fields<'_>| {
            let (count, yes) = (fields.required("count", |v| v.integer(1..=9)), fields.required("yes", Item::boolean));
            Some((count?, yes?))
        };
        assert_eq!(read(json!({ "count": "7", "yes": "true" }), true, both), Ok((7, true)));
        let refused = read(json!({ "count": "7", "yes": "true" }), false, both);
        assert_eq!(refused.unwrap_err(), ["/count wrong_type", "/yes wrong_type"]);
        assert_eq!(
            read(json!({ "count": 7.0, "yes": false }), false, both),
            Ok((7, false)),
            "a whole number either way"
        );
    }

    #[test]
    fn names_that_callers_choose_are_read_one_by_one() {
        let body = json!({ "a": "x", "b": 2 });
        let rest = read(body, false, |fields| fields.rest(|_, value| value.text(1..=5)));
        assert_eq!(rest.unwrap_err(), ["/b wrong_type"]);
    }

    #[test]
    fn instants_dates_and_ids_have_one_form_each() {
        let ok = |name: &str, value: Value| {
            read(json!({ "f": value }), false, |fields| match name {
                "instant" => fields.required("f", Item::instant).map(|instant| instant.to_rfc3339()),
                "date" => fields.required("f", Item::date).map(|date| date.to_string()),
                _ => fields.required("f", Item::uuid).map(|id| id.to_string()),
            })
            .ok()
        };
        assert_eq!(
            ok("instant", json!("2026-03-29T09:00:00.1239+02:00")).as_deref(),
            Some("2026-03-29T07:00:00.123+00:00")
        );
        for wrong in
            [json!("2026-03-29"), json!("2026-03-29T09:00:00"), json!(1), json!("9999-12-31T23:59:60-01:00"), json!("")]
        {
            assert_eq!(ok("instant", wrong.clone()), None, "{wrong}");
        }
        assert_eq!(ok("date", json!("2026-02-28")).as_deref(), Some("2026-02-28"));
        for wrong in [json!("2026-02-30"), json!("2026-2-3"), json!("+2026-02-3"), json!("20260228"), json!(20_260_228)]
        {
            assert_eq!(ok("date", wrong.clone()), None, "{wrong}");
        }
        assert!(ok("id", json!("0198c0de-0000-7000-8000-000000000000")).is_some());
        for wrong in [json!("7"), json!("0198c0de000070008000000000000000"), json!(7)] {
            assert_eq!(ok("id", wrong.clone()), None, "{wrong}");
        }
    }
}
