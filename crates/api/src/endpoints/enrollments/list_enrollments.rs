//! `GET /api/campaigns/{id}/enrollments`

use super::enrollment::EnrollmentResponse;
use crate::extract::{CampaignsRead, Can, Fields, FromFields, InPath, Item, Listing, Page, PageParams, Params};
use crate::problem::Problem;
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::model::enrollment::EnrollmentStatus;
use muster_domain::model::ids::{CampaignId, ContactNo, StepId};
use muster_domain::usecases::list_enrollments::{self as story, ListEnrollments};
use utoipa::IntoParams;
use utoipa::openapi::Object;
use uuid::Uuid;

/// Which enrollments.
pub(crate) struct ListParams {
    page: Page,
    status: Option<EnrollmentStatus>,
    step: Option<Uuid>,
    email: Option<String>,
}

/// The filters, for the documentation.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes what `ListParams` reads")]
struct ListFilters {
    /// Only those in this status.
    #[param(schema_with = statuses)]
    status: Option<String>,
    /// Only those at this step.
    #[param(rename = "stepId")]
    step_id: Option<Uuid>,
    /// Only this address.
    #[param(min_length = 1, max_length = 320)]
    email: Option<String>,
}

/// The names of statuses.
const STATUSES: [&str; 5] = ["enrolled", "active", "paused", "completed", "exited"];

fn statuses() -> Object {
    crate::openapi::one_of(STATUSES).build()
}

impl FromFields for ListParams {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let page = Page::read(fields);
        let status = fields.optional("status", |value| value.one_of(&STATUSES, parse_status));
        let step = fields.optional("stepId", Item::uuid);
        let email = fields.optional("email", |value| value.text(1..=320));
        Some(Self { page: page?, status: status?, step: step?, email: email? })
    }
}

fn parse_status(name: &str) -> Option<EnrollmentStatus> {
    Some(match name {
        "enrolled" => EnrollmentStatus::Enrolled,
        "active" => EnrollmentStatus::Active,
        "paused" => EnrollmentStatus::Paused,
        "completed" => EnrollmentStatus::Completed,
        "exited" => EnrollmentStatus::Exited,
        _ => return None,
    })
}

/// The contacts of a campaign, in the order in which they were made.
#[utoipa::path(
    operation_id = "list_enrollments",
    tag = "enrollments",
    params(("id" = Uuid, Path, description = "The campaign"), PageParams, ListFilters),
    responses((status = 200, description = "The enrollments", body = Listing<EnrollmentResponse>))
)]
#[get("/{id}/enrollments")]
pub(crate) async fn list_enrollments(
    caller: Can<CampaignsRead>,
    id: InPath<CampaignId>,
    params: Params<ListParams>,
) -> Answer {
    let cursors = &caller.state.cursors;
    let list = format!("campaigns/{}/enrollments", id.0);
    let after: Option<i64> = params.page.after(cursors, &list)?;
    let command = ListEnrollments {
        id: id.0,
        status: params.status,
        step: params.step.map(StepId),
        email: params.email.clone(),
        after: after.map(ContactNo),
        limit: i64::from(params.page.probe()),
    };
    let found = caller.read(async |tx| story::list_enrollments(tx, command.clone()).await).await?;
    let (campaign, rows) = found.ok_or(Problem::NotFound)?;
    let present = |row| EnrollmentResponse::new(&campaign, row);
    Ok(HttpResponse::Ok().json(params.page.listing(cursors, &list, rows, |row| row.contact.0, present)?))
}
