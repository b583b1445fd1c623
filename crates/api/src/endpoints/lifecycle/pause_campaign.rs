//! `POST /api/campaigns/{id}/pause`

use crate::endpoints::campaigns::campaign::CampaignResponse;
use crate::extract::{Body, CampaignsLaunch, Can, InPath, Nothing};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::{Answer, Written};
use actix_web::post;
use actix_web::rt::time::sleep;
use muster_domain::model::campaign::Campaign;
use muster_domain::model::ids::CampaignId;
use muster_domain::ports::store::StoreError;
use muster_domain::usecases::pause_campaign::{self as story, PauseCampaign};
use serde::Serialize;
use std::cell::RefCell;
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// How long a caller waits for deliveries under way before it is told their number.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often their number is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// A campaign that is paused.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Pause)]
pub(crate) struct PauseResponse {
    /// Always true: what fails is told as a problem.
    success: bool,
    /// The campaign, paused.
    campaign: CampaignResponse,
    /// Deliveries that had begun before and whose outcome is not known yet.
    in_flight: i64,
}

/// Pauses an active campaign. After the answer no delivery of it begins.
///
/// 200 once nothing of it is under way. 202 with their number when some deliveries still hang after ten seconds; `inFlight`
/// on the campaign shows how many are left. It is paused either way.
#[utoipa::path(
    operation_id = "pause_campaign",
    tag = "campaigns",
    params(("id" = Uuid, Path, description = "The campaign")),
    responses(
        (status = 200, description = "Paused, nothing under way", body = PauseResponse),
        (status = 202, description = "Paused, some deliveries still under way", body = PauseResponse)
    )
)]
#[post("/{id}/pause")]
pub(crate) async fn pause_campaign(
    caller: Can<CampaignsLaunch>,
    id: InPath<CampaignId>,
    body: Body<Nothing>,
) -> Answer {
    let paused = RefCell::new(None);
    let written = caller
        .write_first(&body.repeat, async |tx| {
            let campaign = story::pause_campaign(tx, PauseCampaign { id: id.0 }).await.map_err(Problem::from)?;
            let in_flight = story::in_flight(tx, &campaign).await?;
            // What a repeat gets if this process dies while it waits: paused, the rest unknown.
            let provisional = answer(&caller, &campaign, in_flight, false);
            *paused.borrow_mut() = Some(campaign);
            provisional
        })
        .await?;
    let (Written::Done(_), Some(campaign)) = (&written, paused.into_inner()) else {
        // The first request may still wait for begins, or have died waiting. The promise holds for every answer.
        await_begins(&caller, id.0).await?;
        return Ok(written.into());
    };
    let in_flight = settle(&caller, &campaign).await?;
    let reply = answer(&caller, &campaign, in_flight, in_flight == 0)?;
    caller.restate(&body.repeat, &reply).await?;
    Ok(reply.into())
}

/// Waits until no delivery can begin that saw the campaign active.
async fn await_begins(caller: &Can<CampaignsLaunch>, id: CampaignId) -> Result<(), Problem> {
    caller
        .read::<_, StoreError>(async |tx| match tx.campaigns().find(id).await? {
            Some(campaign) => story::await_begins(tx, &campaign).await,
            None => Ok(()),
        })
        .await
}

/// Waits until no delivery can begin any more, then for those under way, as long as a caller may be kept waiting.
async fn settle(caller: &Can<CampaignsLaunch>, campaign: &Campaign) -> Result<i64, Problem> {
    let since = Instant::now();
    caller.read(async |tx| story::await_begins(tx, campaign).await).await?;
    loop {
        let in_flight = caller.read::<_, StoreError>(async |tx| story::in_flight(tx, campaign).await).await?;
        if in_flight == 0 || since.elapsed() >= PATIENCE {
            return Ok(in_flight);
        }
        sleep(LOOK_EVERY).await;
    }
}

fn answer(caller: &Can<CampaignsLaunch>, campaign: &Campaign, in_flight: i64, settled: bool) -> Result<Reply, Problem> {
    let campaign = CampaignResponse::new(campaign, caller).in_flight(in_flight);
    let answer = PauseResponse { success: true, campaign, in_flight };
    if settled { Reply::ok(&answer) } else { Reply::accepted(&answer) }
}
