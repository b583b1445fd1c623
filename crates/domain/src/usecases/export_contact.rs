//! Hand out everything that is held about one person (GDPR articles 15 and 20).

use super::get_enrollment::{Way, get_enrollment};
use crate::model::contact::Contact;
use crate::model::ids::{ContactId, SegmentId};
use crate::model::suppression::Suppression;
use crate::ports::idempotency::Mention;
use crate::ports::store::{StoreResult, Tx};
use chrono::{DateTime, Utc};

/// Everything that is held about one person. What each column of the database adds to it is listed beside the schema.
#[derive(Clone)]
pub struct PersonalData {
    /// Business time of the export.
    pub exported_at: DateTime<Utc>,
    /// What is known of the person.
    pub contact: Contact,
    /// The static segments it was put into, with their names.
    pub segments: Vec<(SegmentId, String)>,
    /// What keeps the address from being mailed.
    pub suppressions: Vec<Suppression>,
    /// The way through each campaign it was ever in, every mail included.
    pub ways: Vec<Way>,
    /// Answers to requests, kept for a day, that mention it.
    pub answers: Vec<Mention>,
}

/// Everything about a contact of this workspace; `None` when there is no such contact, or it was erased.
pub async fn export_contact(tx: &mut Tx, id: ContactId) -> StoreResult<Option<PersonalData>> {
    let Some(contact) = tx.contacts().find(id).await? else { return Ok(None) };
    let exported_at = tx.now().await?;
    let segments = tx.contacts().memberships(contact.no).await?;
    let suppressions = tx.suppressions().covering(&contact.email).await?;
    let mut ways = Vec::new();
    for campaign in tx.contacts().campaigns(contact.no).await? {
        ways.extend(get_enrollment(tx, campaign, id).await?);
    }
    let answers = tx.idempotency().mentions(&id.to_string(), &contact.email).await?;
    Ok(Some(PersonalData { exported_at, contact, segments, suppressions, ways, answers }))
}
