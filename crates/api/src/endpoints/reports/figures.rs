//! Figures as answers show them.

use muster_domain::model::figures::Counts;
use serde::Serialize;
use utoipa::ToSchema;

/// What happened, counted, and the rates.
///
/// Denominators: `deliveryRate` of sent and bounced together; the other rates of delivered. Opens, clicks, replies and
/// complaints are not counted yet and stay at zero.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Figures)]
pub(crate) struct FiguresResponse {
    /// Mails that the mail server accepted.
    emails_sent: i64,
    /// Of them, those not returned.
    emails_delivered: i64,
    /// Mails whose recipient was refused for good.
    emails_bounced: i64,
    unique_opens: i64,
    total_opens: i64,
    unique_clicks: i64,
    total_clicks: i64,
    replies: i64,
    spam_complaints: i64,
    /// Contacts that unsubscribed through a mail of the campaign.
    unsubscribes: i64,
    delivery_rate: f64,
    open_rate: f64,
    click_rate: f64,
    reply_rate: f64,
    unsubscribe_rate: f64,
}

impl From<Counts> for FiguresResponse {
    fn from(counts: Counts) -> Self {
        Self {
            emails_sent: counts.sent,
            emails_delivered: counts.delivered(),
            emails_bounced: counts.bounced,
            unique_opens: 0,
            total_opens: 0,
            unique_clicks: 0,
            total_clicks: 0,
            replies: 0,
            spam_complaints: 0,
            unsubscribes: counts.unsubscribed,
            delivery_rate: counts.delivery_rate(),
            open_rate: 0.0,
            click_rate: 0.0,
            reply_rate: 0.0,
            unsubscribe_rate: counts.unsubscribe_rate(),
        }
    }
}
