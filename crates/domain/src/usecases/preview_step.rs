//! Rendering a step for somebody, without sending anything.

use crate::model::campaign::Campaign;
use crate::model::contact::ContactFacts;
use crate::model::footer::TEST_TOKEN;
use crate::model::ids::{CampaignId, ContactId, StepId};
use crate::model::merge::merge_values_with;
use crate::model::problem::FieldProblems;
use crate::model::sequence::{EmailContent, Sequence, StepKind};
use crate::ports::store::{StoreError, Tx};
use crate::ports::templates::{TemplateKind, Templates};

/// For whom a mail is rendered.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Recipient {
    /// Somebody of whom nothing is known.
    #[default]
    Nobody,
    /// A contact of the workspace.
    Contact(ContactId),
    /// Somebody with these fields.
    Given(ContactFacts),
}

/// Render this.
#[derive(Debug, Clone, PartialEq)]
pub struct PreviewStep {
    /// Which campaign.
    pub id: CampaignId,
    /// Which of its e-mail steps; the first when absent.
    pub step: Option<StepId>,
    /// For whom.
    pub recipient: Recipient,
}

/// Why nothing was rendered or sent.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// There is no such campaign in this workspace.
    #[error("no such campaign")]
    NotFound,
    /// The command says something impossible, or the template fails for these fields.
    #[error("{0}")]
    Invalid(FieldProblems),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A mail with its merge tags filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedMail {
    /// `Subject`.
    pub subject: String,
    /// HTML part.
    pub html: String,
    /// Text part; absent when the step has none and it is made from the HTML.
    pub text: Option<String>,
}

/// The step's texts as the recipient would get them, but for the unsubscribe link, which belongs to nobody. What stands
/// below every mail is not part of a step; a test mail shows it. `public_url` is where links lead, without a slash at the
/// end.
pub async fn preview_step(
    tx: &mut Tx,
    templates: &dyn Templates,
    public_url: &str,
    command: PreviewStep,
) -> Result<RenderedMail, PreviewError> {
    let (campaign, content, facts) = load(tx, command).await?;
    let link = test_link(&campaign, public_url);
    render(templates, link.as_deref(), &content, &facts).map_err(PreviewError::Invalid)
}

/// The unsubscribe link of mails that are no deliveries.
pub(super) fn test_link(campaign: &Campaign, public_url: &str) -> Option<String> {
    campaign.content.settings.unsubscribe_enabled.then(|| format!("{public_url}/u/{TEST_TOKEN}"))
}

/// The campaign, what the step says, and what is known of the recipient.
pub(super) async fn load(
    tx: &mut Tx,
    command: PreviewStep,
) -> Result<(Campaign, EmailContent, ContactFacts), PreviewError> {
    let found = tx.campaigns().find_with_steps(command.id).await?;
    let (campaign, sequence) = found.ok_or(PreviewError::NotFound)?;
    let mut problems = FieldProblems::default();
    let content = problems.keep("/stepId", email(&sequence, command.step));
    let facts = match command.recipient {
        Recipient::Nobody => Some(ContactFacts::default()),
        Recipient::Given(facts) => Some(facts),
        Recipient::Contact(id) => {
            let contact = tx.contacts().find(id).await?;
            if contact.is_none() {
                problems.add("/contactId", "unknown_contact", "there is no such contact");
            }
            contact.map(|contact| contact.facts)
        }
    };
    match (content, facts) {
        (Some(content), Some(facts)) => Ok((campaign, content, facts)),
        _ => Err(PreviewError::Invalid(problems)),
    }
}

/// What the e-mail step says that is asked for.
fn email(sequence: &Sequence, id: Option<StepId>) -> Result<EmailContent, FieldProblems> {
    let named = id.map(|id| sequence.steps.iter().find(|step| step.id == id));
    let content = |kind: &StepKind| match kind {
        StepKind::Email { content, .. } => Some(content.clone()),
        StepKind::Wait { .. } | StepKind::Condition { .. } | StepKind::Action { .. } => None,
    };
    match named {
        None => sequence
            .steps
            .iter()
            .find_map(|step| content(&step.kind))
            .ok_or_else(|| FieldProblems::one("", "no_email_step", "the campaign has no e-mail step")),
        Some(None) => Err(FieldProblems::one("", "unknown_step", "the campaign has no step with this id")),
        Some(Some(step)) => {
            content(&step.kind).ok_or_else(|| FieldProblems::one("", "no_email_step", "this step sends no e-mail"))
        }
    }
}

/// Fills the merge tags in, or names every text that fails for this recipient.
pub(super) fn render(
    templates: &dyn Templates,
    unsubscribe_url: Option<&str>,
    content: &EmailContent,
    facts: &ContactFacts,
) -> Result<RenderedMail, FieldProblems> {
    let values = merge_values_with(facts, unsubscribe_url);
    let mut problems = FieldProblems::default();
    let mut fill = |field: &str, kind, source: &str| {
        let filled = templates.render(kind, source, &values);
        let named = filled.map_err(|error| FieldProblems::one("", error.code, format!("{field}: {}", error.detail)));
        problems.keep("/stepId", named)
    };
    let subject = fill("subjectLine", TemplateKind::Header, &content.subject_line);
    let html = fill("emailContent", TemplateKind::Html, &content.email_content);
    let text = content.text_content.as_deref().and_then(|text| fill("textContent", TemplateKind::Text, text));
    problems.clone().into_result()?;
    match (subject, html) {
        (Some(subject), Some(html)) => Ok(RenderedMail { subject, html, text }),
        _ => Err(problems),
    }
}
