//! `GET /api/deliveries`

use super::delivery::{DeliveryResponse, STATES, states};
use crate::extract::{CampaignsRead, Can, Fields, FromFields, Item, Listing, Page, PageParams, Params};
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::model::delivery::DeliveryState;
use muster_domain::model::ids::CampaignId;
use muster_domain::ports::deliveries::DeliveryFilter;
use muster_domain::usecases::list_deliveries as story;
use utoipa::IntoParams;
use uuid::Uuid;

/// Which deliveries.
pub(crate) struct ListParams {
    page: Page,
    campaign: Option<Uuid>,
    state: Option<DeliveryState>,
}

/// The filters, for the documentation.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes what `ListParams` reads")]
struct ListFilters {
    /// Only those of this campaign.
    #[param(rename = "campaignId")]
    campaign_id: Option<Uuid>,
    /// Only those that stand so.
    #[param(schema_with = states)]
    state: Option<String>,
}

impl FromFields for ListParams {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let page = Page::read(fields);
        let campaign = fields.optional("campaignId", Item::uuid);
        let named = |name: &str| STATES.into_iter().find(|(known, _)| *known == name).map(|(_, state)| state);
        let state = fields.optional("state", |value| value.one_of(&STATES.map(|(name, _)| name), named));
        Some(Self { page: page?, campaign: campaign?, state: state? })
    }
}

/// Mails, campaign by campaign: those to come, under way, and ended, each with what became of it.
#[utoipa::path(
    operation_id = "list_deliveries",
    tag = "deliveries",
    params(PageParams, ListFilters),
    responses((status = 200, description = "The deliveries", body = Listing<DeliveryResponse>))
)]
#[get("")]
pub(crate) async fn list_deliveries(caller: Can<CampaignsRead>, params: Params<ListParams>) -> Answer {
    let cursors = &caller.state.cursors;
    let after = params.page.after(cursors, "deliveries")?;
    let filter = DeliveryFilter { campaign: params.campaign.map(CampaignId), state: params.state };
    let limit = i64::from(params.page.probe());
    let rows = caller.read(async |tx| story::list_deliveries(tx, filter, after, limit).await).await?;
    let present = |row| DeliveryResponse::new(caller.state.tokens.as_ref(), row);
    Ok(HttpResponse::Ok().json(params.page.listing(cursors, "deliveries", rows, |row| row.key, present)?))
}
