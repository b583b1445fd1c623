//! Turning a campaign's texts and a contact's fields into a message.

use serde_json::Value;

/// Why a template is refused when it is written, or cannot be rendered for one contact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct TemplateError {
    /// A short machine-readable reason: `template_syntax`, `template_forbidden`, `template_too_large` (source or
    /// output), `template_runaway` (ran out of fuel), `template_failed` (a value does not fit what the template does).
    pub code: &'static str,
    /// What is wrong and on which line, in words for the author of the template; quotes no contact's values.
    pub detail: String,
}

/// How the output of a template is escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TemplateKind {
    /// HTML: values are escaped.
    Html,
    /// Plain text: values as they are.
    Text,
    /// A header: values as they are, and the output may hold no control character.
    Header,
}

/// The template engine: merge tags such as `{{ firstName | default("there") }}` and if/else, nothing that loops for long.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
pub trait Templates: Send + Sync {
    /// Checks a template when it is written: it must parse, use nothing forbidden, and end soon.
    fn check(&self, kind: TemplateKind, source: &str) -> Result<(), TemplateError>;
    /// Renders `source` over `values`. An absent field renders empty. Bounded in time and output size.
    fn render(&self, kind: TemplateKind, source: &str, values: &Value) -> Result<String, TemplateError>;
}

/// What a message is composed of, already rendered and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageParts {
    /// `From` address.
    pub from_email: String,
    /// `From` display name, may be empty.
    pub from_name: String,
    /// `Reply-To`, if any.
    pub reply_to: Option<String>,
    /// `To` address.
    pub to_email: String,
    /// `Subject`.
    pub subject: String,
    /// HTML part.
    pub html: String,
    /// Text part; made from the HTML when absent.
    pub text: Option<String>,
    /// The HTML as it was before its links led by way of us, from which the text part is made; `html` when absent.
    pub untracked_html: Option<String>,
    /// `Message-ID` without angle brackets, derived from the delivery so that a resend is recognisable.
    pub message_id: String,
    /// `Date`.
    pub date: chrono::DateTime<chrono::Utc>,
    /// One-click unsubscribe address (RFC 8058), if the mail carries one.
    pub unsubscribe_url: Option<String>,
}

/// Builds the bytes that go on the wire.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
pub trait Composer: Send + Sync {
    /// Composes a MIME message whose headers no field can inject into.
    fn compose(&self, parts: &MessageParts) -> Result<super::transport::WireMessage, ComposeError>;
}

/// A message that cannot be built; sending it again would not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("message cannot be composed: {field}: {reason}")]
pub struct ComposeError {
    /// Which field.
    pub field: &'static str,
    /// Why; holds no personal data.
    pub reason: String,
}
