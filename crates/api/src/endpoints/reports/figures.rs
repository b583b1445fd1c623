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

impl FiguresResponse {
    /// The same figures as cells of a table, each under its JSON name and in the same order.
    pub(super) fn cells(&self) -> [(&'static str, String); 15] {
        [
            ("emailsSent", self.emails_sent.to_string()),
            ("emailsDelivered", self.emails_delivered.to_string()),
            ("emailsBounced", self.emails_bounced.to_string()),
            ("uniqueOpens", self.unique_opens.to_string()),
            ("totalOpens", self.total_opens.to_string()),
            ("uniqueClicks", self.unique_clicks.to_string()),
            ("totalClicks", self.total_clicks.to_string()),
            ("replies", self.replies.to_string()),
            ("spamComplaints", self.spam_complaints.to_string()),
            ("unsubscribes", self.unsubscribes.to_string()),
            ("deliveryRate", self.delivery_rate.to_string()),
            ("openRate", self.open_rate.to_string()),
            ("clickRate", self.click_rate.to_string()),
            ("replyRate", self.reply_rate.to_string()),
            ("unsubscribeRate", self.unsubscribe_rate.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeMap;

    #[test]
    fn a_table_has_the_figures_of_the_json_under_the_same_names() {
        let figures = FiguresResponse::from(Counts { sent: 7, bounced: 1, unsubscribed: 2 });
        let json: BTreeMap<String, Value> = serde_json::from_value(serde_json::to_value(figures).unwrap()).unwrap();
        let table = figures.cells().map(|(name, cell)| (name.to_owned(), cell.parse::<f64>().unwrap()));
        let told = json.into_iter().map(|(name, value)| (name, value.as_f64().unwrap()));
        assert_eq!(BTreeMap::from(table), told.collect());
    }
}
