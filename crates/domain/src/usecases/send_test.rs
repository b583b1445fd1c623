//! Sending a step to a few addresses to look at it, without enrolling anybody.
//!
//! Two halves, because no mail is sent while a transaction is open: [`prepare_test`] reads and renders, [`send_test`]
//! sends. Nothing is booked: a test is no delivery.

use super::preview_step::{PreviewError, PreviewStep, Recipient, load, render, test_link};
use crate::model::address::EmailAddress;
use crate::model::campaign::Campaign;
use crate::model::contact::ContactFacts;
use crate::model::delivery::{Attempt, DeliveryKey, Epoch, SendOutcome};
use crate::model::footer::Footer;
use crate::model::ids::{CampaignId, ContactNo, Pass, StepId, StepNo};
use crate::model::problem::FieldProblems;
use crate::model::sequence::EmailContent;
use crate::ports::store::Tx;
use crate::ports::templates::{Composer, MessageParts, Templates};
use crate::ports::transport::{Journal, MailTransport, Phase};
use chrono::{DateTime, Utc};

/// A test goes to no more addresses than this.
pub const MAX_ADDRESSES: usize = 5;

/// Send this step to these addresses.
#[derive(Debug, Clone, PartialEq)]
pub struct SendTest {
    /// Which campaign.
    pub id: CampaignId,
    /// Which of its e-mail steps; the first when absent.
    pub step: Option<StepId>,
    /// As if for whom.
    pub recipient: Recipient,
    /// Where to; 1 to [`MAX_ADDRESSES`].
    pub emails: Vec<EmailAddress>,
}

/// What is to be sent to one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestMail {
    /// This.
    Mail(Box<MessageParts>),
    /// Nothing: the address is on the suppression list.
    Suppressed,
}

/// A test, ready to be sent: one entry for each address, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRun {
    of: DeliveryKey,
    mails: Vec<TestMail>,
}

/// What became of a test; addresses by their place in the command, from 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestReport {
    /// Accepted by the mail server.
    pub sent: Vec<usize>,
    /// Not accepted, and why.
    pub failed: Vec<(usize, String)>,
}

/// Renders the step for each address. Suppressed ones get nothing, tests included.
pub async fn prepare_test(
    tx: &mut Tx,
    templates: &dyn Templates,
    public_url: &str,
    command: SendTest,
) -> Result<TestRun, PreviewError> {
    if command.emails.is_empty() || command.emails.len() > MAX_ADDRESSES {
        let detail = format!("1 to {MAX_ADDRESSES} addresses");
        return Err(PreviewError::Invalid(FieldProblems::one("/emails", "out_of_range", detail)));
    }
    let (id, step, recipient) = (command.id, command.step, command.recipient);
    let (campaign, content, facts) = load(tx, PreviewStep { id, step, recipient }).await?;
    let now = tx.now().await?;
    let mut mails = Vec::with_capacity(command.emails.len());
    for (place, to) in command.emails.iter().enumerate() {
        let suppressed = !tx.suppressions().covering(to).await?.is_empty();
        mails.push(if suppressed {
            TestMail::Suppressed
        } else {
            let parts = mail((templates, public_url), &campaign, &content, &facts, (place, to), now);
            TestMail::Mail(Box::new(parts.map_err(PreviewError::Invalid)?))
        });
    }
    let of = DeliveryKey {
        tenant: campaign.tenant,
        campaign: campaign.no,
        contact: ContactNo(0),
        step: StepNo(0),
        pass: Pass(0),
    };
    Ok(TestRun { of, mails })
}

fn mail(
    (templates, public_url): (&dyn Templates, &str),
    campaign: &Campaign,
    content: &EmailContent,
    facts: &ContactFacts,
    (place, to): (usize, &EmailAddress),
    now: DateTime<Utc>,
) -> Result<MessageParts, FieldProblems> {
    let mut facts = facts.clone();
    facts.fields.entry("email".to_owned()).or_insert_with(|| to.as_str().to_owned());
    let link = test_link(campaign, public_url);
    let rendered = render(templates, link.as_deref(), content, &facts)?;
    let postal_address = campaign.content.settings.postal_address.as_deref();
    let footer = Footer { postal_address, unsubscribe_url: link.as_deref() };
    let from = &campaign.content.from_email;
    let stamp = now.timestamp_micros();
    Ok(MessageParts {
        from_email: from.as_str().to_owned(),
        from_name: campaign.content.from_name.clone(),
        reply_to: campaign.content.reply_to_email.as_ref().map(|address| address.as_str().to_owned()),
        to_email: to.as_str().to_owned(),
        subject: format!("[Test] {}", rendered.subject),
        html: footer.below_html(rendered.html),
        untracked_html: None,
        text: rendered.text.map(|text| footer.below_text(text)),
        message_id: format!("test.{}.{stamp}.{place}@{}", campaign.id, from.domain()),
        date: now,
        unsubscribe_url: None,
    })
}

/// Sends a prepared test, one mail after the other.
pub async fn send_test(transport: &dyn MailTransport, composer: &dyn Composer, run: TestRun) -> TestReport {
    let mut report = TestReport::default();
    let attempt = Attempt { key: run.of, epoch: Epoch(0) };
    for (place, mail) in run.mails.into_iter().enumerate() {
        let result = match mail {
            TestMail::Suppressed => Err("the address is on the suppression list".to_owned()),
            TestMail::Mail(parts) => send(transport, composer, attempt, &parts).await,
        };
        match result {
            Ok(()) => report.sent.push(place),
            Err(reason) => report.failed.push((place, reason)),
        }
    }
    report
}

