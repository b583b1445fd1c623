//! Lists of addresses and domains never to be mailed: which column is what, and what a row says.

use super::columns::quoted;
use super::row::CellProblem;
use crate::model::address::{DomainName, EmailAddress};
use crate::model::problem::FieldProblems;
use crate::model::suppression::{MAX_SOURCE, Suppressible, SuppressionReason};
use crate::model::text::check_line;
use serde_json::{Map, Value};

/// A row that can be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressionRow {
    /// The line of the file on which it begins, from 1.
    pub line: u64,
    /// Whom it is about.
    pub what: Suppressible,
    /// Why, if it says so.
    pub reason: Option<SuppressionReason>,
    /// Where it comes from, if it says so.
    pub source: Option<String>,
}

/// What a column is. Others are passed over: lists from elsewhere bring many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Email,
    Domain,
    Reason,
    Source,
}

impl Target {
    fn named(name: &str) -> Option<Target> {
        let plain: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        match plain.as_str() {
            "email" | "emailaddress" | "mail" | "mailaddress" | "address" => Some(Target::Email),
            "domain" => Some(Target::Domain),
            "reason" => Some(Target::Reason),
            "source" => Some(Target::Source),
            _ => None,
        }
    }
}

/// The columns of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuppressionColumns {
    columns: Vec<(String, Option<Target>)>,
}

impl SuppressionColumns {
    /// Settles what each column is. Refused: neither addresses nor domains, and two columns for one thing. A header row
    /// that is none is not repeated in the answer.
    pub fn of(headers: &[&str]) -> Result<Self, FieldProblems> {
        let columns: Vec<_> = headers.iter().map(|header| (quoted(header), Target::named(header))).collect();
        let known = || columns.iter().filter_map(|(header, target)| Some((header, (*target)?)));
        if !known().any(|(_, target)| matches!(target, Target::Email | Target::Domain)) {
            let detail = "no column is named email or domain";
            return Err(FieldProblems::one("/email", "required", detail));
        }
        let mut problems = FieldProblems::default();
        for (place, (header, target)) in known().enumerate() {
            if let Some((other, _)) = known().take(place).find(|(_, earlier)| *earlier == target) {
                let detail = format!("the columns \"{other}\" and \"{header}\" are the same field");
                problems.add("", "duplicate_column", detail);
            }
        }
        problems.into_result().map(|()| Self { columns })
    }

    /// Takes the cells of a row of text that begins on `line`, `None` for a cell that is not UTF-8. `Ok(None)` when the row
    /// says nothing at all.
    pub fn read<'a>(
        &self,
        line: u64,
        cells: impl Iterator<Item = Option<&'a str>>,
    ) -> Result<Option<SuppressionRow>, Vec<CellProblem>> {
        let mut row = Reading::default();
        let mut blank = true;
        let mut columns = self.columns.iter();
        for cell in cells {
            blank &= cell.is_some_and(|cell| cell.trim().is_empty());
            match (columns.next(), cell) {
                (None, Some(cell)) if cell.trim().is_empty() => {}
                (None, _) => {
                    let detail = format!("has more cells than the {} columns of the header row", self.columns.len());
                    return Err(vec![CellProblem::row("too_many_cells", detail)]);
                }
                (Some((_, None)), _) => {}
                (Some((header, Some(_))), None) => {
                    row.note(header, FieldProblems::one("", "invalid_utf8", "is not UTF-8"));
                }
                (Some((header, Some(target))), Some(cell)) => row.take(header, *target, unguarded(cell)),
            }
        }
        if blank { Ok(None) } else { row.finish(line).map(Some) }
    }
}

/// A cell without the apostrophe that tables put before what a spreadsheet would take for a formula, ours too: an address
/// may begin with `+`, and one that is missed would be mailed.
fn unguarded(cell: &str) -> &str {
    let inner = cell.trim().strip_prefix('\'');
    inner.filter(|inner| inner.starts_with(['=', '+', '-', '|', '%', '@'])).unwrap_or(cell)
}

/// Takes the members of an object that stands on `line`; they are known by the same names as columns.
pub fn read_object(line: u64, object: &Map<String, Value>) -> Result<SuppressionRow, Vec<CellProblem>> {
    let mut row = Reading::default();
    for (name, value) in object {
        match (Target::named(name), value) {
            (None, _) | (Some(_), Value::Null) => {}
            (Some(target), Value::String(text)) => row.take(name, target, text),
            (Some(_), _) => row.note(name, FieldProblems::one("", "wrong_type", "must be a string")),
        }
    }
    row.finish(line)
}

#[derive(Default)]
struct Reading {
    email: Option<EmailAddress>,
    domain: Option<DomainName>,
    reason: Option<SuppressionReason>,
    source: Option<String>,
    problems: Vec<CellProblem>,
}

