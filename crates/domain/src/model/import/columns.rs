//! The columns of a file, each with its field, settled before the first row is read.

use super::names::Target;
use crate::model::contact::MAX_CUSTOM_FIELDS;
use crate::model::problem::FieldProblems;
use serde_json::Value;
use std::collections::BTreeMap;

/// A header is quoted in answers no longer than this.
const QUOTED: usize = 64;

/// What the caller says about columns: headers, in lower case and without blanks around them, and their fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapping(BTreeMap<String, Target>);

impl Mapping {
    /// Reads `{"header": "field", …}`: a field's name, `customFields.<name>`, or nothing (`""`, `null`) to skip it.
    pub fn parse(json: &str) -> Result<Self, FieldProblems> {
        let Ok(Value::Object(entries)) = serde_json::from_str(json) else {
            return Err(FieldProblems::one("", "malformed_json", "must be a JSON object of headers and field names"));
        };
        let mut mapping = BTreeMap::new();
        let mut problems = FieldProblems::default();
        for (header, field) in entries {
            let target = match &field {
                Value::Null => Some(Target::Skip),
                Value::String(name) if name.trim().is_empty() => Some(Target::Skip),
                Value::String(name) => Target::named(name),
                _ => None,
            };
            match target {
                Some(target) => {
                    mapping.insert(folded(&header), target);
                }
                None => problems.add(
                    format!("/{}", header.replace('~', "~0").replace('/', "~1")),
                    "unknown_field",
                    "must name a contact field, tags, leadScore or customFields.<name>, or be empty to skip the column",
                ),
            }
        }
        problems.into_result().map(|()| Self(mapping))
    }

    /// Where the caller wants the column of that header to go.
    pub fn target(&self, header: &str) -> Option<&Target> {
        if self.0.is_empty() { None } else { self.0.get(&folded(header)) }
    }
}

fn folded(header: &str) -> String {
    header.trim().to_lowercase()
}

/// The columns of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    headers: Vec<String>,
    targets: Vec<Target>,
}

impl Columns {
    /// Settles what each column is: as the caller says, else by its own name, else by a name that other programs use
    /// when no other column has it, else a custom field. A column without a name is skipped.
    ///
    /// Refused: no column of addresses, two columns for one field, more custom fields than a contact may have, and a
    /// mapping of a header that is not there. A header row that is no header row is not repeated in the answer.
    pub fn of(headers: &[&str], mapping: &Mapping) -> Result<Self, FieldProblems> {
        let mut problems = FieldProblems::default();
        let mut targets: Vec<Option<Target>> =
            headers.iter().map(|header| mapping.target(header).cloned().or_else(|| Target::named(header))).collect();
        for (index, header) in headers.iter().enumerate() {
            if targets[index].is_none() {
                let free = |target: &Target| !targets.contains(&Some(target.clone()));
                let other = || Target::custom(header, index + 1);
                targets[index] = Some(match Target::known_as(header).filter(free) {
                    Some(target) => target,
                    None if header.trim().is_empty() => Target::Skip,
                    None => other(),
                });
            }
        }
        let targets: Vec<Target> = targets.into_iter().flatten().collect();
        if !targets.iter().any(Target::is_email) {
            let detail =
                "no column holds e-mail addresses; name one email, or say which with ?mapping={\"header\":\"email\"}";
            return Err(FieldProblems::one("/email", "required", detail));
        }
        for header in mapping.0.keys().filter(|header| !headers.iter().any(|known| folded(known) == **header)) {
            let detail = "the file has no column of this name";
            problems.add(
                format!("/mapping/{}", header.replace('~', "~0").replace('/', "~1")),
                "unknown_column",
                detail,
            );
        }
        check_twice(headers, &targets, &mut problems);
        let custom = targets.iter().filter(|target| matches!(target, Target::Custom(_))).count();
        if custom > MAX_CUSTOM_FIELDS {
            let detail = format!(
                "{custom} columns would become custom fields and a contact has at most {MAX_CUSTOM_FIELDS}; \
                 skip some with ?mapping={{\"header\":\"\"}}"
            );
            problems.add("/customFields", "too_many", detail);
        }
        problems.into_result()?;
        Ok(Self { headers: headers.iter().map(|header| quoted(header)).collect(), targets })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.targets.len()
    }

