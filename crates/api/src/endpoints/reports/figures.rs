//! Figures as answers show them.

use muster_domain::model::figures::{Counts, Tally};
use serde::Serialize;
use utoipa::ToSchema;

/// What happened, counted, and the rates.
///
/// Unique figures count mails, each once, on the day of the first time. Opens and clicks are those of people; `all…`
/// figures have what programs did as well: scanners, image proxies, whoever follows every link at once. A mail that comes back is a
/// bounce of the day on which it came back, and from then on no delivery of the day on which it was sent: so no day has fewer than
/// none, and a day's `bounceRate` may be above 1. Denominators: `deliveryRate` and `bounceRate` of everything attempted (sent and
/// refused); the other rates are of delivered mails.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Figures)]
pub(crate) struct FiguresResponse {
    /// Mails that the mail server accepted.
    emails_sent: i64,
    /// Of them, those not returned until now, whenever they were.
    emails_delivered: i64,
    /// Mails whose recipient was refused for good at once, and mails that came back later.
    emails_bounced: i64,
    /// Mails whose arrival a provider has confirmed.
    emails_confirmed: i64,
    /// Mails that a person opened.
    unique_opens: i64,
    total_opens: i64,
    /// Mails that a person or a program opened.
    all_unique_opens: i64,
    all_total_opens: i64,
    /// Mails of which a person followed a link.
    unique_clicks: i64,
    total_clicks: i64,
    /// Mails of which a person or a program followed a link.
    all_unique_clicks: i64,
    all_total_clicks: i64,
    /// Mails that a person answered.
    replies: i64,
    spam_complaints: i64,
    /// Contacts that unsubscribed through a mail of the campaign.
    unsubscribes: i64,
    delivery_rate: f64,
    bounce_rate: f64,
    /// `uniqueOpens` of `emailsDelivered`.
    open_rate: f64,
    all_open_rate: f64,
    /// `uniqueClicks` of `emailsDelivered`.
    click_rate: f64,
    all_click_rate: f64,
    reply_rate: f64,
    complaint_rate: f64,
    unsubscribe_rate: f64,
}

impl From<Counts> for FiguresResponse {
    fn from(counts: Counts) -> Self {
        Self {
            emails_sent: counts.sent,
            emails_delivered: counts.delivered(),
            emails_confirmed: counts.confirmed,
            emails_bounced: counts.bounces(),
            unique_opens: counts.opens.human_unique,
            total_opens: counts.opens.human_total,
            all_unique_opens: counts.opens.unique,
            all_total_opens: counts.opens.total,
            unique_clicks: counts.clicks.human_unique,
            total_clicks: counts.clicks.human_total,
            all_unique_clicks: counts.clicks.unique,
            all_total_clicks: counts.clicks.total,
            replies: counts.replied,
            spam_complaints: counts.complained,
            unsubscribes: counts.unsubscribed,
            delivery_rate: counts.delivery_rate(),
            bounce_rate: counts.bounce_rate(),
            open_rate: counts.of_delivered(counts.opens.human_unique),
            all_open_rate: counts.of_delivered(counts.opens.unique),
            click_rate: counts.of_delivered(counts.clicks.human_unique),
            all_click_rate: counts.of_delivered(counts.clicks.unique),
            reply_rate: counts.of_delivered(counts.replied),
            complaint_rate: counts.of_delivered(counts.complained),
            unsubscribe_rate: counts.of_delivered(counts.unsubscribed),
        }
    }
}

impl FiguresResponse {
    /// The same figures as cells of a table, each under its JSON name and in the same order.
    pub(super) fn cells(&self) -> [(&'static str, String); 24] {
        [
            ("emailsSent", self.emails_sent.to_string()),
            ("emailsDelivered", self.emails_delivered.to_string()),
            ("emailsBounced", self.emails_bounced.to_string()),
            ("emailsConfirmed", self.emails_confirmed.to_string()),
            ("uniqueOpens", self.unique_opens.to_string()),
            ("totalOpens", self.total_opens.to_string()),
            ("allUniqueOpens", self.all_unique_opens.to_string()),
            ("allTotalOpens", self.all_total_opens.to_string()),
            ("uniqueClicks", self.unique_clicks.to_string()),
            ("totalClicks", self.total_clicks.to_string()),
            ("allUniqueClicks", self.all_unique_clicks.to_string()),
            ("allTotalClicks", self.all_total_clicks.to_string()),
            ("replies", self.replies.to_string()),
            ("spamComplaints", self.spam_complaints.to_string()),
            ("unsubscribes", self.unsubscribes.to_string()),
            ("deliveryRate", self.delivery_rate.to_string()),
            ("bounceRate", self.bounce_rate.to_string()),
            ("openRate", self.open_rate.to_string()),
            ("allOpenRate", self.all_open_rate.to_string()),
            ("clickRate", self.click_rate.to_string()),
            ("allClickRate", self.all_click_rate.to_string()),
            ("replyRate", self.reply_rate.to_string()),
            ("complaintRate", self.complaint_rate.to_string()),
            ("unsubscribeRate", self.unsubscribe_rate.to_string()),
        ]
    }
}

/// How often a link was followed.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Clicks)]
#[expect(clippy::struct_field_names, reason = "they are named beside other figures in answers")]
pub(crate) struct ClicksResponse {
    /// Mails in which a person followed it.
    unique_clicks: i64,
    total_clicks: i64,
    /// Mails in which a person or a program followed it.
    all_unique_clicks: i64,
    all_total_clicks: i64,
}

impl From<Tally> for ClicksResponse {
    fn from(clicks: Tally) -> Self {
        Self {
            unique_clicks: clicks.human_unique,
            total_clicks: clicks.human_total,
            all_unique_clicks: clicks.unique,
            all_total_clicks: clicks.total,
        }
    }
}

impl ClicksResponse {
    /// The same as cells of a table, each under its JSON name and in the same order.
    pub(super) fn cells(&self) -> [(&'static str, String); 4] {
        [
            ("uniqueClicks", self.unique_clicks.to_string()),
            ("totalClicks", self.total_clicks.to_string()),
            ("allUniqueClicks", self.all_unique_clicks.to_string()),
            ("allTotalClicks", self.all_total_clicks.to_string()),
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
        let figures = FiguresResponse::from(Counts { sent: 7, bounced: 1, unsubscribed: 2, ..Counts::default() });
        let json: BTreeMap<String, Value> = serde_json::from_value(serde_json::to_value(figures).unwrap()).unwrap();
        let table = figures.cells().map(|(name, cell)| (name.to_owned(), cell.parse::<f64>().unwrap()));
        let told = json.into_iter().map(|(name, value)| (name, value.as_f64().unwrap()));
        assert_eq!(BTreeMap::from(table), told.collect());
    }
}
