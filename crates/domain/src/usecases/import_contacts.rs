//! Import a batch of rows: new people are stored, known ones changed, and each row counted.
//!
//! A file is imported batch by batch, each in its own transaction, so that memory does not depend on its size and what
//! was imported stays whatever comes after.

use crate::model::contact::{Contact, NewContact, Revision};
use crate::model::ids::{ContactNo, SegmentNo};
use crate::model::import::{CellProblem, ImportRow, RowProblem};
use crate::model::problem::FieldProblems;
use crate::ports::store::{StoreError, Tx};
use std::collections::BTreeMap;

/// Import these rows.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportContacts {
    /// The rows, in the order of the file.
    pub rows: Vec<ImportRow>,
    /// A static segment that everybody imported is put into.
    pub segment: Option<SegmentNo>,
}

/// Why a batch was not imported; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum ImportContactsError {
    /// The segment is not there (any more), or has rules.
    #[error("no such static segment")]
    NoSuchSegment,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What became of the rows; every row is counted once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Rows that made a contact.
    pub created: u64,
    /// Rows that changed one.
    pub updated: u64,
    /// Rows that did neither: what they say was known, or they are in `problems`.
    pub skipped: u64,
    /// Rows that were refused, and why.
    pub problems: Vec<RowProblem>,
}

/// Imports a batch. An address that comes twice is one contact: the later row changes what the earlier one said.
/// A contact keeps its address as it was first written, in upper or lower case.
pub async fn import_contacts(tx: &mut Tx, command: &ImportContacts) -> Result<ImportReport, ImportContactsError> {
    let mut keys: Vec<String> = command.rows.iter().map(|row| row.email.key()).collect();
    keys.sort_unstable();
    keys.dedup();
    let known = tx.contacts().find_by_email_for_update(&keys).await?;
    let mut people: BTreeMap<String, Person> =
        known.into_iter().map(|contact| (contact.email.key(), Person::Known(Box::new(Known::of(contact))))).collect();
    let mut report = ImportReport::default();
    for row in &command.rows {
        match take(&mut people, row) {
            Ok(Taken::Created) => report.created += 1,
            Ok(Taken::Updated) => report.updated += 1,
            Ok(Taken::Unchanged) => report.skipped += 1,
            Err(problems) => {
                report.skipped += 1;
                report.problems.extend(problems.0.into_iter().map(|problem| RowProblem {
                    line: row.line,
                    problem: CellProblem::row(&problem.code, problem.detail),
                }));
            }
        }
    }
    let imported = store(tx, people).await?;
    if let Some(segment) = command.segment
        && !tx.contacts().join_segment(segment, &imported).await?
    {
        return Err(ImportContactsError::NoSuchSegment);
    }
    Ok(report)
}

/// Somebody whom the batch is about.
enum Person {
    New(NewContact),
    Known(Box<Known>),
}

/// Somebody stored before, and what is to become of it, if anything.
struct Known {
    before: Contact,
    after: Option<Contact>,
    /// Whether some row could be imported; a contact whose rows were all refused joins no segment.
    taken: bool,
}

impl Known {
    fn of(before: Contact) -> Self {
        Self { before, after: None, taken: false }
    }
}

enum Taken {
    Created,
    Updated,
    Unchanged,
}

fn take(people: &mut BTreeMap<String, Person>, row: &ImportRow) -> Result<Taken, FieldProblems> {
    let key = row.email.key();
    let changed = match people.get_mut(&key) {
        None => {
            people.insert(key, Person::New(row.create()?));
            return Ok(Taken::Created);
        }
        Some(Person::New(new)) => row.edit.apply(&mut new.email, &mut new.facts)?,
        Some(Person::Known(known)) => {
            let revised = row.edit.revise(known.after.as_ref().unwrap_or(&known.before))?;
            known.taken = true;
            let changed = revised.is_some();
            known.after = revised.or(known.after.take());
            changed
        }
    };
    Ok(if changed { Taken::Updated } else { Taken::Unchanged })
}

/// Writes the batch; gives back everybody who was imported.
async fn store(tx: &mut Tx, people: BTreeMap<String, Person>) -> Result<Vec<ContactNo>, StoreError> {
    let now = tx.now().await?;
    let mut imported = Vec::with_capacity(people.len());
    let (mut new, mut revisions) = (Vec::new(), Vec::new());
    for person in people.into_values() {
        match person {
            Person::New(contact) => new.push(contact),
            Person::Known(known) => {
                if known.taken {
                    imported.push(known.before.no);
                }
                let Known { before, after, .. } = *known;
                revisions.extend(after.map(|after| Revision { before, after }));
            }
        }
    }
    if !new.is_empty() {
        let wanted = new.len();
        let stored = tx.contacts().insert(new, now).await?;
        // Somebody stored one of them since the batch was read: read it again.
        if stored.len() != wanted {
            return Err(StoreError::Conflict);
        }
        imported.extend(stored.iter().map(|contact| contact.no));
    }
    if !revisions.is_empty() {
        tx.contacts().save(&revisions, now).await?;
    }
    Ok(imported)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::EmailAddress;
    use crate::model::contact::edit::ContactEdit;
    use crate::testing::MockUnit;

    fn row(line: u64, email: &str, city: &str) -> ImportRow {
        let mut edit = ContactEdit::default();
        edit.set_text("city", city).unwrap();
        ImportRow { line, email: EmailAddress::parse(email).unwrap(), edit }
    }

    fn batch(rows: Vec<ImportRow>) -> ImportContacts {
        ImportContacts { rows, segment: None }
    }

    #[tokio::test]
    async fn addresses_are_looked_up_once_each_and_in_order() {
        let mut unit = MockUnit::default();
        let keys = |keys: &[String]| keys == ["a@example.org", "b@example.org"];
        unit.contacts.expect_find_by_email_for_update().once().withf(keys).returning(|_| Ok(Vec::new()));
        unit.contacts.expect_insert().once().withf(|new, _| new.len() == 2).returning(|_, _| Err(StoreError::Conflict));
        let rows = vec![row(2, "b@example.org", "x"), row(3, "A@example.org", "y"), row(4, "B@example.org", "z")];
        assert!(import_contacts(&mut unit.into_tx(), &batch(rows)).await.is_err());
    }

    #[tokio::test]
    async fn an_address_stored_by_somebody_else_meanwhile_makes_the_batch_begin_again() {
        let mut unit = MockUnit::default();
        unit.contacts.expect_find_by_email_for_update().once().returning(|_| Ok(Vec::new()));
        unit.contacts.expect_insert().once().returning(|_, _| Ok(Vec::new()));
        let done = import_contacts(&mut unit.into_tx(), &batch(vec![row(2, "a@example.org", "x")])).await;
        assert!(matches!(done, Err(ImportContactsError::Store(StoreError::Conflict))));
    }
}
