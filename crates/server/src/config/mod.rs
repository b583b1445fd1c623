//! Settings: flags over environment, checked all at once, secrets never shown.

mod args;
mod http_addr;
mod problems;
mod public_url;
mod secret_key;
mod setting;
mod state_dir;

pub use args::{
    BounceDomainArgs, DatabaseArgs, EventRetentionArgs, HttpAddrArgs, LaunchArgs, MetricsAddrArgs, PgBinArgs,
    PublicUrlArgs, SecretKeyArgs, SmtpArgs, StateDirArgs, TrackingArgs,
};
pub use http_addr::parse_http_addr;
pub use problems::ConfigProblems;
pub use public_url::{PublicUrl, PublicUrlError};
pub use secret_key::{SecretKey, SecretKeyError, SecretKeyFileError};
pub use setting::{Setting, UnknownVariable, unknown_variables};
pub use state_dir::{StateDir, StateDirError, Surroundings};

#[cfg(test)]
mod tests;
