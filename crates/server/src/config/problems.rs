//! Collects everything that is wrong with the settings, so that it is mended in one go.

use super::Setting;
use std::fmt;

/// What is wrong with the settings. As an error it lists all of it, each with its flag and variable, no value shown.
#[derive(Debug, Default)]
pub struct ConfigProblems(Vec<(Setting, String)>);

impl ConfigProblems {
    /// Notes why a setting is unusable or missing. The reason continues the sentence "--flag (VARIABLE): …".
    pub fn note(&mut self, setting: Setting, reason: impl fmt::Display) {
        self.0.push((setting, reason.to_string()));
    }

    /// The value, or `None` with the error noted.
    pub fn take<T>(&mut self, setting: Setting, result: Result<T, impl fmt::Display>) -> Option<T> {
        result.map_err(|error| self.note(setting, error)).ok()
    }

    /// Like [`ConfigProblems::take`] for a value that may be absent.
    pub fn take_optional<T, E: fmt::Display>(&mut self, setting: Setting, result: Option<Result<T, E>>) -> Option<T> {
        self.take(setting, result?)
    }

    /// The reasons alone, without the names of the settings.
    pub fn reasons(&self) -> Vec<&str> {
        self.0.iter().map(|(_, reason)| reason.as_str()).collect()
    }

    /// `config` unless something was noted. It is `None` exactly when a required setting was not to be had.
    ///
    /// # Errors
    /// All problems noted.
    pub fn finish<T>(self, config: Option<T>) -> Result<T, Self> {
        match config {
            Some(config) if self.0.is_empty() => Ok(config),
            _ => Err(self),
        }
    }
}

impl fmt::Display for ConfigProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => f.write_str("a setting is missing or not usable:")?,
            n => write!(f, "{n} settings are missing or not usable:")?,
        }
        for (setting, reason) in &self.0 {
            write!(f, "\n  {setting}: {reason}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigProblems {}
