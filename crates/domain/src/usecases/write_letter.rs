//! Making a contact's mail out of a step: render the texts, then compose the message.

use crate::model::contact::ContactFacts;
use crate::model::delivery::DeliveryKey;
use crate::model::footer::Footer;
use crate::model::merge::merge_values_with;
use crate::model::sequence::{EmailContent, StepKind};
use crate::ports::delivery::{Letter, Sender};
use crate::ports::templates::{ComposeError, Composer, MessageParts, TemplateError, TemplateKind, Templates};
use crate::ports::tokens::{TokenPurpose, Tokens, TrackedLink};
use crate::ports::tracking::{ATTRIBUTES, Marks, NumberedTemplate, Tracker};
use crate::ports::transport::WireMessage;
use std::sync::Arc;

/// What letters are written with. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    /// Fills in the texts.
    pub templates: Arc<dyn Templates>,
    /// Builds the message.
    pub composer: Arc<dyn Composer>,
    /// Names deliveries for the outside.
    pub tokens: Arc<dyn Tokens>,
    /// Puts in what counts opens and clicks.
    pub tracker: Arc<dyn Tracker>,
    /// Where unsubscribe links lead, without a slash at the end.
    pub public_url: String,
    /// The domain whose mail comes back to Muster. With one, every mail has a return path of its own there (VERP), which
    /// names the delivery to whoever reports that it bounced; without one, bounces go to the campaign's sender.
    pub bounce_domain: Option<String>,
}

/// Why a mail cannot be made; trying again would not help. Holds nothing personal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LetterError {
    /// The step is not in the sequence, or sends no mail.
    #[error("the step sends no mail")]
    NotAMail,
    /// A text cannot be rendered for this contact.
    #[error("{field}: {error}")]
    Template {
        /// Which text, as callers name it.
        field: &'static str,
        /// Why not.
        error: TemplateError,
    },
    /// The message cannot be built.
    #[error(transparent)]
    Compose(#[from] ComposeError),
}

/// The texts of a step, filled in.
struct RenderedTexts {
    subject: String,
    html: String,
    text: Option<String>,
}

/// Fills in the texts of a step for one contact, with `html` in the place of the step's own; `unsubscribe_url` is what
/// `{{ unsubscribeUrl }}` stands for.
fn render(
    templates: &dyn Templates,
    content: &EmailContent,
    html: &str,
    facts: &ContactFacts,
    unsubscribe_url: Option<&str>,
) -> Result<RenderedTexts, LetterError> {
    let values = merge_values_with(facts, unsubscribe_url);
    let fill_in = |field, kind, source: &str| {
        templates.render(kind, source, &values).map_err(|error| LetterError::Template { field, error })
    };
    Ok(RenderedTexts {
        subject: fill_in("subjectLine", TemplateKind::Header, &content.subject_line)?,
        html: fill_in("emailContent", TemplateKind::Html, html)?,
        text: content
            .text_content
            .as_deref()
            .map(|text| fill_in("textContent", TemplateKind::Text, text))
            .transpose()?,
    })
}