    /// The columns, each by its header, cut short, and its field.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Target)> {
        self.headers.iter().map(String::as_str).zip(&self.targets)
    }
}

/// A header as answers show it.
pub(super) fn quoted(header: &str) -> String {
    header.trim().chars().take(QUOTED).collect()
}

fn check_twice(headers: &[&str], targets: &[Target], problems: &mut FieldProblems) {
    let mut first: BTreeMap<&Target, &str> = BTreeMap::new();
    for (header, target) in headers.iter().zip(targets).filter(|(_, target)| **target != Target::Skip) {
        if let Some(other) = first.insert(target, header) {
            let detail = format!("the columns \"{}\" and \"{}\" are the same field", quoted(other), quoted(header));
            problems.add("", "duplicate_column", detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(headers: &[&str], mapping: &str) -> Vec<Target> {
        Columns::of(headers, &Mapping::parse(mapping).unwrap()).unwrap().targets
    }

    fn custom(name: &str) -> Target {
        Target::Custom(name.to_owned())
    }

    fn codes(headers: &[&str], mapping: &str) -> Vec<(String, String)> {
        let refused = Columns::of(headers, &Mapping::parse(mapping).unwrap()).expect_err("refused");
        refused.0.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
    }

    #[test]
    fn a_list_from_elsewhere_is_read_through_its_own_headers() {
        let headers =
            ["first_name", "last_name", "company_name", "address", "city", "zip", "phone1", "email", "web", ""];
        assert_eq!(
            targets(&headers, "{}"),
            [
                Target::Text("firstName"),
                Target::Text("lastName"),
                Target::Text("company"),
                custom("address"),
                Target::Text("city"),
                custom("zip"),
                custom("phone1"),
                Target::Text("email"),
                custom("web"),
                Target::Skip,
            ]
        );
    }

    #[test]
    fn a_field_called_by_its_own_name_wins_over_one_called_otherwise() {
        let found = targets(&["Company Name", "company", "mail", "surname", "family name"], "{}");
        assert_eq!(found[..3], [custom("Company_Name"), Target::Text("company"), Target::Text("email")]);
        assert_eq!(found[3..], [Target::Text("lastName"), custom("family_name")]);
    }

    #[test]
    fn the_caller_has_the_last_word() {
        let mapping = r#"{"Work Mail":"email","email":"customFields.private","zip":null,"x":"tags"}"#;
        let found = targets(&["work mail", "email", "zip", "X"], mapping);
        assert_eq!(found, [Target::Text("email"), custom("private"), Target::Skip, Target::Tags]);
    }

    #[test]
    fn a_file_without_addresses_is_refused_and_its_first_row_not_repeated() {
        let refused = Columns::of(&["ada@example.org", "Ada"], &Mapping::default()).expect_err("refused");
        assert_eq!((refused.0[0].pointer.as_str(), refused.0[0].code.as_str()), ("/email", "required"));
        assert!(!refused.to_string().contains("ada@"));
    }

    #[test]
    fn two_columns_for_one_field_are_refused_by_name() {
        assert_eq!(
            codes(&["email", "First Name", "first_name"], "{}"),
            [(String::new(), "duplicate_column".to_owned())]
        );
        assert_eq!(codes(&["email", "a b", "a_b"], "{}"), [(String::new(), "duplicate_column".to_owned())]);
    }

    #[test]
    fn a_mapping_that_means_nothing_is_refused() {
        assert_eq!(
            codes(&["email"], r#"{"mial":"email"}"#),
            [("/mapping/mial".to_owned(), "unknown_column".to_owned())]
        );
        for mapping in ["", "[]", "x", r#"{"a":1}"#, r#"{"a":"nickname"}"#, r#"{"a":"customFields.b c"}"#] {
            assert!(Mapping::parse(mapping).is_err(), "{mapping}");
        }
    }

    #[test]
    fn more_unknown_columns_than_custom_fields_are_refused_at_once() {
        let names: Vec<String> = (0..101).map(|n| format!("c{n}")).collect();
        let headers: Vec<&str> = std::iter::once("email").chain(names.iter().map(String::as_str)).collect();
        assert_eq!(codes(&headers, "{}"), [("/customFields".to_owned(), "too_many".to_owned())]);
        assert_eq!(targets(&headers[..101], "{}").len(), 101);
    }
}
