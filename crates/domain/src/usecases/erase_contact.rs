//! Erase a person (GDPR article 17): personal data goes, figures stay.

use crate::model::ids::ContactId;
use crate::ports::store::{StoreError, Tx};

/// Erase this contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EraseContact {
    /// Which.
    pub id: ContactId,
}

/// Why nobody was erased; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum EraseContactError {
    /// There is no such contact in this workspace, or it was erased before.
    #[error("no such contact")]
    NotFound,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Erases a contact. Once this is committed, nothing of the person is left but a keyed hash of the address, by which it
/// is recognised and not mailed if it comes again, and no delivery to it begins.
pub async fn erase_contact(tx: &mut Tx, command: EraseContact) -> Result<(), EraseContactError> {
    let contact = tx.contacts().find(command.id).await?.ok_or(EraseContactError::NotFound)?;
    // Stored answers first: erasing posts to the books, which comes last.
    tx.idempotency().redact(&command.id.to_string()).await?;
    tx.idempotency().redact_address(&contact.email).await?;
    let now = tx.now().await?;
    if tx.contacts().erase(command.id, now).await? { Ok(()) } else { Err(EraseContactError::NotFound) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::EmailAddress;
    use crate::model::contact::{Contact, NewContact};
    use crate::model::ids::ContactNo;
    use crate::testing::MockUnit;
    use chrono::{DateTime, Utc};
    use mockall::Sequence;
    use uuid::Uuid;

    #[tokio::test]
    async fn answers_are_blanked_before_the_books_are_posted() {
        let NewContact { email, facts } = NewContact::of(EmailAddress::parse("Ada@Example.org").unwrap());
        let (id, at) = (ContactId(Uuid::nil()), DateTime::<Utc>::UNIX_EPOCH);
        let contact = Contact { no: ContactNo(1), id, email, facts, created_at: at, updated_at: at };
        let mut unit = MockUnit::at(at);
        let mut order = Sequence::new();
        unit.contacts.expect_find().once().in_sequence(&mut order).return_once(move |_| Ok(Some(contact)));
        let by_id = unit.idempotency.expect_redact().once().in_sequence(&mut order);
        by_id.withf(move |said| said == id.to_string()).returning(|_| Ok(()));
        let by_address = unit.idempotency.expect_redact_address().once().in_sequence(&mut order);
        by_address.withf(|email| email.as_str() == "Ada@Example.org").returning(|_| Ok(()));
        unit.contacts.expect_erase().once().in_sequence(&mut order).returning(|_, _| Ok(true));
        erase_contact(&mut unit.into_tx(), EraseContact { id }).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_is_erased_twice() {
        let mut unit = MockUnit::default();
        unit.contacts.expect_find().once().returning(|_| Ok(None));
        let erased = erase_contact(&mut unit.into_tx(), EraseContact { id: ContactId(Uuid::nil()) }).await;
        assert!(matches!(erased, Err(EraseContactError::NotFound)));
    }
}