/// Makes the mail of a claimed delivery: the same bytes for the same delivery and the same facts, whenever it is made.
pub fn write_letter(desk: &Desk, letter: &Letter) -> Result<WireMessage, LetterError> {
    let key = letter.claimed.attempt.key;
    let step = letter.sequence.step(key.step).map(|step| &step.kind);
    let Some(StepKind::Email { content, .. }) = step else { return Err(LetterError::NotAMail) };
    let Sender { from_email, from_name, reply_to, unsubscribe, postal_address, .. } = letter.sender.as_ref();
    let unsubscribe_url = unsubscribe.then(|| unsubscribe_url(desk, key));
    let numbered = numbered(desk, letter, &content.email_content);
    let marked = numbered.as_ref().is_some_and(|numbered| numbered.marked);
    let html = numbered.as_ref().map_or(&content.email_content, |numbered| &numbered.source);
    let texts = render(desk.templates.as_ref(), content, html, &letter.facts, unsubscribe_url.as_deref())?;
    let footer = Footer { postal_address: postal_address.as_deref(), unsubscribe_url: unsubscribe_url.as_deref() };
    let html = footer.below_html(texts.html);
    let tracked = track(desk, letter, &html, unsubscribe_url.as_deref());
    let (html, untracked_html) = match tracked {
        Some(tracked) if texts.text.is_some() => (tracked, None),
        // The text is made of it, and must have no marks.
        Some(tracked) => (tracked, Some(if marked { desk.tracker.track(&html, &Marks::default()) } else { html })),
        None => (html, None),
    };
    let parts = MessageParts {
        from_email: from_email.as_str().to_owned(),
        from_name: from_name.clone(),
        reply_to: reply_to.as_ref().map(|address| address.as_str().to_owned()),
        to_email: letter.recipient.as_str().to_owned(),
        subject: texts.subject,
        html,
        text: texts.text.map(|text| footer.below_text(text)),
        untracked_html,
        message_id: format!("{}@{}", desk.tokens.seal(TokenPurpose::MessageId, key), from_email.domain()),
        date: letter.claimed.queued_at,
        unsubscribe_url,
    };
    let mut message = desk.composer.compose(&parts)?;
    if let Some(domain) = &desk.bounce_domain {
        message.envelope.from = format!("{}@{domain}", desk.tokens.seal(TokenPurpose::ReturnPath, key));
    }
    Ok(message)
}

/// The template to render, where its links are counted, or where it costs less to find the place of the image in it.
fn numbered(desk: &Desk, letter: &Letter, template: &str) -> Option<Arc<NumberedTemplate>> {
    let Sender { track_opens, track_clicks, .. } = *letter.sender;
    let numbered = (track_opens || track_clicks).then(|| desk.tracker.number(template))?;
    (track_clicks || numbered.marked).then_some(numbered)
}

/// The HTML with what counts opens and clicks; `None` where it stays as it is.
fn track(desk: &Desk, letter: &Letter, html: &str, unsubscribe_url: Option<&str>) -> Option<String> {
    let Sender { track_opens, track_clicks, .. } = *letter.sender;
    if !track_opens && !track_clicks && !html.contains(ATTRIBUTES) {
        return None;
    }
    let delivery = letter.claimed.attempt.key;
    let pixel = format!("{}/t/o/{}.gif", desk.public_url, desk.tokens.seal(TokenPurpose::Open, delivery));
    let trap = format!("{}/t/h/{}", desk.public_url, desk.tokens.seal(TokenPurpose::Trap, delivery));
    let links = |link, target: &str| {
        let token = desk.tokens.seal_link(&TrackedLink { delivery, link, target: target.to_owned() });
        format!("{}/t/c/{token}", desk.public_url)
    };
    let marks = Marks {
        pixel: track_opens.then_some(pixel.as_str()),
        trap: track_clicks.then_some(trap.as_str()),
        links: if track_clicks { Some(&links) } else { None },
        spared: unsubscribe_url,
    };
    Some(desk.tracker.track(html, &marks))
}

