//! What a failed statement means to the caller.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use muster_domain::ports::store::StoreError;

/// Sorts a failed statement by what the caller can do next.
pub(crate) trait StoreErrorExt<T> {
    /// Maps the database's error into the port's.
    fn store(self) -> Result<T, StoreError>;
}

impl<T> StoreErrorExt<T> for Result<T, DieselError> {
    fn store(self) -> Result<T, StoreError> {
        self.map_err(classify)
    }
}

/// An error that is nobody's fault but ours.
pub(crate) fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Internal(error.into())
}

/// Errors carry the database's message, which may quote a row's values: only its kind and constraint go on.
#[derive(Debug, thiserror::Error)]
#[error("{kind}{}", constraint.as_deref().map(|name| format!(" ({name})")).unwrap_or_default())]
struct StatementFailed {
    kind: String,
    constraint: Option<String>,
}

pub(crate) fn classify(error: DieselError) -> StoreError {
    match error {
        DieselError::DatabaseError(kind, info) => {
            let failed = StatementFailed {
                kind: describe(kind, info.message()),
                constraint: info.constraint_name().map(str::to_owned),
            };
            match kind {
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => {
                    StoreError::Unavailable(Box::new(failed))
                }
                DatabaseErrorKind::SerializationFailure => StoreError::Conflict,
                _ if is_conflict(info.message()) => StoreError::Conflict,
                _ if is_outage(info.message()) => StoreError::Unavailable(Box::new(failed)),
                _ => StoreError::Internal(Box::new(failed)),
            }
        }
        // The transaction manager gave the connection up: what it was told last never arrived.
        DieselError::BrokenTransactionManager => {
            StoreError::Unavailable(Box::new(DieselError::BrokenTransactionManager))
        }
        other => StoreError::Internal(Box::new(StatementFailed { kind: variant(&other), constraint: None })),
    }
}

/// The message of the server without what may come from a row: kept only for kinds that never quote one.
fn describe(kind: DatabaseErrorKind, message: &str) -> String {
    match kind {
        DatabaseErrorKind::Unknown => format!("database error: {}", first_clause(message)),
        other => format!("database error: {other:?}"),
    }
}

/// Up to the first quote or parenthesis, where PostgreSQL begins to repeat values.
pub(super) fn first_clause(message: &str) -> &str {
    message.split(['"', '(', '«', '\n']).next().unwrap_or_default().trim_end_matches([' ', ':'])
}

fn variant(error: &DieselError) -> String {
    match error {
        DieselError::DeserializationError(_) => "a row could not be read".to_owned(),
        DieselError::SerializationError(_) => "a value could not be bound".to_owned(),
        DieselError::NotFound => "a row that must be there is not".to_owned(),
        other => first_clause(&other.to_string()).to_owned(),
    }
}

/// SQLSTATE 40P01, which diesel has no kind for.
fn is_conflict(message: &str) -> bool {
    message.starts_with("deadlock detected") || message.starts_with("could not serialize access")
}

/// SQLSTATE classes 08, 53, 57P: the server is going, coming or full.
fn is_outage(message: &str) -> bool {
    [
        "terminating connection",
        "the database system is",
        "sorry, too many clients",
        "remaining connection slots",
        "connection closed",
        "error communicating with the server",
        "canceling statement due to",
        "cannot execute",
        "could not extend file",
        "db error",
    ]
    .iter()
    .any(|sign| message.starts_with(sign))
}
