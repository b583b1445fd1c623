//! `GET /api/contacts/{id}/export`

use super::contact::ContactResponse;
use crate::csv_table::attachment;
use crate::endpoints::enrollments::get_enrollment::WayResponse;
use crate::endpoints::suppressions::SuppressionResponse;
use crate::extract::{AudienceRead, Can, InPath};
use crate::problem::Problem;
use crate::timestamp::Timestamp;
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::model::ids::ContactId;
use muster_domain::model::suppression::Suppressible;
use muster_domain::ports::idempotency::Mention;
use muster_domain::usecases::export_contact::{self as story, PersonalData};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// Everything that is held about one person.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PersonalData)]
pub(crate) struct PersonalDataResponse {
    exported_at: Timestamp,
    /// What is known of the person.
    contact: ContactResponse,
    /// The lists it was put on.
    segments: Vec<MembershipResponse>,
    /// What keeps its address from being mailed.
    suppressions: Vec<SuppressionResponse>,
    /// The campaigns it was ever in, the oldest first: where it stands there, and what happened, every mail included.
    campaigns: Vec<CampaignWayResponse>,
    /// Answers to requests with an `Idempotency-Key` that mention it; kept for a day.
    stored_answers: Vec<MentionResponse>,
}

/// A list of contacts.
#[derive(Serialize, ToSchema)]
#[schema(as = Membership)]
pub(crate) struct MembershipResponse {
    id: Uuid,
    name: String,
}

/// The way through one campaign.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CampaignWay)]
pub(crate) struct CampaignWayResponse {
    campaign_id: Uuid,
    campaign_name: String,
    way: WayResponse,
}

/// A stored answer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StoredAnswer)]
pub(crate) struct MentionResponse {
    /// The key, in the caller's words.
    key: String,
    stored_at: Timestamp,
    /// The HTTP status.
    status: u16,
    /// The body as JSON; null when it has none.
    #[schema(required)]
    body: Option<Value>,
}

impl From<Mention> for MentionResponse {
    fn from(mention: Mention) -> Self {
        let body = serde_json::from_slice(&mention.answer.body).ok();
        Self { key: mention.key, stored_at: mention.stored_at.into(), status: mention.answer.status, body }
    }
}

impl From<PersonalData> for PersonalDataResponse {
    fn from(data: PersonalData) -> Self {
        let address = Suppressible::Address(data.contact.email.clone());
        let suppression = |entry| SuppressionResponse::found(entry, &address);
        let way = |way: muster_domain::usecases::get_enrollment::Way| CampaignWayResponse {
            campaign_id: way.campaign.id.0,
            campaign_name: way.campaign.content.name.clone(),
            way: WayResponse::from(way),
        };
        Self {
            exported_at: data.exported_at.into(),
            contact: data.contact.into(),
            segments: data.segments.into_iter().map(|(id, name)| MembershipResponse { id: id.0, name }).collect(),
            suppressions: data.suppressions.into_iter().map(suppression).collect(),
            campaigns: data.ways.into_iter().map(way).collect(),
            stored_answers: data.answers.into_iter().map(Into::into).collect(),
        }
    }
}

/// Everything that is held about one person, to hand out on request (GDPR articles 15 and 20): what is known of the
/// contact, its lists, what suppresses its address, its way through every campaign with every mail, and stored answers
/// that mention it.
#[utoipa::path(
    operation_id = "export_contact",
    tag = "contacts",
    params(("id" = Uuid, Path, description = "The contact")),
    responses((status = 200, description = "Everything", body = PersonalDataResponse))
)]
#[get("/{id}/export")]
pub(crate) async fn export_contact(caller: Can<AudienceRead>, InPath(id): InPath<ContactId>) -> Answer {
    let data = caller.read(async |tx| story::export_contact(tx, id).await).await?.ok_or(Problem::NotFound)?;
    Ok(HttpResponse::Ok()
        .insert_header(attachment(format!("contact-{id}.json")))
        .json(PersonalDataResponse::from(data)))
}
