//! A hook as answers show it.

use crate::state::ApiState;
use crate::timestamp::Timestamp;
use muster_domain::model::hook::Hook;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// An address to which others report what became of mails, without its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Hook)]
pub(crate) struct HookResponse {
    /// Its id.
    id: Uuid,
    /// What it is for.
    name: String,
    /// Where to post, for each form of reports.
    #[schema(example = json!({"json": "https://mail.example.com/hooks/json/…", "mta": "https://mail.example.com/hooks/mta/…"}))]
    urls: BTreeMap<String, String>,
    /// When it was made.
    created_at: Timestamp,
}

impl HookResponse {
    pub(super) fn of(state: &ApiState, hook: Hook) -> Self {
        let token = state.hooks.token(hook.key);
        let url = |provider: &str| format!("{}/hooks/{provider}/{token}", state.public_url);
        let providers = state.feedback.iter().map(|format| format.provider());
        let urls = providers.map(|provider| (provider.to_owned(), url(provider))).collect();
        Self { id: hook.id.0, name: hook.name, urls, created_at: hook.created_at.into() }
    }
}
