//! `GET /api/campaigns/{id}/balance`

use crate::extract::{CampaignsRead, Can, InPath};
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::model::books::{Balance, StepBalance};
use muster_domain::model::ids::CampaignId;
use muster_domain::usecases::get_balance as story;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// The books of a campaign.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Balance)]
pub(crate) struct BalanceResponse {
    /// Whether every equation holds.
    balanced: bool,
    /// Ever enrolled: open + completed + exited.
    audience: i64,
    open: i64,
    completed: i64,
    exited: i64,
    /// One row for each step.
    steps: Vec<StepBalanceResponse>,
}

/// The books of a step. For an e-mail entered = pending + sent + failed + suppressed + skipped + inDoubt + cancelled; for
/// the others entered = pending + passed + cancelled. Every term is counted for itself.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StepBalance)]
pub(crate) struct StepBalanceResponse {
    step_id: Uuid,
    step_order: i16,
    name: String,
    #[schema(example = "email")]
    step_type: &'static str,
    entered: i64,
    pending: i64,
    passed: i64,
    sent: i64,
    failed: i64,
    suppressed: i64,
    skipped: i64,
    in_doubt: i64,
    cancelled: i64,
}

impl From<StepBalance> for StepBalanceResponse {
    fn from(step: StepBalance) -> Self {
        let figures = step.figures;
        Self {
            step_id: step.id.0,
            step_order: step.order,
            name: step.name,
            step_type: step.step_type.as_str(),
            entered: figures.entered,
            pending: figures.pending,
            passed: figures.passed,
            sent: figures.sent,
            failed: figures.failed,
            suppressed: figures.suppressed,
            skipped: figures.skipped,
            in_doubt: figures.in_doubt,
            cancelled: figures.cancelled,
        }
    }
}

impl From<Balance> for BalanceResponse {
    fn from(balance: Balance) -> Self {
        Self {
            balanced: balance.balanced(),
            audience: balance.campaign.audience,
            open: balance.campaign.open,
            completed: balance.campaign.completed,
            exited: balance.campaign.exited,
            steps: balance.steps.into_iter().map(Into::into).collect(),
        }
    }
}

/// The books of a campaign: who is where, what became of every mail, and whether it all adds up.
#[utoipa::path(
    operation_id = "get_balance",
    tag = "campaigns",
    params(("id" = Uuid, Path, description = "The campaign")),
    responses((status = 200, description = "The books", body = BalanceResponse))
)]
#[get("/{id}/balance")]
pub(crate) async fn get_balance(caller: Can<CampaignsRead>, id: InPath<CampaignId>) -> Answer {
    let balance = caller.read(async |tx| story::get_balance(tx, id.0).await).await?;
    Ok(HttpResponse::Ok().json(BalanceResponse::from(balance)))
}
