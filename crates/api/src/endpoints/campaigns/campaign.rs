//! A campaign as answers show it.

use crate::timestamp::Timestamp;
use chrono::NaiveDate;
use muster_domain::model::campaign::Campaign;
use muster_domain::model::guard_rails::GuardRails;
use muster_domain::model::principal::Principal;
use muster_domain::model::schedule::{Schedule, Settings, Window};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// How local times of day are written.
pub(crate) const TIME_OF_DAY: &str = "%H:%M";

/// A campaign.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Campaign)]
pub(crate) struct CampaignResponse {
    id: Uuid,
    tenant_id: Uuid,
    workspace_id: Uuid,
    name: String,
    #[schema(required)]
    description: Option<String>,
    #[schema(schema_with = crate::openapi::campaign_type)]
    campaign_type: &'static str,
    #[schema(schema_with = crate::openapi::campaign_status)]
    status: &'static str,
    /// Its audience.
    segment_id: Uuid,
    from_email: String,
    from_name: String,
    #[schema(required)]
    reply_to_email: Option<String>,
    schedule: ScheduleResponse,
    settings: SettingsResponse,
    /// Contacts ever enrolled.
    total_contacts: i64,
    /// Rises with every change; the `ETag`.
    version: i32,
    /// The user who made it, else the key.
    created_by: Uuid,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// When it is, or was, to start by itself.
    #[schema(required)]
    scheduled_at: Option<Timestamp>,
    #[schema(required)]
    launched_at: Option<Timestamp>,
    #[schema(required)]
    completed_at: Option<Timestamp>,
    enrollment: EnrollingResponse,
    /// Why a scheduled start was refused, or what else needs looking at.
    #[schema(required)]
    last_problem: Option<String>,
    /// Deliveries that have begun and whose outcome is not known yet; where it is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_flight: Option<i64>,
}

/// How far the enrolling of the audience has come.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Enrolling)]
pub(crate) struct EnrollingResponse {
    /// `none` before the launch, `running`, `done`.
    #[schema(value_type = String, example = "done")]
    state: &'static str,
    /// Contacts enrolled so far.
    enrolled: i64,
    /// The audience as it was counted at the launch.
    total: i64,
}

/// When a campaign may send.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Schedule)]
pub(crate) struct ScheduleResponse {
    #[schema(required)]
    start_at: Option<Timestamp>,
    /// Not supported yet: always null.
    #[schema(required)]
    end_at: Option<Timestamp>,
    /// A name of the IANA time zone database.
    timezone: &'static str,
    /// `scheduled` with a start, else `immediate`.
    #[schema(value_type = String, example = "immediate")]
    send_strategy: &'static str,
    #[schema(required)]
    window: Option<WindowResponse>,
    blackout_dates: Vec<NaiveDate>,
}

/// Local hours on local days in which mail may begin.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Window)]
pub(crate) struct WindowResponse {
    #[schema(value_type = Vec<String>, example = json!(["mon", "tue"]))]
    days: Vec<&'static str>,
    #[schema(example = "09:00")]
    from: String,
    #[schema(example = "17:00")]
    to: String,
}

/// How a campaign behaves. What is not supported yet has its default.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Settings)]
pub(crate) struct SettingsResponse {
    track_opens: bool,
    track_clicks: bool,
    unsubscribe_enabled: bool,
    /// Who sends and where they can be reached by post; stands in the footer of every mail.
    #[schema(required)]
    postal_address: Option<String>,
    #[schema(required)]
    daily_limit: Option<i32>,
    #[schema(required)]
    hourly_limit: Option<i32>,
    /// A contact that answers a mail of the campaign leaves it.
    stop_on_reply: bool,
    #[schema(value_type = String, example = "hold")]
    on_in_doubt: &'static str,
    /// When the campaign pauses itself.
    #[schema(required)]
    guard_rails: Option<GuardRailsResponse>,
}

/// Limits past which a campaign pauses itself.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GuardRails)]
pub(crate) struct GuardRailsResponse {
    /// So many of the mails tried may bounce, at once or later.
    #[schema(required)]
    max_bounce_rate: Option<f64>,
    /// So many of the mails delivered may be called spam.
    #[schema(required)]
    max_complaint_rate: Option<f64>,
    /// Before so many mails were tried nothing is judged.
    min_sample: i32,
}

impl From<GuardRails> for GuardRailsResponse {
    fn from(rails: GuardRails) -> Self {
        let GuardRails { max_bounce_rate, max_complaint_rate, min_sample } = rails;
        Self { max_bounce_rate, max_complaint_rate, min_sample }
    }
}

impl CampaignResponse {
    /// The campaign as the caller, whose workspace it belongs to, sees it.
    pub(crate) fn new(campaign: &Campaign, caller: &Principal) -> Self {
        let content = &campaign.content;
        Self {
            id: campaign.id.0,
            tenant_id: caller.tenant_id.0,
            workspace_id: caller.workspace_id.0,
            campaign_type: campaign.campaign_type.as_str(),
            status: campaign.status().as_str(),
            segment_id: campaign.segment_id.0,
            from_email: content.from_email.as_str().to_owned(),
            reply_to_email: content.reply_to_email.as_ref().map(|address| address.as_str().to_owned()),
            schedule: ScheduleResponse::from(&content.schedule),
            settings: SettingsResponse::from(&content.settings),
            total_contacts: campaign.total_contacts,
            version: campaign.version,
            created_by: campaign.created_by.0,
            created_at: campaign.created_at.into(),
            updated_at: campaign.updated_at.into(),
            scheduled_at: campaign.scheduled_at().map(Into::into),
            launched_at: campaign.lifecycle.launched_at().map(Into::into),
            completed_at: campaign.lifecycle.completed_at().map(Into::into),
            enrollment: EnrollingResponse {
                state: campaign.enrollment_state.as_str(),
                enrolled: campaign.total_contacts,
                total: campaign.enroll_total,
            },
            last_problem: campaign.last_problem.clone(),
            in_flight: None,
            name: content.name.clone(),
            description: content.description.clone(),
            from_name: content.from_name.clone(),
        }
    }

    /// The same, with how many deliveries are under way.
    pub(crate) fn in_flight(self, count: i64) -> Self {
        Self { in_flight: Some(count), ..self }
    }
}

impl From<&Schedule> for ScheduleResponse {
    fn from(schedule: &Schedule) -> Self {
        Self {
            start_at: schedule.start_at.map(Into::into),
            end_at: None,
            timezone: schedule.timezone.name(),
            send_strategy: schedule.send_strategy().as_str(),
            window: schedule.window.as_ref().map(WindowResponse::from),
            blackout_dates: schedule.blackout_dates.clone(),
        }
    }
}

impl From<&Window> for WindowResponse {
    fn from(window: &Window) -> Self {
        Self {
            days: window.days.iter().map(|day| day.as_str()).collect(),
            from: window.from.format(TIME_OF_DAY).to_string(),
            to: window.to.format(TIME_OF_DAY).to_string(),
        }
    }
}

impl From<&Settings> for SettingsResponse {
    fn from(settings: &Settings) -> Self {
        Self {
            track_opens: settings.track_opens,
            track_clicks: settings.track_clicks,
            unsubscribe_enabled: settings.unsubscribe_enabled,
            postal_address: settings.postal_address.clone(),
            daily_limit: settings.daily_limit,
            hourly_limit: settings.hourly_limit,
            stop_on_reply: settings.stop_on_reply,
            on_in_doubt: settings.on_in_doubt.as_str(),
            guard_rails: settings.guard_rails.map(GuardRailsResponse::from),
        }
    }
}
