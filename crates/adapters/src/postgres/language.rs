//! The language in which the database reports errors.
//!
//! diesel passes on the text of an error and not its SQLSTATE, so outages and conflicts are told by their English text
//! (`error.rs`). In another language an outage would look like a mistake of ours.

use super::error::first_clause;
use super::migrate::{MigrateError, connect};
use diesel::QueryableByName;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use secrecy::SecretString;

/// `lc_messages` of the database, when its messages are not English.
///
/// # Errors
/// When the database cannot be reached, or does not answer.
pub async fn foreign_messages(database_url: &SecretString) -> Result<Option<String>, MigrateError> {
    #[derive(QueryableByName)]
    struct Setting {
        #[diesel(sql_type = Text)]
        locale: String,
    }
    let mut conn = connect(database_url).await?;
    let query = diesel::sql_query("SELECT current_setting('lc_messages') AS locale");
    let unreachable =
        |error: diesel::result::Error| MigrateError::Unreachable(first_clause(&error.to_string()).to_owned());
    let setting: Setting = query.get_result(&mut conn).await.map_err(unreachable)?;
    Ok(Some(setting.locale).filter(|locale| !is_english(locale)))
}

/// Whether messages of a locale are those of the source: nothing set, C or POSIX, or English of any country.
fn is_english(locale: &str) -> bool {
    let language = locale.split(['_', '.', '-']).next().unwrap_or_default();
    matches!(language.to_ascii_lowercase().as_str(), "" | "c" | "posix" | "en" | "english")
}

#[cfg(test)]
mod tests {
    use super::is_english;

    #[test]
    fn english_is_known_by_the_names_that_systems_have_for_it() {
        for locale in ["", "C", "POSIX", "C.UTF-8", "en_US.UTF-8", "en_GB", "en-US", "English_United States.1252"] {
            assert!(is_english(locale), "{locale}");
        }
        for locale in ["de_DE.UTF-8", "fr_FR", "German_Germany.1252", "es", "eno_XX"] {
            assert!(!is_english(locale), "{locale}");
        }
    }
}