impl Reading {
    fn take(&mut self, column: &str, target: Target, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let taken = match target {
            Target::Email => EmailAddress::parse(text).map(|email| self.email = Some(email)),
            Target::Domain => DomainName::parse(text).map(|domain| self.domain = Some(domain)),
            Target::Reason => read_reason(text).map(|reason| self.reason = Some(reason)),
            Target::Source => {
                let mut problems = FieldProblems::default();
                check_line(&mut problems, "", text, MAX_SOURCE);
                problems.into_result().map(|()| self.source = Some(text.to_owned()))
            }
        };
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

    fn finish(mut self, line: u64) -> Result<SuppressionRow, Vec<CellProblem>> {
        let what = match (self.email.take(), self.domain.take()) {
            (Some(_), Some(_)) => {
                self.problems.push(CellProblem::row("not_allowed", "either an address or a domain, not both"));
                None
            }
            (Some(email), None) => Some(Suppressible::Address(email)),
            (None, Some(domain)) => Some(Suppressible::Domain(domain)),
            (None, None) => {
                if self.problems.is_empty() {
                    self.note("email", FieldProblems::one("", "required", "an address or a domain is needed"));
                }
                None
            }
        };
        match what {
            Some(what) if self.problems.is_empty() => {
                Ok(SuppressionRow { line, what, reason: self.reason, source: self.source })
            }
            _ => Err(self.problems),
        }
    }
}

/// A reason that a list may give; erasing is not one, since only erasing a contact does it.
fn read_reason(text: &str) -> Result<SuppressionReason, FieldProblems> {
    let given = SuppressionReason::GIVEN.into_iter().find(|reason| reason.as_str().eq_ignore_ascii_case(text));
    given.ok_or_else(|| {
        let detail = format!("must be one of: {}", SuppressionReason::GIVEN.map(SuppressionReason::as_str).join(", "));
        FieldProblems::one("", "unknown_value", detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(headers: &[&str], cells: &[&str]) -> Result<Option<SuppressionRow>, Vec<CellProblem>> {
        SuppressionColumns::of(headers).unwrap().read(2, cells.iter().map(|cell| Some(*cell)))
    }

    fn codes(refused: Result<Option<SuppressionRow>, Vec<CellProblem>>) -> Vec<String> {
        refused.expect_err("refused").into_iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn a_list_from_elsewhere_is_read_and_its_other_columns_are_passed_over() {
        let row = read(&["Email Address", "Created", "Reason"], &[" Ada@X.test ", "2026", "Bounced"]).unwrap().unwrap();
        assert_eq!(row.what.key(), "ada@x.test");
        assert_eq!((row.line, row.reason, row.source), (2, Some(SuppressionReason::Bounced), None));
        let row = read(&["domain", "source", "email"], &["@Spam.test", "legal", ""]).unwrap().unwrap();
        assert_eq!((row.what.key(), row.source.as_deref()), ("spam.test".to_owned(), Some("legal")));
        assert_eq!(read(&["email", "x"], &["", " "]), Ok(None));
        assert_eq!(read(&["email"], &["a@b.test", ""]).unwrap().unwrap().what.key(), "a@b.test");
    }

    #[test]
    fn an_address_that_a_table_made_harmless_is_read_as_it_was() {
        for (cell, key) in [("'+a@x.test", "+a@x.test"), ("'=a@x.test", "=a@x.test"), ("'a@x.test", "'a@x.test")] {
            assert_eq!(read(&["email"], &[cell]).unwrap().unwrap().what.key(), key);
        }
    }

    #[test]
    fn what_is_wrong_with_a_row_is_named_and_nothing_of_it_repeated() {
        let headers = ["email", "domain", "reason", "source"];
        let long = "x".repeat(201);
        let refused = read(&headers, &["secret@", "", "hard bounce", &long]);
        assert!(refused.as_ref().unwrap_err().iter().all(|problem| !problem.detail.contains("secret")));
        assert_eq!(codes(refused), ["invalid_email", "unknown_value", "too_long"]);
        assert_eq!(codes(read(&headers, &["a@b.test", "b.test"])), ["not_allowed"]);
        assert_eq!(codes(read(&headers, &["", "", "manual"])), ["required"]);
        assert_eq!(codes(read(&headers, &["a@b.test", "", "erased"])), ["unknown_value"]);
        assert_eq!(codes(read(&["email"], &["a@b.test", "x"])), ["too_many_cells"]);
        let columns = SuppressionColumns::of(&["email"]).unwrap();
        assert_eq!(codes(columns.read(1, [None].into_iter())), ["invalid_utf8"]);
    }

    #[test]
    fn a_file_needs_addresses_or_domains_once() {
        let refused = |headers: &[&str]| SuppressionColumns::of(headers).expect_err("refused").0.remove(0).code;
        assert_eq!(refused(&["ada@example.org", "name"]), "required");
        assert_eq!(refused(&["email", "E-Mail"]), "duplicate_column");
    }

    #[test]
    fn an_object_is_read_by_the_same_names() {
        let object = json!({"e-mail": "a@b.test", "reason": null, "createdAt": 5, "source": "legal"});
        let row = read_object(3, object.as_object().unwrap()).unwrap();
        assert_eq!((row.what.key().as_str(), row.source.as_deref()), ("a@b.test", Some("legal")));
        let bad = json!({"email": 5});
        assert_eq!(read_object(3, bad.as_object().unwrap()).unwrap_err()[0].code, "wrong_type");
    }
}
