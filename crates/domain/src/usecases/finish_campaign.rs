//! Finishing: a campaign with nothing open is completed, if its books say so.

use super::pause_campaign::{TransitionError, save};
use crate::model::books::Balance;
use crate::model::campaign::{Campaign, CampaignType, EnrollmentState};
use crate::model::ids::CampaignNo;
use crate::model::lifecycle::Status;
use crate::ports::store::Tx;

/// What became of the attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum Finish {
    /// It is completed now.
    Completed(Box<Campaign>),
    /// There is something left to do, or its status does not ask for it.
    NotYet,
    /// Nothing is open, and yet the books differ from the rows; it stays as it is and says so.
    BooksDiffer,
}

/// Completes an active campaign whose last enrollment has ended. Under the campaign's row lock, so that two callers do it once.
///
/// Of a completed one, notes when everything that was begun again has ended.
///
/// The rows are counted again; a campaign whose books differ is not completed, and `last_problem` says why.
pub async fn finish_campaign(tx: &mut Tx, no: CampaignNo) -> Result<Finish, TransitionError> {
    let Some(mut campaign) = tx.campaigns().find_by_no_for_update(no).await? else { return Ok(Finish::NotYet) };
    if campaign.status() == Status::Completed {
        if !tx.enrollments().has_mail_left(&campaign).await? {
            tx.deliveries().end_retrying(&campaign).await?;
        }
        return Ok(Finish::NotYet);
    }
    if campaign.status() != Status::Active
        || campaign.enrollment_state != EnrollmentState::Done
        || campaign.campaign_type == CampaignType::Triggered
    {
        return Ok(Finish::NotYet);
    }
    let booked = tx.enrollments().balance(&campaign).await?;
    if booked.campaign.open != 0 {
        return Ok(Finish::NotYet);
    }
    // A late answer may be queueing a mail again at this moment; it shares the lock that this waits for.
    tx.enrollments().barrier(&campaign).await?;
    if tx.enrollments().has_mail_left(&campaign).await? {
        return Ok(Finish::NotYet);
    }
    let counted = tx.enrollments().recount(&campaign).await?;
    if let Some(problem) = difference(&booked, &counted) {
        if campaign.last_problem.as_deref() != Some(problem.as_str()) {
            campaign.last_problem = Some(problem);
            save(tx, campaign).await?;
        }
        return Ok(Finish::BooksDiffer);
    }
    let now = tx.now().await?;
    campaign.lifecycle = campaign.lifecycle.complete(now)?;
    Ok(Finish::Completed(Box::new(save(tx, campaign).await?)))
}

/// In which line the books differ from the rows, or fail to add up.
fn difference(booked: &Balance, counted: &Balance) -> Option<String> {
    if booked.campaign != counted.campaign {
        return Some(format!(
            "the books differ from the enrollments: {:?}, counted {:?}",
            booked.campaign, counted.campaign
        ));
    }
    let step = booked.steps.iter().zip(&counted.steps).find(|(b, c)| b.figures != c.figures);
    if let Some((b, c)) = step {
        return Some(format!(
            "the books of step {} differ from its rows: {:?}, counted {:?}",
            b.order, b.figures, c.figures
        ));
    }
    (!booked.balanced()).then(|| "the books do not balance".to_owned())
}
