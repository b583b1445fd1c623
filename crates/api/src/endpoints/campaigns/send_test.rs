//! `POST /api/campaigns/{id}/test`

use super::recipient::read_recipient;
use crate::endpoints::contacts::fields::ContactFields;
use crate::extract::{Body, CampaignsWrite, Can, Fields, FromFields, InPath};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::{Answer, Written};
use actix_web::post;
use muster_domain::model::address::EmailAddress;
use muster_domain::model::ids::{CampaignId, StepId};
use muster_domain::usecases::preview_step::Recipient;
use muster_domain::usecases::send_test::{self as story, MAX_ADDRESSES, SendTest, TestReport};
use serde::Serialize;
use std::cell::RefCell;
use utoipa::ToSchema;
use uuid::Uuid;

/// What to send, and where to.
#[derive(ToSchema)]
#[schema(as = SendTest, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what `TestRequest` reads")]
pub(crate) struct TestFields {
    /// An e-mail step; the first when absent.
    step_id: Option<Uuid>,
    #[schema(min_items = 1, max_items = 5)]
    emails: Vec<String>,
    /// As if for this contact of the workspace.
    contact_id: Option<Uuid>,
    /// As if for somebody with these fields, in place of a contact.
    contact: Option<ContactFields>,
}

/// The same, read.
pub(crate) struct TestRequest {
    step: Option<StepId>,
    emails: Vec<EmailAddress>,
    recipient: Recipient,
}

impl FromFields for TestRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let step = fields.optional("stepId", |value| value.uuid().map(StepId));
        let emails = fields.required("emails", |value| {
            value.list(1..=MAX_ADDRESSES, |address| address.parsed(u64::MAX, EmailAddress::parse))
        });
        let recipient = read_recipient(fields);
        Some(Self { step: step?, emails: emails?, recipient: recipient? })
    }
}

/// What became of a test; addresses by their place in the request, from 0.
#[derive(Serialize, ToSchema)]
#[schema(as = TestReport)]
pub(crate) struct TestResponse {
    /// Accepted by the mail server.
    sent: Vec<usize>,
    /// Not accepted.
    failed: Vec<TestFailure>,
}

/// A mail that was not accepted.
#[derive(Serialize, ToSchema)]
pub(crate) struct TestFailure {
    index: usize,
    reason: String,
}

impl From<TestReport> for TestResponse {
    fn from(report: TestReport) -> Self {
        let failed = report.failed.into_iter().map(|(index, reason)| TestFailure { index, reason });
        Self { sent: report.sent, failed: failed.collect() }
    }
}

/// Sends a step to a few addresses to look at it, its subject marked "[Test]". Nobody is enrolled and nothing counted;
/// suppressed addresses get nothing.
#[utoipa::path(
    operation_id = "send_test",
    tag = "campaigns",
    params(("id" = Uuid, Path, description = "The campaign")),
    request_body = TestFields,
    responses((status = 200, description = "What became of each", body = TestResponse))
)]
#[post("/{id}/test")]
pub(crate) async fn send_test(
    caller: Can<CampaignsWrite>,
    InPath(id): InPath<CampaignId>,
    body: Body<TestRequest>,
) -> Answer {
    let state = &caller.state;
    let transport = state.transport.as_deref().ok_or(Problem::Unavailable("no mail server is configured"))?;
    let prepared = RefCell::new(None);
    let written = caller
        .write_first(&body.repeat, async |tx| -> Result<Reply, Problem> {
            let TestRequest { step, emails, recipient } = &body.value;
            let command = SendTest { id, step: *step, recipient: recipient.clone(), emails: emails.clone() };
            let run = story::prepare_test(tx, state.templates.as_ref(), &state.public_url, command).await?;
            *prepared.borrow_mut() = Some(run);
            // What a repeat gets if this process dies while it sends: nothing is known of any.
            let reason = "it is not known whether this was sent".to_owned();
            let unknown = (0..emails.len()).map(|index| (index, reason.clone())).collect();
            Reply::ok(&TestResponse::from(TestReport { sent: Vec::new(), failed: unknown }))
        })
        .await?;
    let (Written::Done(_), Some(run)) = (&written, prepared.into_inner()) else { return Ok(written.into()) };
    let report = story::send_test(transport, state.composer.as_ref(), run).await;
    let reply = Reply::ok(&TestResponse::from(report))?;
    caller.restate(&body.repeat, &reply).await?;
    Ok(reply.into())
}
