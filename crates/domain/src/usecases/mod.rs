//! The stories: one file each, a command in, a result out, through the ports.
//!
//! They need nothing but this crate. A service that drives a campaign through its life, here against mocked ports as its
//! tests would (feature `testing`):
//!
//! ```
//! use muster_domain::model::campaign::{Campaign, CampaignType};
//! use muster_domain::model::content::ContentInput;
//! use muster_domain::model::ids::{ContactNo, SegmentId};
//! use muster_domain::model::lifecycle::Status;
//! use muster_domain::model::principal::Principal;
//! use muster_domain::ports::enrollments::{Audience, Chunk};
//! use muster_domain::ports::store::Tx;
//! use muster_domain::ports::templates::{MockTemplates, Templates};
//! use muster_domain::testing::{MockUnit, a_principal, an_email, remembering};
//! use muster_domain::usecases::complete_campaign::{CompleteCampaign, complete_campaign};
//! use muster_domain::usecases::create_campaign::{CreateCampaign, create_campaign};
//! use muster_domain::usecases::launch_campaign::{LaunchCampaign, PostalAddressRule, launch_campaign};
//! use muster_domain::usecases::pause_campaign::{PauseCampaign, pause_campaign};
//! use muster_domain::usecases::replace_steps::{ReplaceSteps, replace_steps};
//! use muster_domain::usecases::resume_campaign::{ResumeCampaign, resume_campaign};
//!
//! /// Tells every subscriber about a release.
//! async fn announce(
//!     tx: &mut Tx,
//!     templates: &dyn Templates,
//!     me: &Principal,
//!     subscribers: SegmentId,
//! ) -> Result<Campaign, Box<dyn std::error::Error>> {
//!     let content = ContentInput {
//!         name: "Release 2".to_owned().into(),
//!         from_email: "news@example.test".to_owned().into(),
//!         from_name: "News".to_owned().into(),
//!         ..ContentInput::default()
//!     };
//!     let command =
//!         CreateCampaign { campaign_type: Some(CampaignType::Broadcast), segment_id: Some(subscribers), content };
//!     let draft = create_campaign(tx, me, command).await?;
//!     let steps = vec![an_email("Release 2 is here, {{ firstName | default('friend') }}")];
//!     replace_steps(tx, templates, ReplaceSteps { id: draft.id, expected: Some(draft.version), steps }).await?;
//!     Ok(launch_campaign(tx, LaunchCampaign { id: draft.id, postal_address: PostalAddressRule::Recommended }).await?.campaign)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut unit = MockUnit::at("2026-03-01T09:00:00Z".parse()?);
//! unit.campaigns = remembering(Vec::new());
//! unit.enrollments.expect_count_audience().returning(|_| Ok(Audience { total: 2, mark: ContactNo(2), rules: None }));
//! let all = Chunk { enrolled: 2, through: ContactNo(2), done: true };
//! unit.enrollments.expect_enroll_at_once().once().returning(move |_, _, _, _, _| Ok(all));
//! unit.enrollments.expect_end_all().once().returning(|_, _| Ok(()));
//! let mut templates = MockTemplates::new();
//! templates.expect_check().returning(|_, _| Ok(()));
//!
//! let mut tx = unit.into_tx();
//! let id = announce(&mut tx, &templates, &a_principal(), SegmentId(uuid::Uuid::nil())).await?.id;
//! assert_eq!(pause_campaign(&mut tx, PauseCampaign { id }).await?.status(), Status::Paused);
//! assert_eq!(resume_campaign(&mut tx, ResumeCampaign { id }).await?.status(), Status::Active);
//! let ended = complete_campaign(&mut tx, CompleteCampaign { id }).await?;
//! assert_eq!(ended.status(), Status::Completed);
//! assert!(pause_campaign(&mut tx, PauseCampaign { id }).await.is_err(), "completed is final");
//! # tx.commit().await?;
//! # Ok(())
//! # }
//! ```

pub mod add_segment_contacts;
pub mod add_step;
pub mod change_campaign;
pub mod change_contact;
pub mod change_segment;
pub mod change_step;
pub mod clone_campaign;
pub mod complete_campaign;
pub mod create_campaign;
pub mod create_contact;
pub mod create_hook;
pub mod create_key;
pub mod create_segment;
pub mod delete_campaign;
pub mod delete_segment;
pub mod enroll_audience;
pub mod enroll_contacts;
pub mod erase_contact;
pub mod exit_enrollment;
pub mod export_contact;
pub mod find_hook;
pub mod find_key;
pub mod finish_campaign;
pub mod get_analytics;
pub mod get_balance;
pub mod get_campaign;
pub mod get_contact;
pub mod get_enrollment;
pub mod get_segment;
pub mod get_steps;
pub mod guard_campaign;
pub mod import_contacts;
pub mod import_suppressions;
pub mod launch_campaign;
pub mod lift_suppression;
pub mod list_campaigns;
pub mod list_contacts;
pub mod list_deliveries;
pub mod list_enrollments;
pub mod list_hooks;
pub mod list_keys;
pub mod list_segment_contacts;
pub mod list_segments;
pub mod list_suppressions;
pub mod pause_campaign;
pub mod preview_segment;
pub mod preview_step;
pub mod provision_key;
pub mod receive_feedback;
pub mod record_engagement;
pub mod remove_segment_contacts;
pub mod remove_step;
pub mod replace_steps;
pub mod resolve_delivery;
pub mod resume_campaign;
pub mod retry_deliveries;
pub mod revoke_hook;
pub mod revoke_key;
pub mod schedule_campaign;
pub mod send_test;
pub mod start_campaign;
pub mod suppress_address;
pub mod unschedule_campaign;
pub mod unsubscribe;
pub mod write_letter;
