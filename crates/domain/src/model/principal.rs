//! Who asks, and what they may do.

use super::ids::{KeyId, TenantId, TenantNo, UserId, WorkspaceId, WorkspaceNo};
use serde::{Deserialize, Serialize};

/// A permission carried by an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Scope {
    /// Read campaigns and their figures.
    #[serde(rename = "campaigns:read")]
    CampaignsRead,
    /// Create and change campaigns.
    #[serde(rename = "campaigns:write")]
    CampaignsWrite,
    /// Launch, pause, resume, complete.
    #[serde(rename = "campaigns:launch")]
    CampaignsLaunch,
    /// Read contacts, segments, suppressions.
    #[serde(rename = "audience:read")]
    AudienceRead,
    /// Change contacts, segments, suppressions.
    #[serde(rename = "audience:write")]
    AudienceWrite,
    /// Post custom events.
    #[serde(rename = "events:write")]
    EventsWrite,
    /// Make and revoke API keys.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// Every scope, in the order of the documentation.
    pub const ALL: [Scope; 7] = [
        Scope::CampaignsRead,
        Scope::CampaignsWrite,
        Scope::CampaignsLaunch,
        Scope::AudienceRead,
        Scope::AudienceWrite,
        Scope::EventsWrite,
        Scope::Admin,
    ];

    /// As written in requests, such as `campaigns:read`.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::CampaignsRead => "campaigns:read",
            Scope::CampaignsWrite => "campaigns:write",
            Scope::CampaignsLaunch => "campaigns:launch",
            Scope::AudienceRead => "audience:read",
            Scope::AudienceWrite => "audience:write",
            Scope::EventsWrite => "events:write",
            Scope::Admin => "admin",
        }
    }

    /// The scope of that name.
    pub fn parse(name: &str) -> Option<Scope> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// The caller: one key of one workspace of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The tenant, as rows know it.
    pub tenant: TenantNo,
    /// The workspace, as rows know it.
    pub workspace: WorkspaceNo,
    /// The tenant, as callers know it.
    pub tenant_id: TenantId,
    /// The workspace, as callers know it.
    pub workspace_id: WorkspaceId,
    /// The key that was presented.
    pub key_id: KeyId,
    /// Written into `createdBy`: the user behind the key, else the key itself.
    pub user_id: UserId,
    /// What the key may do.
    pub scopes: Vec<Scope>,
}

impl Principal {
    /// Whether the key carries `scope`.
    pub fn can(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}
