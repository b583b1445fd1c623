//! Whether a failure is one campaign's or everybody's.

use muster_domain::ports::store::StoreError;
use muster_domain::usecases::pause_campaign::TransitionError;

/// Whose failure it is.
pub(crate) enum Fault {
    /// Storage is away: nothing else will work either, so back off.
    StorageAway(StoreError),
    /// Only this piece of work: note it and go on with the next.
    ThisOne(TransitionError),
}

/// Sorts a failed story.
pub(crate) fn sort(error: TransitionError) -> Fault {
    match error {
        TransitionError::Store(error) if storage_is_away(&error) => Fault::StorageAway(error),
        other => Fault::ThisOne(other),
    }
}

/// Whether storage is away, rather than at odds with one piece of work.
pub(crate) fn storage_is_away(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(_))
}