async fn send(
    transport: &dyn MailTransport,
    composer: &dyn Composer,
    attempt: Attempt,
    parts: &MessageParts,
) -> Result<(), String> {
    let message = composer.compose(parts).map_err(|error| error.to_string())?;
    let mut session = transport.session().await.map_err(|error| error.to_string())?;
    session.reserve(&message).await.map_err(|error| error.to_string())?;
    match session.confirm(attempt, &message, &NoJournal).await {
        SendOutcome::Sent { .. } => Ok(()),
        SendOutcome::Retry { reason, .. } | SendOutcome::Failed { reason, .. } => Err(reason),
        SendOutcome::InDoubt { .. } => {
            Err("the connection was lost before the server replied: it may have arrived".to_owned())
        }
    }
}

/// A test that is lost is sent again by whoever wants it: nothing needs to be remembered.
struct NoJournal;

impl Journal for NoJournal {
    fn record(&self, _: Attempt, _: &Phase) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sequence::{Sequence, Target};
    use crate::model::suppression::{Entry, Suppression, SuppressionReason};
    use crate::ports::templates::{MockComposer, MockTemplates};
    use crate::ports::transport::{Envelope, MockMailSession, MockMailTransport, TransportError, WireMessage};
    use crate::testing::{MockUnit, a_campaign, a_step};

    fn addresses(list: &[&str]) -> Vec<EmailAddress> {
        list.iter().map(|text| EmailAddress::parse(text).unwrap()).collect()
    }

    /// A campaign with one e-mail step; `no@example.test` is suppressed.
    async fn prepared(emails: &[&str]) -> Result<TestRun, PreviewError> {
        let mut unit = MockUnit::at(DateTime::UNIX_EPOCH);
        unit.campaigns
            .expect_find_with_steps()
            .returning(|_| Ok(Some((a_campaign(), Sequence { steps: vec![a_step(1, Target::End)] }))));
        unit.suppressions.expect_covering().returning(|email| {
            let key = Some(email.key()).filter(|key| key == "no@example.test");
            let reason = SuppressionReason::Manual;
            let listed = |key| Suppression {
                entry: Entry::Address(key),
                reason,
                source: String::new(),
                created_at: DateTime::UNIX_EPOCH,
            };
            Ok(key.map(listed).into_iter().collect())
        });
        let mut templates = MockTemplates::new();
        templates.expect_render().returning(|_, source, values| Ok(format!("{source} for {}", values["email"])));
        let command =
            SendTest { id: a_campaign().id, step: None, recipient: Recipient::Nobody, emails: addresses(emails) };
        prepare_test(&mut unit.into_tx(), &templates, "https://m.test", command).await
    }

    fn composer() -> MockComposer {
        let mut composer = MockComposer::new();
        composer.expect_compose().returning(|parts| {
            let envelope = Envelope { from: parts.from_email.clone(), to: parts.to_email.clone() };
            Ok(WireMessage { envelope, data: parts.subject.clone().into_bytes() })
        });
        composer
    }

    #[tokio::test]
    async fn each_address_gets_its_own_mail_and_suppressed_ones_none() {
        let run = prepared(&["a@example.test", "NO@example.test"]).await.unwrap();
        let TestMail::Mail(first) = &run.mails[0] else { panic!("no mail") };
        assert_eq!(first.subject, "[Test] Mail 1 for \"a@example.test\"");
        assert_eq!(run.mails[1], TestMail::Suppressed);
        let mut transport = MockMailTransport::new();
        transport.expect_session().once().returning(|| {
            let mut session = MockMailSession::new();
            session.expect_reserve().once().returning(|_| Ok(()));
            session.expect_confirm().once().returning(|_, _, _| SendOutcome::Sent { reply: "ok".into() });
            Ok(Box::new(session))
        });
        let report = send_test(&transport, &composer(), run).await;
        assert_eq!(report.sent, [0]);
        assert_eq!(report.failed, [(1, "the address is on the suppression list".to_owned())]);
    }

    #[tokio::test]
    async fn a_mail_server_that_is_away_or_falls_silent_is_told() {
        let run = prepared(&["a@example.test", "b@example.test"]).await.unwrap();
        let mut transport = MockMailTransport::new();
        let mut calls = 0;
        transport.expect_session().returning(move || {
            calls += 1;
            if calls == 1 {
                return Err(TransportError::Unavailable("refused".into()));
            }
            let mut session = MockMailSession::new();
            session.expect_reserve().returning(|_| Ok(()));
            session.expect_confirm().returning(|_, _, _| SendOutcome::InDoubt { reason: "lost".into() });
            Ok(Box::new(session))
        });
        let report = send_test(&transport, &composer(), run).await;
        assert_eq!(report.sent, [0; 0]);
        let reasons: Vec<_> = report.failed.iter().map(|(place, reason)| format!("{place} {reason}")).collect();
        assert_eq!(reasons[0], "0 mail server unavailable: refused");
        assert!(reasons[1].contains("may have arrived"), "{reasons:?}");
    }

    #[tokio::test]
    async fn a_test_has_a_few_addresses() {
        let many = ["a@example.test"; MAX_ADDRESSES + 1];
        assert!(matches!(prepared(&many).await, Err(PreviewError::Invalid(_))));
        assert!(matches!(prepared(&[]).await, Err(PreviewError::Invalid(_))));
    }
}
