//! `POST /api/keys`

use super::key::KeyResponse;
use crate::extract::{AdminScope, Body, Can, Fields, FromFields, Item};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use chrono::{DateTime, Utc};
use muster_domain::model::principal::Scope;
use muster_domain::usecases::create_key::{self as story, CreateKey, CreateKeyError};
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

/// The key to make.
#[derive(ToSchema)]
#[schema(as = CreateKey, rename_all = "camelCase")]
pub(crate) struct CreateRequest {
    /// What it is for.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What it may do; nothing that the caller may not.
    #[schema(schema_with = crate::openapi::scopes)]
    scopes: Vec<Scope>,
    /// When it stops working.
    expires_at: Option<DateTime<Utc>>,
}

impl FromFields for CreateRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name", |value| value.line(1..=200));
        let known = Scope::ALL.map(Scope::as_str);
        let scopes = fields.required("scopes", |list| list.list(1..=7, |item| item.one_of(&known, Scope::parse)));
        let expires_at = fields.optional("expiresAt", Item::instant);
        Some(Self { name: name?, scopes: scopes?, expires_at: expires_at? })
    }
}

impl From<&CreateRequest> for CreateKey {
    fn from(request: &CreateRequest) -> Self {
        Self { name: request.name.clone(), scopes: request.scopes.clone(), expires_at: request.expires_at }
    }
}

/// A new key with its token, which is shown this once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CreatedKey)]
pub(crate) struct CreateResponse {
    #[serde(flatten)]
    key: KeyResponse,
    /// The token, to be sent as `Authorization: Bearer`. Absent when the answer is a repeated one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "mk_4fzq8tL2aXcV_…")]
    secret: Option<String>,
}

impl From<CreateKeyError> for Problem {
    fn from(error: CreateKeyError) -> Self {
        match error {
            CreateKeyError::Invalid(problems) => Self::Invalid(problems),
            CreateKeyError::ScopeNotHeld(scope) => Self::Forbidden(scope),
            CreateKeyError::Store(error) => Self::Store(error),
        }
    }
}

/// Makes an API key for this workspace. Its secret is shown once and stored nowhere: a repeated request with the same
/// `Idempotency-Key` gets the key without it.
#[utoipa::path(
    operation_id = "create_key",
    tag = "keys",
    request_body = CreateRequest,
    responses((status = 201, description = "The key", body = CreateResponse, headers(("Location" = String))))
)]
#[post("")]
pub(crate) async fn create_key(caller: Can<AdminScope>, body: Body<CreateRequest>) -> Answer {
    caller
        .write(&body.repeat, async |tx| {
            let issued = story::create_key(tx, &caller, CreateKey::from(&body.value)).await?;
            let location = format!("/api/keys/{}", issued.key.id);
            let stored = CreateResponse { key: issued.key.into(), secret: None };
            let shown =
                CreateResponse { key: stored.key.clone(), secret: Some(issued.token.expose_secret().to_owned()) };
            Reply::created(location, &shown)?.stored_as(&stored)
        })
        .await
}
