//! Who is in a campaign, and where.

use crate::model::campaign::Campaign;
use crate::model::enrollment::EnrollmentStatus;
use crate::model::ids::{CampaignId, ContactNo, StepId};
use crate::model::lifecycle::Status;
use crate::ports::analytics::{EnrollmentFilter, EnrollmentView, StandingKind};
use crate::ports::store::{StoreResult, Tx};

/// List enrollments of this campaign.
#[derive(Debug, Clone)]
pub struct ListEnrollments {
    /// Which campaign.
    pub id: CampaignId,
    /// Only those that read so.
    pub status: Option<EnrollmentStatus>,
    /// Only those at this step.
    pub step: Option<StepId>,
    /// Only this address.
    pub email: Option<String>,
    /// Only those after this contact.
    pub after: Option<ContactNo>,
    /// At most so many.
    pub limit: i64,
}

/// The campaign and a page of its enrollments; `None` when there is no such campaign.
pub async fn list_enrollments(
    tx: &mut Tx,
    command: ListEnrollments,
) -> StoreResult<Option<(Campaign, Vec<EnrollmentView>)>> {
    let Some(campaign) = tx.campaigns().find(command.id).await? else { return Ok(None) };
    let paused = campaign.status() == Status::Paused;
    let standings = command.status.map(|status| standings(status, paused));
    let filter = EnrollmentFilter { standings, step: command.step, email: command.email };
    let page = tx.analytics().enrollments(&campaign, &filter, command.after, command.limit).await?;
    Ok(Some((campaign, page)))
}

/// The standings that read as `status` in a campaign that is paused or not: the inverse of [`EnrollmentStatus::read`].
fn standings(status: EnrollmentStatus, paused: bool) -> Vec<StandingKind> {
    use StandingKind::{Completed, Delivering, Enrolled, Exited, Ready, Waiting};
    match (status, paused) {
        (EnrollmentStatus::Completed, _) => vec![Completed],
        (EnrollmentStatus::Exited, _) => vec![Exited],
        (EnrollmentStatus::Paused, true) => vec![Enrolled, Ready, Waiting, Delivering],
        (EnrollmentStatus::Enrolled, false) => vec![Enrolled],
        (EnrollmentStatus::Active, false) => vec![Ready, Waiting, Delivering],
        (EnrollmentStatus::Paused, false) | (EnrollmentStatus::Enrolled | EnrollmentStatus::Active, true) => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::enrollment::{ExitReason, Standing};
    use EnrollmentStatus::{Active, Completed, Enrolled, Exited, Paused};

    #[test]
    fn the_filter_finds_exactly_what_reads_so() {
        let all = [
            (Standing::Enrolled, StandingKind::Enrolled),
            (Standing::Ready, StandingKind::Ready),
            (Standing::Waiting, StandingKind::Waiting),
            (Standing::Delivering, StandingKind::Delivering),
            (Standing::Completed, StandingKind::Completed),
            (Standing::Exited(ExitReason::Manual), StandingKind::Exited),
        ];
        for status in [Enrolled, Active, Paused, Completed, Exited] {
            for paused in [false, true] {
                let found = standings(status, paused);
                for (standing, kind) in all {
                    assert_eq!(
                        found.contains(&kind),
                        EnrollmentStatus::read(standing, paused) == status,
                        "{status:?} {standing:?}"
                    );
                }
            }
        }
    }
}