fn unsubscribe_url(desk: &Desk, key: DeliveryKey) -> String {
    format!("{}/u/{}", desk.public_url, desk.tokens.seal(TokenPurpose::Unsubscribe, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::address::EmailAddress;
    use crate::model::delivery::{Attempt, Epoch};
    use crate::model::events::ClickedLink;
    use crate::model::ids::{CampaignNo, ContactNo, LinkNo, Pass, SequenceVersion, StepId, StepNo, TenantNo};
    use crate::model::sequence::{Explicit, Sequence, Step, Target};
    use crate::ports::delivery::Claimed;
    use crate::ports::templates::{MockComposer, MockTemplates};
    use crate::ports::tokens::MockTokens;
    use crate::ports::transport::Envelope;

    fn letter(unsubscribe: bool) -> Letter {
        let address = |text| EmailAddress::parse(text).unwrap();
        let key = DeliveryKey {
            tenant: TenantNo(1),
            campaign: CampaignNo(2),
            contact: ContactNo(3),
            step: StepNo(4),
            pass: Pass(5),
        };
        let content = EmailContent {
            subject_line: "subject".to_owned(),
            email_content: "html".to_owned(),
            text_content: None,
            variants: Vec::new(),
        };
        let kind = StepKind::Email { content, next: Target::End };
        let step = Step {
            no: StepNo(4),
            id: StepId(uuid::Uuid::nil()),
            order: 1,
            name: "mail".to_owned(),
            kind,
            explicit: Explicit::default(),
        };
        Letter {
            claimed: Claimed {
                attempt: Attempt { key, epoch: Epoch(6) },
                version: SequenceVersion(1),
                attempts: 0,
                queued_at: "2026-07-01T10:00:00Z".parse().unwrap(),
            },
            recipient: address("ada@example.org"),
            facts: ContactFacts::default(),
            sender: Arc::new(Sender {
                from_email: address("news@Example.com"),
                from_name: "News".to_owned(),
                reply_to: None,
                unsubscribe,
                postal_address: unsubscribe.then(|| "1 Main Street".to_owned()),
                track_opens: false,
                track_clicks: false,
            }),
            sequence: Arc::new(Sequence { steps: vec![step] }),
        }
    }

    /// Says what it was told to do; marks templates unless they say that they cannot be.
    struct PlainTracker;

    impl Tracker for PlainTracker {
        fn number(&self, template: &str) -> Arc<NumberedTemplate> {
            let marked = !template.contains("odd");
            let source = format!("{} {template}", if marked { "marked" } else { "numbered" });
            Arc::new(NumberedTemplate { source, marked, links: Vec::new() })
        }

        fn track(&self, html: &str, marks: &Marks<'_>) -> String {
            if marks.pixel.is_none() && marks.links.is_none() {
                return html.replace("marked ", "");
            }
            let link = marks.links.map(|link| link(ClickedLink { no: LinkNo(7), of: 2 }, "target"));
            format!("{html} pixel {:?} link {link:?} trap {:?} spared {:?}", marks.pixel, marks.trap, marks.spared)
        }
    }

    fn desk(composer: MockComposer) -> Desk {
        let mut templates = MockTemplates::new();
        templates.expect_render().returning(|_, source, _| Ok(format!("<{source}>")));
        let mut tokens = MockTokens::new();
        tokens.expect_seal().returning(|purpose, key| format!("{purpose:?}{}", key.contact.0));
        tokens.expect_seal_link().returning(|link| format!("{}-of-{}-{}", link.link.no.0, link.link.of, link.target));
        Desk {
            templates: Arc::new(templates),
            composer: Arc::new(composer),
            tokens: Arc::new(tokens),
            tracker: Arc::new(PlainTracker),
            public_url: "https://m.example".to_owned(),
            bounce_domain: None,
        }
    }

    #[test]
    fn with_a_bounce_domain_every_mail_comes_back_to_an_address_of_its_own() {
        let sent_from = |bounce_domain: Option<&str>| {
            let mut composer = MockComposer::new();
            composer.expect_compose().returning(|parts| {
                let envelope = Envelope { from: parts.from_email.clone(), to: parts.to_email.clone() };
                Ok(WireMessage { envelope, data: Vec::new() })
            });
            let desk = Desk { bounce_domain: bounce_domain.map(str::to_owned), ..desk(composer) };
            write_letter(&desk, &letter(true)).unwrap().envelope
        };
        assert_eq!(sent_from(Some("bounces.example")).from, "ReturnPath3@bounces.example");
        assert_eq!(sent_from(Some("bounces.example")).to, "ada@example.org");
        assert_eq!(sent_from(None).from, "news@Example.com");
    }

    fn composed(letter: &Letter) -> MessageParts {
        let seen: Arc<std::sync::Mutex<Option<MessageParts>>> = Arc::default();
        let mut composer = MockComposer::new();
        let keep = Arc::clone(&seen);
        composer.expect_compose().returning(move |parts| {
            *keep.lock().unwrap() = Some(parts.clone());
            let envelope = Envelope { from: parts.from_email.clone(), to: parts.to_email.clone() };
            Ok(WireMessage { envelope, data: Vec::new() })
        });
        write_letter(&desk(composer), letter).unwrap();
        seen.lock().unwrap().take().unwrap()
    }

    #[test]
    fn a_letter_is_named_after_its_delivery_and_the_senders_domain() {
        let parts = composed(&letter(true));
        assert_eq!(parts.message_id, "MessageId3@example.com");
        assert_eq!(parts.unsubscribe_url.as_deref(), Some("https://m.example/u/Unsubscribe3"));
        assert_eq!(parts.subject, "<subject>");
        let (html, footer) = parts.html.split_once("<div").unwrap();
        assert_eq!(html, "<html>");
        assert!(footer.contains("1 Main Street<br><a href=\"https://m.example/u/Unsubscribe3\""), "{footer}");
        assert_eq!(parts.date, letter(true).claimed.queued_at);
    }

    #[test]
    fn a_later_attempt_makes_the_same_letter() {
        let mut again = letter(true);
        again.claimed.attempt.epoch = Epoch(60);
        again.claimed.attempts = 9;
        assert_eq!(composed(&again), composed(&letter(true)));
    }

    #[test]
    fn without_unsubscribing_there_is_no_link() {
        let parts = composed(&letter(false));
        assert_eq!((parts.unsubscribe_url, parts.html.as_str()), (None, "<html>"));
    }

    fn tracked(template: &str, text: Option<&str>, opens: bool, clicks: bool) -> MessageParts {
        let mut letter = letter(true);
        let sender = (*letter.sender).clone();
        letter.sender = Arc::new(Sender { track_opens: opens, track_clicks: clicks, postal_address: None, ..sender });
        let mut sequence = (*letter.sequence).clone();
        let StepKind::Email { content, .. } = &mut sequence.steps[0].kind else { panic!("no mail") };
        template.clone_into(&mut content.email_content);
        content.text_content = text.map(str::to_owned);
        letter.sequence = Arc::new(sequence);
        composed(&letter)
    }

    const SPARED: &str = "spared Some(\"https://m.example/u/Unsubscribe3\")";
    const PIXEL: &str = "pixel Some(\"https://m.example/t/o/Open3.gif\")";
    const LINK: &str = "link Some(\"https://m.example/t/c/7-of-2-target\") trap Some(\"https://m.example/t/h/Trap3\")";

    #[test]
    fn opens_and_clicks_are_counted_as_the_campaign_says() {
        let (unseen, unfollowed) = ("pixel None", "link None trap None");
        for (opens, clicks, odd, told) in [
            (true, false, "<odd>", format!("{PIXEL} {unfollowed} {SPARED}")),
            (false, true, "<numbered odd>", format!("{unseen} {LINK} {SPARED}")),
            (true, true, "<numbered odd>", format!("{PIXEL} {LINK} {SPARED}")),
        ] {
            let marked = tracked("html", None, opens, clicks);
            assert!(marked.html.starts_with("<marked html>") && marked.html.ends_with(&told), "{}", marked.html);
            let plain = marked.untracked_html.unwrap();
            assert!(plain.starts_with("<html>") && plain.contains("/u/Unsubscribe3"), "{plain}");
            let read = tracked("odd", None, opens, clicks);
            let plain = read.untracked_html.unwrap();
            assert!(plain.starts_with(odd) && plain.contains("/u/Unsubscribe3"), "{plain}");
            assert_eq!(read.html, format!("{plain} {told}"));
        }
        let plain = tracked("html", None, false, false);
        assert!(plain.html.starts_with("<html>") && !plain.html.contains("pixel") && plain.untracked_html.is_none());
    }

    #[test]
    fn a_mail_that_has_a_text_needs_no_html_to_make_one_of() {
        for template in ["html", "odd"] {
            let parts = tracked(template, Some("text"), true, true);
            assert!(parts.text.unwrap().starts_with("<text>") && parts.untracked_html.is_none());
        }
    }

    #[test]
    fn a_step_that_is_not_there_makes_no_letter() {
        let mut lost = letter(true);
        lost.sequence = Arc::new(Sequence::default());
        assert_eq!(write_letter(&desk(MockComposer::new()), &lost).map(|_| ()), Err(LetterError::NotAMail));
    }
}
