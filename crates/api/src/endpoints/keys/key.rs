//! A key as answers show it.

use crate::timestamp::Timestamp;
use muster_domain::model::principal::Scope;
use muster_domain::ports::keys::ApiKey;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// An API key, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Key)]
pub(crate) struct KeyResponse {
    /// Its id.
    id: Uuid,
    /// What it is for.
    name: String,
    /// The first part of its token, to tell keys apart.
    prefix: String,
    /// What it may do.
    #[schema(schema_with = crate::openapi::scopes)]
    scopes: Vec<Scope>,
    /// Who made it; null when the command line did.
    #[schema(required)]
    created_by: Option<Uuid>,
    /// When it was made.
    created_at: Timestamp,
    /// When it stops working; null for never.
    #[schema(required)]
    expires_at: Option<Timestamp>,
}

impl From<ApiKey> for KeyResponse {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.0,
            name: key.name,
            prefix: key.prefix,
            scopes: key.scopes,
            created_by: key.created_by.map(|user| user.0),
            created_at: key.created_at.into(),
            expires_at: key.expires_at.map(Into::into),
        }
    }
}
