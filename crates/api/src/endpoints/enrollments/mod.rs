//! Who is in a campaign.

pub(crate) mod enroll_contacts;
mod enrollment;
pub(crate) mod exit_enrollment;
pub(crate) mod get_enrollment;
pub(crate) mod list_enrollments;
