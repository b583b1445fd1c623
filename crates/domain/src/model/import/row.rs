//! What one row says: an edit of a contact, or what is wrong with it.

use super::columns::{Columns, Mapping, quoted};
use super::names::Target;
use crate::model::address::EmailAddress;
use crate::model::contact::NewContact;
use crate::model::contact::edit::{ContactEdit, TagEdit, check_tag};
use crate::model::problem::FieldProblems;
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};

/// A row that can be imported.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportRow {
    /// The line of the file on which it begins, from 1.
    pub line: u64,
    /// Whom it is about.
    pub email: EmailAddress,
    /// What it says beside the address.
    pub edit: ContactEdit,
}

impl ImportRow {
    /// The contact that this row makes where nobody has the address.
    pub fn create(&self) -> Result<NewContact, FieldProblems> {
        let mut new = NewContact::of(self.email.clone());
        self.edit.apply(&mut new.email, &mut new.facts)?;
        Ok(new)
    }
}

/// What is wrong with one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellProblem {
    /// The column by its header; `None` when it is about the whole row.
    pub column: Option<String>,
    /// A short machine-readable reason.
    pub code: String,
    /// What is wrong; repeats nothing of the cell.
    pub detail: String,
}

/// Why a row was not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowProblem {
    /// The line of the file on which the row begins, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: CellProblem,
}

impl CellProblem {
    /// A problem of the whole row.
    pub fn row(code: &str, detail: impl Into<String>) -> Self {
        Self { column: None, code: code.to_owned(), detail: detail.into() }
    }
}

/// Columns whose names NDJSON has shown are remembered up to this many.
const REMEMBERED: usize = 1000;

/// Takes the cells of a row of text that begins on `line`, `None` for a cell that is not UTF-8. Missing cells at the end are empty; empty cells
/// say nothing. `Ok(None)` when the row says nothing at all.
pub fn read_cells<'a>(
    columns: &Columns,
    line: u64,
    cells: impl Iterator<Item = Option<&'a str>>,
) -> Result<Option<ImportRow>, Vec<CellProblem>> {
    let mut row = Reading::default();
    let mut cells = cells.fuse();
    let mut blank = true;
    for (header, target) in columns.iter() {
        let Some(cell) = cells.next() else { break };
        match cell {
            None => {
                blank = false;
                row.note(header, FieldProblems::one("", "invalid_utf8", "is not UTF-8"));
            }
            Some(cell) if cell.trim().is_empty() => {}
            Some(cell) => {
                blank = false;
                let taken = row.edit.take_text(target, cell.trim());
                row.keep(header, taken);
            }
        }
    }
    for cell in cells {
        if cell.is_none_or(|cell| !cell.trim().is_empty()) {
            let detail = format!("has more cells than the {} columns of the header row", columns.count());
            return Err(vec![CellProblem::row("too_many_cells", detail)]);
        }
    }
    if blank { Ok(None) } else { row.finish(line).map(Some) }
}

/// Reads objects, remembering what their members' names mean.
#[derive(Debug)]
pub struct ObjectReader {
    mapping: Mapping,
    known: HashMap<String, Target>,
}

impl ObjectReader {
    /// Members are known by the same names as columns; `mapping` goes first.
    pub fn new(mapping: Mapping) -> Self {
        Self { mapping, known: HashMap::new() }
    }

    /// Takes the members of an object that stands on `line`. Null and empty texts say nothing.
    pub fn read(&mut self, line: u64, object: &Map<String, Value>) -> Result<ImportRow, Vec<CellProblem>> {
        let mut row = Reading::default();
        for (name, value) in object {
            if matches!(value, Value::Null) || value.as_str().is_some_and(|text| text.trim().is_empty()) {
                continue;
            }
            let taken = row.edit.take_value(self.target(name), value);
            row.keep(name, taken);
        }
        row.finish(line)
    }

    fn target(&mut self, name: &str) -> &Target {
        if self.known.len() >= REMEMBERED && !self.known.contains_key(name) {
            self.known.clear();
        }
        let mapping = &self.mapping;
        self.known.entry(name.to_owned()).or_insert_with(|| {
            let by_name = || match name {
                "customFields" | "custom_fields" => Some(Target::CustomObject),
                name => Target::named(name).or_else(|| Target::known_as(name)),
            };
            mapping.target(name).cloned().or_else(by_name).unwrap_or_else(|| Target::custom(name, 0))
        })
    }
}

#[derive(Default)]
struct Reading {
    edit: ContactEdit,
    problems: Vec<CellProblem>,
}

impl Reading {
    fn keep(&mut self, column: &str, taken: Result<(), FieldProblems>) {
        if let Err(problems) = taken {
            self.note(column, problems);
        }
    }

    fn note(&mut self, column: &str, problems: FieldProblems) {
        self.problems.extend(problems.0.into_iter().map(|problem| CellProblem {
            column: Some(quoted(column)),
            code: problem.code,
            detail: problem.detail,
        }));
    }

    fn finish(mut self, line: u64) -> Result<ImportRow, Vec<CellProblem>> {
        match self.edit.email.take() {
            Some(email) if self.problems.is_empty() => Ok(ImportRow { line, email, edit: self.edit }),
            Some(_) => Err(self.problems),
            None => {
                if self.problems.is_empty() {
                    self.note("email", FieldProblems::one("", "required", "an e-mail address is needed"));
                }
                Err(self.problems)
            }
        }
    }
}

