//! What a column is called, and which field that is.

use crate::model::contact::edit::check_custom_name;
use crate::model::contact::{MAX_CUSTOM_NAME, TEXT_FIELDS};

/// Where the cells of a column go.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A text field, `email` included.
    Text(&'static str),
    /// Tags, several in a cell.
    Tags,
    /// The lead score.
    LeadScore,
    /// A custom field.
    Custom(String),
    /// All custom fields as one object; only in JSON.
    CustomObject,
    /// Nowhere.
    Skip,
}

impl Target {
    /// Whether this is where addresses come from.
    pub fn is_email(&self) -> bool {
        *self == Target::Text(TEXT_FIELDS[0])
    }

    /// The field that is written exactly so, but for case, blanks, `_` and `-`: `First Name`, `first_name`,
    /// `customFields.plan`. `None` when no field is.
    pub fn named(name: &str) -> Option<Target> {
        if let Some((prefix, custom)) = name.trim().split_once('.') {
            let custom = custom.trim();
            let legal = plain(prefix) == "customfields" && check_custom_name(custom).is_ok();
            return legal.then(|| Target::Custom(custom.to_owned()));
        }
        let name = plain(name);
        match name.as_str() {
            "tags" => Some(Target::Tags),
            "leadscore" => Some(Target::LeadScore),
            _ => TEXT_FIELDS.into_iter().find(|field| field.to_lowercase() == name).map(Target::Text),
        }
    }

    /// The field that other programs call so.
    pub(super) fn known_as(name: &str) -> Option<Target> {
        let field = match plain(name).as_str() {
            "emailaddress" | "mail" | "mailaddress" => "email",
            "givenname" | "forename" => "firstName",
            "surname" | "familyname" => "lastName",
            "companyname" | "organization" | "organisation" => "company",
            "town" => "city",
            "province" => "state",
            "tag" => return Some(Target::Tags),
            _ => return None,
        };
        Some(Target::Text(field))
    }

    /// The custom field that a column of no known name becomes: its name with `_` for what a name cannot have.
    pub(super) fn custom(name: &str, position: usize) -> Target {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let name: String = name.trim().chars().map(|c| if legal(c) { c } else { '_' }).take(MAX_CUSTOM_NAME).collect();
        let name = name.trim_matches(['_', '-']);
        if name.is_empty() { Target::Custom(format!("column{position}")) } else { Target::Custom(name.to_owned()) }
    }
}

/// Letters and digits alone, in lower case.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_known_however_its_name_is_joined() {
        for name in ["firstName", "FirstName", "first_name", "First Name", "FIRST-NAME", " first name "] {
            assert_eq!(Target::named(name), Some(Target::Text("firstName")), "{name}");
        }
        assert_eq!(Target::named("E-Mail"), Some(Target::Text("email")));
        assert_eq!(Target::named("Lead Score"), Some(Target::LeadScore));
        assert_eq!(Target::named("custom_fields.plan"), Some(Target::Custom("plan".to_owned())));
        assert_eq!(Target::named("customFields.a b"), None);
        assert_eq!(Target::named("phone1"), None);
    }

    #[test]
    fn an_unknown_name_becomes_a_legal_custom_field() {
        let custom = |name: &str| match Target::custom(name, 4) {
            Target::Custom(name) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(custom("phone1"), "phone1");
        assert_eq!(custom(" Zip Code "), "Zip_Code");
        assert_eq!(custom("-x(y)"), "x_y");
        assert_eq!(custom("住所"), "column4");
        assert_eq!(custom(&"n".repeat(70)).len(), 64);
        for name in ["ÄÖ-ü", "a/b", "__", "💌x"] {
            assert_eq!(check_custom_name(&custom(name)), Ok(()), "{name}");
        }
    }
}
