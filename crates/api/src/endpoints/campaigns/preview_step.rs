//! `POST /api/campaigns/{id}/preview`

use super::recipient::read_recipient;
use crate::endpoints::contacts::fields::ContactFields;
use crate::extract::{Body, CampaignsRead, Can, Fields, FromFields, InPath};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::model::ids::{CampaignId, StepId};
use muster_domain::usecases::preview_step::{self as story, PreviewError, PreviewStep, Recipient, RenderedMail};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// What to render, and for whom.
#[derive(ToSchema)]
#[schema(as = PreviewStep, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what `PreviewRequest` reads")]
pub(crate) struct PreviewFields {
    /// An e-mail step; the first when absent.
    step_id: Option<Uuid>,
    /// A contact of the workspace.
    contact_id: Option<Uuid>,
    /// Somebody with these fields, in place of a contact.
    contact: Option<ContactFields>,
}

/// The same, read.
pub(crate) struct PreviewRequest {
    step: Option<StepId>,
    recipient: Recipient,
}

impl FromFields for PreviewRequest {
    const MAY_BE_EMPTY: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let step = fields.optional("stepId", |value| value.uuid().map(StepId));
        let recipient = read_recipient(fields);
        Some(Self { step: step?, recipient: recipient? })
    }
}

/// A mail with its merge tags filled in.
#[derive(Serialize, ToSchema)]
#[schema(as = Preview)]
pub(crate) struct PreviewResponse {
    subject: String,
    html: String,
    /// Null when the step has no text of its own: it is made from the HTML then.
    #[schema(required)]
    text: Option<String>,
}

impl From<RenderedMail> for PreviewResponse {
    fn from(mail: RenderedMail) -> Self {
        Self { subject: mail.subject, html: mail.html, text: mail.text }
    }
}

impl From<PreviewError> for Problem {
    fn from(error: PreviewError) -> Self {
        match error {
            PreviewError::NotFound => Self::NotFound,
            PreviewError::Invalid(problems) => Self::Invalid(problems),
            PreviewError::Store(error) => Self::Store(error),
        }
    }
}

/// Renders a step for a contact, for given fields, or for somebody of whom nothing is known. Sends nothing.
///
/// The texts are shown as they are written and filled in. What every mail has below them, postal address and unsubscribe
/// link, is seen in a test mail.
#[utoipa::path(
    operation_id = "preview_step",
    tag = "campaigns",
    params(("id" = Uuid, Path, description = "The campaign")),
    request_body = Option<PreviewFields>,
    responses((status = 200, description = "The mail", body = PreviewResponse))
)]
#[post("/{id}/preview")]
pub(crate) async fn preview_step(
    caller: Can<CampaignsRead>,
    InPath(id): InPath<CampaignId>,
    body: Body<PreviewRequest>,
) -> Answer {
    caller
        .write(&body.repeat, async |tx| -> Result<Reply, Problem> {
            let command = PreviewStep { id, step: body.step, recipient: body.recipient.clone() };
            let state = &caller.state;
            let mail = story::preview_step(tx, state.templates.as_ref(), &state.public_url, command).await?;
            let reply = Reply::ok(&PreviewResponse::from(mail))?;
            Ok(match &body.recipient {
                Recipient::Contact(id) => reply.about(*id),
                Recipient::Nobody | Recipient::Given(_) => reply,
            })
        })
        .await
}