impl ContactEdit {
    fn take_text(&mut self, target: &Target, text: &str) -> Result<(), FieldProblems> {
        match target {
            Target::Text("email") => self.set("email", &Value::from(text)),
            Target::Text(field) => self.set_text(field, text),
            Target::Tags => self.take_tags(text.split([',', ';', '|'])),
            Target::LeadScore => {
                let number = text.parse().ok().map(|number: i64| Value::from(number));
                let wrong = || FieldProblems::one("", "wrong_type", "must be a whole number");
                self.set("leadScore", &number.ok_or_else(wrong)?)
            }
            Target::Custom(name) => self.set_custom(name, &Value::from(text)),
            Target::CustomObject | Target::Skip => Ok(()),
        }
    }

    fn take_value(&mut self, target: &Target, value: &Value) -> Result<(), FieldProblems> {
        let wrong = || FieldProblems::one("", "wrong_type", "must be an array of strings");
        match (target, value) {
            (Target::CustomObject, value) => self.set("customFields", value),
            (Target::Custom(name), value) => self.set_custom(name, value),
            (Target::Tags, Value::Array(tags)) => {
                let tags: Option<Vec<&str>> = tags.iter().map(Value::as_str).collect();
                self.take_tags(tags.ok_or_else(wrong)?.into_iter())
            }
            (target, Value::String(text)) => self.take_text(target, text.trim()),
            (Target::Tags, _) => Err(wrong()),
            (Target::Skip, _) => Ok(()),
            (Target::LeadScore, value) => self.set("leadScore", value),
            (Target::Text(field), value) => self.set(field, value),
        }
    }

    /// Imported tags come beside those that are there.
    fn take_tags<'a>(&mut self, tags: impl Iterator<Item = &'a str>) -> Result<(), FieldProblems> {
        let tags: BTreeSet<String> =
            tags.filter(|tag| !tag.trim().is_empty()).map(check_tag).collect::<Result<_, _>>()?;
        self.tags = TagEdit::Add(tags);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::contact::FieldValue;
    use serde_json::json;

    fn columns(headers: &[&str]) -> Columns {
        Columns::of(headers, &Mapping::default()).unwrap()
    }

    fn read(headers: &[&str], cells: &[&str]) -> Result<Option<ImportRow>, Vec<CellProblem>> {
        read_cells(&columns(headers), 2, cells.iter().map(|cell| Some(*cell)))
    }

    fn codes(result: Result<Option<ImportRow>, Vec<CellProblem>>) -> Vec<(Option<String>, String)> {
        result.expect_err("refused").into_iter().map(|problem| (problem.column, problem.code)).collect()
    }

    fn at(column: &str, code: &str) -> (Option<String>, String) {
        (Some(column.to_owned()), code.to_owned())
    }

    #[test]
    fn empty_cells_say_nothing() {
        let row = read(&["email", "city", "score", "tags"], &[" ada@example.org ", "", " ", ""]).unwrap().unwrap();
        assert_eq!(row.edit, ContactEdit::default());
        assert_eq!(row.email.as_str(), "ada@example.org");
        assert_eq!(read(&["email", "city"], &["", " "]), Ok(None), "an empty line in other clothes");
    }

    #[test]
    fn tags_are_split_and_added() {
        let row = read(&["email", "tags"], &["a@example.org", "VIP, new;  |beta"]).unwrap().unwrap();
        assert!(row.edit.tags == TagEdit::Add(["vip", "new", "beta"].map(str::to_owned).into()));
    }

    #[test]
    fn every_bad_cell_of_a_row_is_named_and_none_repeated() {
        let headers = ["email", "First Name", "leadScore", "timezone"];
        let refused = read(&headers, &["secret@", "a\u{7}", "ten", "Moon"]).expect_err("refused");
        assert!(refused.iter().all(|problem| !problem.detail.contains("secret")));
        let codes = codes(Err(refused));
        assert_eq!(
            codes,
            [
                at("email", "invalid_email"),
                at("First Name", "invalid_characters"),
                at("leadScore", "wrong_type"),
                at("timezone", "unknown_timezone"),
            ]
        );
    }

    #[test]
    fn a_row_needs_an_address_and_no_more_cells_than_columns() {
        assert_eq!(codes(read(&["email", "city"], &["", "Bath"])), [at("email", "required")]);
        assert_eq!(codes(read(&["email"], &["a@example.org", "x"])), [(None, "too_many_cells".to_owned())]);
        assert!(read(&["email"], &["a@example.org", ""]).is_ok());
        assert!(read(&["email", "city"], &["a@example.org"]).is_ok());
    }

    #[test]
    fn a_cell_that_is_not_utf8_spoils_its_row_alone() {
        let refused = read_cells(&columns(&["email", "city"]), 2, [Some("a@example.org"), None].into_iter());
        assert_eq!(codes(refused), [at("city", "invalid_utf8")]);
    }

    #[test]
    fn an_object_is_read_by_the_same_names() {
        let mut reader = ObjectReader::new(Mapping::parse(r#"{"plz":"customFields.zip"}"#).unwrap());
        let object = json!({
            "E-Mail": "ada@example.org", "first_name": "Ada", "city": null, "company": "", "leadScore": 7,
            "tags": ["X", "y"], "plz": 12345, "vip": true, "customFields": {"seats": 3},
        });
        let row = reader.read(1, object.as_object().unwrap()).unwrap();
        let facts = row.create().unwrap().facts;
        assert_eq!(facts.fields.len(), 2);
        assert_eq!((facts.lead_score, facts.tags.len()), (7, 2));
        assert_eq!(facts.custom_fields["zip"], FieldValue::Number(12345.0));
        assert_eq!(facts.custom_fields.keys().collect::<Vec<_>>(), ["seats", "vip", "zip"]);
        let bad = json!({"email": 5, "tags": "a,b", "list": [1], "leadScore": "x"});
        let refused = codes(reader.read(2, bad.as_object().unwrap()).map(Some));
        assert_eq!(refused, [at("email", "wrong_type"), at("leadScore", "wrong_type"), at("list", "wrong_type")]);
    }
}
