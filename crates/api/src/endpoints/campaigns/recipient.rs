//! For whom a step is rendered: a contact, given fields, or nobody in particular.

use crate::extract::{Change, Fields};
use muster_domain::model::address::EmailAddress;
use muster_domain::model::contact::edit::ContactEdit;
use muster_domain::model::contact::{ContactFacts, TEXT_FIELDS};
use muster_domain::model::ids::ContactId;
use muster_domain::model::problem::FieldProblems;
use muster_domain::usecases::preview_step::Recipient;

/// Reads `contactId` or `contact`.
pub(super) fn read_recipient(fields: &mut Fields<'_>) -> Option<Recipient> {
    let id = fields.optional("contactId", |value| value.uuid().map(ContactId));
    let given = fields.optional("contact", |value| value.object(read_facts));
    match (id?, given?) {
        (None, None) => Some(Recipient::Nobody),
        (Some(id), None) => Some(Recipient::Contact(id)),
        (None, Some(facts)) => Some(Recipient::Given(facts)),
        (Some(_), Some(_)) => {
            fields.refuse("contact", "not_applicable", "give a contactId or a contact, not both");
            None
        }
    }
}

/// The fields of somebody who need not exist; even the address may be missing.
fn read_facts(fields: &mut Fields<'_>) -> Option<ContactFacts> {
    let mut edit = ContactEdit::default();
    let mut problems = FieldProblems::default();
    for name in TEXT_FIELDS.into_iter().chain(["tags", "leadScore", "customFields"]) {
        if let Some(Change::Set(value)) = fields.change(name, |item| Some(item.raw())) {
            problems.keep(&format!("/{name}"), edit.set(name, &value));
        }
    }
    let mut facts = ContactFacts::default();
    let address = edit.email.take();
    // The edit minds its own limits and wants an address to change; which one does not matter here.
    let applied = EmailAddress::parse("nobody@example.test").and_then(|mut other| edit.apply(&mut other, &mut facts));
    problems.keep("", applied);
    if let Some(address) = address {
        facts.fields.insert("email".to_owned(), address.into());
    }
    let fine = problems.0.is_empty();
    fields.refuse_all(problems);
    fine.then_some(facts)
}
