//! What `up` says when everything runs.

use super::mail::Mail;
use std::fmt;

/// Addresses, a key, and three commands to paste.
pub struct Welcome<'a> {
    /// Where the API is, without a slash at the end.
    pub base: &'a str,
    /// A key with all scopes.
    pub key: &'a str,
    /// Where mail goes.
    pub mail: &'a Mail,
    /// Where the database is.
    pub database: &'a str,
    /// How much faster campaign time runs, if it does.
    pub lapse: Option<f64>,
}

impl fmt::Display for Welcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { base, key, .. } = self;
        writeln!(f, "\nMuster is up.\n")?;
        writeln!(f, "  API       {base}/api")?;
        writeln!(f, "  Docs      {base}/docs")?;
        match self.mail {
            Mail::Caught(catcher) => {
                writeln!(f, "  Mail      http://{}   caught there, none goes out", catcher.http_addr())?;
            }
            Mail::Out(config) => writeln!(f, "  Mail      goes out through {}:{}", config.host, config.port)?,
        }
        writeln!(f, "  Database  {}", self.database)?;
        if let Some(factor) = self.lapse {
            writeln!(f, "  Time      runs {factor} times faster than the clock in this database")?;
        }
        writeln!(f, "  Key       {key}\n")?;
        writeln!(f, "To try it, paste these:\n")?;
        for (method, path, body) in [
            (
                "POST",
                "contacts?upsert=true",
                Some(r#"{"email":"ada@example.test","firstName":"Ada","tags":["friend"]}"#),
            ),
            (
                "POST",
                "segments",
                Some(
                    r#"{"name":"Friends","kind":"dynamic","rules":{"field":"tags","op":"contains","value":"friend"}}"#,
                ),
            ),
            ("GET", "campaigns", None),
        ] {
            write!(f, "  curl -sS -X {method} '{base}/api/{path}' -H 'Authorization: Bearer {key}'")?;
            if let Some(body) = body {
                write!(f, " -H 'Content-Type: application/json' -d '{body}'")?;
            }
            writeln!(f)?;
        }
        write!(f, "\nCtrl-C stops it.")
    }
}
