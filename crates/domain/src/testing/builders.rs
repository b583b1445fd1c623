//! Valid values to begin with; change the fields that a test is about.

use crate::authoring::step_input::StepInput;
use crate::model::address::EmailAddress;
use crate::model::campaign::{Campaign, CampaignContent, CampaignType, EnrollmentState};
use crate::model::field::Field;
use crate::model::ids::{
    CampaignId, CampaignNo, KeyId, SegmentId, SegmentNo, SequenceVersion, StepId, StepNo, TenantId, TenantNo, UserId,
    WorkspaceId, WorkspaceNo,
};
use crate::model::lifecycle::Lifecycle;
use crate::model::principal::{Principal, Scope};
use crate::model::schedule::{Schedule, Settings};
use crate::model::sequence::{EmailContent, Explicit, Step, StepKind, StepType, Target};
use chrono::DateTime;
use uuid::Uuid;

/// What a campaign says, from `news@example.test`.
///
/// # Panics
/// Never: the address is valid.
#[expect(clippy::expect_used, reason = "a literal that is valid")]
pub fn some_content(name: &str) -> CampaignContent {
    CampaignContent {
        name: name.to_owned(),
        description: None,
        from_email: EmailAddress::parse("news@example.test").expect("a valid address"),
        from_name: "News".to_owned(),
        reply_to_email: None,
        schedule: Schedule::default(),
        settings: Settings::default(),
    }
}

/// A drip draft of version 1 without steps, in tenant 1 and workspace 1.
pub fn a_campaign() -> Campaign {
    Campaign {
        tenant: TenantNo(1),
        workspace: WorkspaceNo(1),
        no: CampaignNo(1),
        id: CampaignId(Uuid::from_u128(1)),
        campaign_type: CampaignType::Drip,
        segment: SegmentNo(1),
        segment_id: SegmentId(Uuid::from_u128(1)),
        content: some_content("Welcome"),
        lifecycle: Lifecycle::Draft,
        enrollment_state: EnrollmentState::None,
        enroll_total: 0,
        total_contacts: 0,
        sequence_version: SequenceVersion(0),
        next_step_no: StepNo(1),
        last_problem: None,
        version: 1,
        created_by: UserId(Uuid::from_u128(1)),
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
    }
}

/// A caller of tenant 1 and workspace 1 who may do everything.
pub fn a_principal() -> Principal {
    Principal {
        tenant: TenantNo(1),
        workspace: WorkspaceNo(1),
        tenant_id: TenantId(Uuid::from_u128(1)),
        workspace_id: WorkspaceId(Uuid::from_u128(1)),
        key_id: KeyId(Uuid::from_u128(1)),
        user_id: UserId(Uuid::from_u128(1)),
        scopes: Scope::ALL.to_vec(),
    }
}

/// An e-mail step as an author writes it.
pub fn an_email(subject: &str) -> StepInput {
    StepInput {
        step_type: Some(StepType::Email),
        subject_line: Field::Value(subject.to_owned()),
        email_content: Field::Value(format!("<p>{subject}</p>")),
        ..StepInput::default()
    }
}

/// A stored e-mail step that leads to `next`, its id made of its number.
pub fn a_step(no: i16, next: Target) -> Step {
    let content = EmailContent {
        subject_line: format!("Mail {no}"),
        email_content: format!("<p>Mail {no}</p>"),
        text_content: None,
        variants: Vec::new(),
    };
    Step {
        no: StepNo(no),
        id: StepId(Uuid::from_u128(u128::from(no.unsigned_abs()))),
        order: no,
        name: format!("Step {no}"),
        kind: StepKind::Email { content, next },
        explicit: Explicit::default(),
    }
}
