//! `GET /api/campaigns`

use super::campaign::CampaignResponse;
use crate::endpoints::reports::figures::FiguresResponse;
use crate::extract::{CampaignsRead, Can, Fields, FromFields, Listing, Page, PageParams, Params};
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use muster_domain::model::campaign::CampaignType;
use muster_domain::model::ids::CampaignNo;
use muster_domain::model::lifecycle::Status;
use muster_domain::ports::campaigns::{CampaignFilter, CampaignOrder, CampaignPlace, CampaignQuery, CampaignSummary};
use muster_domain::usecases::list_campaigns as story;
use serde::{Deserialize, Serialize};
use utoipa::openapi::Object;
use utoipa::{IntoParams, ToSchema};

/// Which campaigns, in which order.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes what `ListRequest` reads")]
pub(crate) struct ListParams {
    /// Those in this status.
    #[param(schema_with = crate::openapi::campaign_status)]
    status: Option<String>,
    /// Those of this type.
    #[param(rename = "campaignType", schema_with = crate::openapi::campaign_type)]
    campaign_type: Option<String>,
    /// Those whose name holds this, without regard to case.
    #[param(max_length = 200)]
    q: Option<String>,
    /// `createdAt`, `name`, and with a `-` in front the largest first; `-createdAt` unless given.
    #[param(schema_with = sorts)]
    sort: Option<String>,
}

/// The orders that can be asked for.
const SORTS: [(&str, CampaignOrder, bool); 4] = [
    ("createdAt", CampaignOrder::CreatedAt, false),
    ("-createdAt", CampaignOrder::CreatedAt, true),
    ("name", CampaignOrder::Name, false),
    ("-name", CampaignOrder::Name, true),
];

fn sorts() -> Object {
    crate::openapi::one_of(SORTS.map(|(name, ..)| name)).build()
}

/// The same, read.
pub(crate) struct ListRequest {
    page: Page,
    filter: CampaignFilter,
    sort: (&'static str, CampaignOrder, bool),
}

impl FromFields for ListRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let page = Page::read(fields);
        let statuses = Status::ALL.map(Status::as_str);
        let kinds = CampaignType::ALL.map(CampaignType::as_str);
        let names = SORTS.map(|(name, ..)| name);
        let status = fields.optional("status", |value| value.one_of(&statuses, Status::parse));
        let campaign_type = fields.optional("campaignType", |value| value.one_of(&kinds, CampaignType::parse));
        let name_contains = fields.optional("q", |value| value.text(0..=200));
        let sort = fields.or("sort", SORTS[1], |value| {
            value.one_of(&names, |name| SORTS.into_iter().find(|(known, ..)| *known == name))
        });
        let filter = CampaignFilter { status: status?, campaign_type: campaign_type?, name_contains: name_contains? };
        Some(Self { page: page?, filter, sort: sort? })
    }
}

/// A campaign in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = CampaignRow)]
pub(crate) struct RowResponse {
    #[serde(flatten)]
    campaign: CampaignResponse,
    /// What happened over its whole life.
    totals: TotalsResponse,
}

/// Headline figures of a campaign.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CampaignTotals)]
pub(crate) struct TotalsResponse {
    /// Contacts ever enrolled.
    total_contacts: i64,
    #[serde(flatten)]
    figures: FiguresResponse,
}

/// Where a page ended.
#[derive(Serialize, Deserialize)]
struct Position(DateTime<Utc>, String, CampaignNo);

impl Position {
    fn of(row: &CampaignSummary) -> Self {
        let campaign = &row.campaign;
        Self(campaign.created_at, campaign.content.name.clone(), campaign.no)
    }
}

/// The workspace's campaigns with their headline figures, the newest first unless sorted otherwise.
#[utoipa::path(
    operation_id = "list_campaigns",
    tag = "campaigns",
    params(ListParams, PageParams),
    responses((status = 200, description = "The campaigns", body = Listing<RowResponse>))
)]
#[get("")]
pub(crate) async fn list_campaigns(caller: Can<CampaignsRead>, request: Params<ListRequest>) -> Answer {
    let cursors = &caller.state.cursors;
    let (name, order, descending) = request.sort;
    let list = format!("campaigns:{name}");
    let after = request.page.after::<Position>(cursors, &list)?;
    let query = CampaignQuery {
        filter: request.filter.clone(),
        order,
        descending,
        after: after.map(|Position(created_at, name, no)| CampaignPlace { created_at, name, no }),
        limit: i64::from(request.page.probe()),
    };
    let rows = caller.read(async |tx| story::list_campaigns(tx, &query).await).await?;
    let listing = request.page.listing(cursors, &list, rows, Position::of, |row| RowResponse {
        totals: TotalsResponse { total_contacts: row.campaign.total_contacts, figures: row.counts.into() },
        campaign: CampaignResponse::new(&row.campaign, &caller),
    })?;
    Ok(HttpResponse::Ok().json(listing))
}
