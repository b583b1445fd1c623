//! The settings by name, and what to say to a variable that looks like one but is none.

use std::fmt;

/// One setting: the flag that gives it and the variable that gives it when the flag does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// With its dashes.
    pub flag: &'static str,
    /// The environment variable.
    pub variable: &'static str,
}

impl Setting {
    const fn new(flag: &'static str, variable: &'static str) -> Self {
        Self { flag, variable }
    }

    /// The database.
    pub const DATABASE_URL: Self = Self::new("--database-url", "DATABASE_URL");
    /// Where HTTP is served.
    pub const HTTP_ADDR: Self = Self::new("--http-addr", "MUSTER_HTTP_ADDR");
    /// Where a worker's figures are served.
    pub const METRICS_ADDR: Self = Self::new("--metrics-addr", "MUSTER_METRICS_ADDR");
    /// The mail server.
    pub const SMTP_URL: Self = Self::new("--smtp-url", "MUSTER_SMTP_URL");
    /// Where mails come back.
    pub const BOUNCE_DOMAIN: Self = Self::new("--bounce-domain", "MUSTER_BOUNCE_DOMAIN");
    /// The base of links in mails.
    pub const PUBLIC_URL: Self = Self::new("--public-url", "MUSTER_PUBLIC_URL");
    /// The key that signs links and cursors.
    pub const SECRET_KEY: Self = Self::new("--secret-key", "MUSTER_SECRET_KEY");
    /// Keys that signed before.
    pub const SECRET_KEY_PREVIOUS: Self = Self::new("--secret-key-previous", "MUSTER_SECRET_KEY_PREVIOUS");
    /// Where journals and the embedded database live.
    pub const STATE_DIR: Self = Self::new("--state-dir", "MUSTER_STATE_DIR");
    /// PostgreSQL's programs.
    pub const PG_BIN: Self = Self::new("--pg-bin", "MUSTER_PG_BIN");
    /// Whether campaigns need a postal address.
    pub const REQUIRE_POSTAL_ADDRESS: Self = Self::new("--require-postal-address", "MUSTER_REQUIRE_POSTAL_ADDRESS");
    /// For how long single events are kept.
    pub const EVENT_RETENTION_DAYS: Self = Self::new("--event-retention-days", "MUSTER_EVENT_RETENTION_DAYS");
    /// Whether people are counted who ask not to be followed.
    pub const IGNORE_DO_NOT_TRACK: Self = Self::new("--ignore-do-not-track", "MUSTER_IGNORE_DO_NOT_TRACK");
    /// The form of the log.
    pub const LOG: Self = Self::new("--log", "MUSTER_LOG");
    /// What is logged.
    pub const LOG_FILTER: Self = Self::new("--log-filter", "MUSTER_LOG_FILTER");

    /// Every setting there is.
    pub const ALL: [Self; 15] = [
        Self::DATABASE_URL,
        Self::HTTP_ADDR,
        Self::METRICS_ADDR,
        Self::SMTP_URL,
        Self::BOUNCE_DOMAIN,
        Self::PUBLIC_URL,
        Self::SECRET_KEY,
        Self::SECRET_KEY_PREVIOUS,
        Self::STATE_DIR,
        Self::PG_BIN,
        Self::REQUIRE_POSTAL_ADDRESS,
        Self::EVENT_RETENTION_DAYS,
        Self::IGNORE_DO_NOT_TRACK,
        Self::LOG,
        Self::LOG_FILTER,
    ];
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.flag, self.variable)
    }
}

/// A variable `MUSTER_…` that nothing reads: most likely a slip of the hand.
#[derive(Debug, PartialEq, Eq)]
pub struct UnknownVariable {
    /// As it is set.
    pub name: String,
    /// The setting it resembles.
    pub meant: Option<&'static str>,
}

impl fmt::Display for UnknownVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is set but means nothing to muster", self.name)?;
        match self.meant {
            Some(meant) => write!(f, "; did you mean {meant}?"),
            None => Ok(()),
        }
    }
}

/// The variables among `names` that begin like a setting of Muster and are none. `MUSTER_TEST_…` is left to tests.
pub fn unknown_variables(names: impl IntoIterator<Item = String>) -> Vec<UnknownVariable> {
    let mut unknown: Vec<_> = names
        .into_iter()
        .filter(|name| name.starts_with("MUSTER_") && !name.starts_with("MUSTER_TEST_"))
        .filter(|name| Setting::ALL.iter().all(|setting| setting.variable != name))
        .map(|name| UnknownVariable { meant: nearest(&name), name })
        .collect();
    unknown.sort_by(|a, b| a.name.cmp(&b.name));
    unknown
}

fn nearest(name: &str) -> Option<&'static str> {
    let known = Setting::ALL.iter().map(|setting| setting.variable);
    let (distance, variable) = known.map(|variable| (edits(name, variable), variable)).min()?;
    (distance <= 4 || name.starts_with(variable)).then_some(variable)
}

/// How many letters must be added, removed or exchanged to make `to` of `from` (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.bytes().enumerate() {
            let exchanged = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = exchanged.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::{edits, unknown_variables};

    #[test]
    fn a_slip_of_the_hand_is_noticed_and_corrected() {
        let names =
            ["MUSTER_HTTP_ADR", "PATH", "MUSTER_PUBLIC_URL", "MUSTER_COLOUR_OF_SKY", "MUSTER_TEST_X", "XMUSTER_A"];
        let unknown = unknown_variables(names.map(str::to_owned));
        let said: Vec<_> = unknown.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "MUSTER_COLOUR_OF_SKY is set but means nothing to muster",
                "MUSTER_HTTP_ADR is set but means nothing to muster; did you mean MUSTER_HTTP_ADDR?",
            ]
        );
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!([edits("", "abc"), edits("abc", "abc"), edits("kitten", "sitting")], [3, 0, 3]);
    }
}
