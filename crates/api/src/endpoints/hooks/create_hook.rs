//! `POST /api/hooks`

use super::hook::HookResponse;
use crate::extract::{AdminScope, Body, Can, Fields, FromFields};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::usecases::create_hook::{self as story, CreateHook, CreateHookError};
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

/// The hook to make.
#[derive(ToSchema)]
#[schema(as = CreateHook, rename_all = "camelCase")]
pub(crate) struct CreateRequest {
    /// What it is for.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

impl FromFields for CreateRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { name: fields.required("name", |value| value.line(1..=200))? })
    }
}

/// A new hook with its secret, which is shown this once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreatedHook)]
pub(crate) struct CreateResponse {
    #[serde(flatten)]
    hook: HookResponse,
    /// What reports are signed with. Absent when the answer is a repeated one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "whsec_…")]
    secret: Option<String>,
}

impl From<CreateHookError> for Problem {
    fn from(error: CreateHookError) -> Self {
        match error {
            CreateHookError::Invalid(problems) => Self::Invalid(problems),
            CreateHookError::Store(error) => Self::Store(error),
        }
    }
}

/// Makes a hook: an address to which a mail server or a provider reports what became of this workspace's mails. Its
/// secret is shown once: a repeated request with the same `Idempotency-Key` gets the hook without it.
#[utoipa::path(
    operation_id = "create_hook",
    tag = "hooks",
    request_body = CreateRequest,
    responses((status = 201, description = "The hook", body = CreateResponse, headers(("Location" = String))))
)]
#[post("")]
pub(crate) async fn create_hook(caller: Can<AdminScope>, body: Body<CreateRequest>) -> Answer {
    caller
        .write(&body.repeat, async |tx| {
            let hook = story::create_hook(tx, CreateHook { name: body.name.clone() }).await?;
            let secret = caller.state.hooks.secret(hook.key);
            let location = format!("/api/hooks/{}", hook.id);
            let stored = CreateResponse { hook: HookResponse::of(&caller.state, hook), secret: None };
            let shown = CreateResponse { hook: stored.hook.clone(), secret: Some(secret.expose_secret().to_owned()) };
            Reply::created(location, &shown)?.stored_as(&stored)
        })
        .await
}
