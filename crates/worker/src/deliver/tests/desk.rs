//! A desk whose letters say nothing.

use muster_domain::ports::templates::{MockComposer, MockTemplates};
use muster_domain::ports::tokens::MockTokens;
use muster_domain::ports::tracking::{Marks, NumberedTemplate, Tracker};
use muster_domain::ports::transport::{Envelope, WireMessage};
use muster_domain::usecases::write_letter::Desk;
use std::sync::Arc;

pub(super) fn desk() -> Desk {
    let (mut templates, mut composer, mut tokens) = (MockTemplates::new(), MockComposer::new(), MockTokens::new());
    templates.expect_render().returning(|_, source, _| Ok(source.to_owned()));
    tokens.expect_seal().returning(|_, _| "sealed".to_owned());
    composer.expect_compose().returning(|parts| {
        let envelope = Envelope { from: parts.from_email.clone(), to: parts.to_email.clone() };
        Ok(WireMessage { envelope, data: Vec::new() })
    });
    Desk {
        templates: Arc::new(templates),
        composer: Arc::new(composer),
        tokens: Arc::new(tokens),
        tracker: Arc::new(NoTracker),
        public_url: "http://muster.test".to_owned(),
        bounce_domain: None,
    }
}

/// Nothing is rewritten here.
pub(crate) struct NoTracker;

impl Tracker for NoTracker {
    fn number(&self, template: &str) -> Arc<NumberedTemplate> {
        Arc::new(NumberedTemplate { source: template.to_owned(), marked: false, links: Vec::new() })
    }

    fn track(&self, html: &str, _: &Marks<'_>) -> String {
        html.to_owned()
    }
}
