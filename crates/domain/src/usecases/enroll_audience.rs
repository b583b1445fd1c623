//! Going on with the enrolling of a large audience, one chunk at a time.

use super::launch_campaign::entry;
use super::pause_campaign::TransitionError;
use crate::model::campaign::EnrollmentState;
use crate::model::ids::CampaignNo;
use crate::ports::enrollments::Chunk;
use crate::ports::store::Tx;

/// Enrolls the next chunk of a launched campaign. `None` when there is nothing to enroll.
///
/// One chunk is one transaction: a crash leaves whole chunks, and the next call goes on after the last. Works while the
/// campaign is paused, too.
pub async fn enroll_audience(tx: &mut Tx, no: CampaignNo, limit: i64) -> Result<Option<Chunk>, TransitionError> {
    let Some(campaign) = tx.campaigns().find_by_no_for_update(no).await? else { return Ok(None) };
    if campaign.enrollment_state != EnrollmentState::Running {
        return Ok(None);
    }
    let version = campaign.sequence_version;
    let sequence = tx.campaigns().sequence(&campaign, version).await?;
    // A launched campaign has an entry: launching checked it, and no edit may take the last step away.
    let Ok(first) = entry(campaign.campaign_type, &sequence) else { return Ok(None) };
    let now = tx.now().await?;
    Ok(Some(tx.enrollments().enroll_chunk(&campaign, first, limit, now).await?))
}
