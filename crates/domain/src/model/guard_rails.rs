//! Limits past which a campaign pauses itself, before it ruins the name of its sender.

use super::figures::Counts;
use serde::{Deserialize, Serialize};

/// So many mails must have been tried before a rate means anything, unless something else is said.
pub const USUAL_SAMPLE: i32 = 100;

/// How much may go wrong. Rates from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardRails {
    /// So many of the mails tried may bounce, at once or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bounce_rate: Option<f64>,
    /// So many of the mails delivered may be called spam.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_complaint_rate: Option<f64>,
    /// Before so many mails were tried nothing is judged; at least 1.
    pub min_sample: i32,
}

impl GuardRails {
    /// Which limit the figures since the launch are past, in words for whoever finds the campaign paused.
    pub fn broken_by(&self, counts: &Counts) -> Option<String> {
        if counts.attempted() < i64::from(self.min_sample) {
            return None;
        }
        let bounces = past(counts.bounces(), counts.attempted(), self.max_bounce_rate, "bounced");
        bounces.or_else(|| past(counts.complained, counts.delivered(), self.max_complaint_rate, "were called spam"))
    }
}

fn past(part: i64, whole: i64, limit: Option<f64>, what: &str) -> Option<String> {
    let limit = limit?;
    #[expect(clippy::cast_precision_loss, reason = "counts of mails are far below 2^52")]
    let (share, allowed) = (part as f64, whole as f64 * limit);
    (share > allowed).then(|| {
        format!(
            "the campaign paused itself: {part} of {whole} mails {what}, more than the share of {limit} that is allowed"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAILS: GuardRails =
        GuardRails { max_bounce_rate: Some(0.05), max_complaint_rate: Some(0.01), min_sample: 100 };

    #[test]
    fn a_limit_is_passed_and_not_only_reached() {
        let counts = Counts { sent: 98, bounced: 2, returned: 3, ..Counts::default() };
        assert_eq!(RAILS.broken_by(&counts), None);
        let more = Counts { returned: 4, ..counts };
        assert!(RAILS.broken_by(&more).is_some_and(|said| said.contains("6 of 100 mails bounced")));
        assert_eq!(GuardRails { max_bounce_rate: None, ..RAILS }.broken_by(&more), None);
    }

    #[test]
    fn a_small_sample_says_nothing() {
        let counts = Counts { sent: 49, bounced: 50, ..Counts::default() };
        assert_eq!(RAILS.broken_by(&counts), None);
        assert!(RAILS.broken_by(&Counts { sent: 50, ..counts }).is_some());
    }

    #[test]
    fn complaints_are_a_share_of_what_was_delivered() {
        let counts = Counts { sent: 105, returned: 5, undelivered: 5, complained: 1, ..Counts::default() };
        assert_eq!(RAILS.broken_by(&counts), None);
        assert!(RAILS.broken_by(&Counts { complained: 2, ..counts }).is_some_and(|said| said.contains("2 of 100")));
    }
}
