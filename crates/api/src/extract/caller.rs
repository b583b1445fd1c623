//! The caller with a permission, as a type: a handler that takes `Can<CampaignsWrite>` cannot run without the scope.

use crate::problem::Problem;
use crate::state::ApiState;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use muster_domain::model::principal::{Principal, Scope};
use muster_domain::ports::store::Workspace;
use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::ops::Deref;

/// A scope at the level of types.
pub trait Permission: 'static {
    /// The scope that a key must carry.
    const SCOPE: Scope;
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;
    )+};
}

permissions! {
    /// `campaigns:read`.
    CampaignsRead,
    /// `campaigns:write`.
    CampaignsWrite,
    /// `campaigns:launch`.
    CampaignsLaunch,
    /// `audience:read`.
    AudienceRead,
    /// `audience:write`.
    AudienceWrite,
    /// `events:write`.
    EventsWrite,
    /// `admin`.
    AdminScope,
}

impl Permission for CampaignsRead {
    const SCOPE: Scope = Scope::CampaignsRead;
}
impl Permission for CampaignsWrite {
    const SCOPE: Scope = Scope::CampaignsWrite;
}
impl Permission for CampaignsLaunch {
    const SCOPE: Scope = Scope::CampaignsLaunch;
}
impl Permission for AudienceRead {
    const SCOPE: Scope = Scope::AudienceRead;
}
impl Permission for AudienceWrite {
    const SCOPE: Scope = Scope::AudienceWrite;
}
impl Permission for EventsWrite {
    const SCOPE: Scope = Scope::EventsWrite;
}
impl Permission for AdminScope {
    const SCOPE: Scope = Scope::Admin;
}

/// A caller that has the scope `P`, and through whom storage is reached: see `read` and `write`.
pub struct Can<P> {
    principal: Principal,
    /// What the whole API shares.
    pub state: web::Data<ApiState>,
    permission: PhantomData<P>,
}

impl<P> Can<P> {
    /// Who asks.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whose rows the caller works on.
    pub fn workspace(&self) -> Workspace {
        Workspace { tenant: self.principal.tenant, workspace: self.principal.workspace }
    }
}

impl<P> Deref for Can<P> {
    type Target = Principal;
    fn deref(&self) -> &Principal {
        &self.principal
    }
}

impl<P: Permission> FromRequest for Can<P> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(allowed(request))
    }
}

fn allowed<P: Permission>(request: &HttpRequest) -> Result<Can<P>, Problem> {
    let principal = request.extensions().get::<Principal>().cloned().ok_or(Problem::Unauthorized)?;
    if !principal.can(P::SCOPE) {
        return Err(Problem::Forbidden(P::SCOPE));
    }
    let state = request
        .app_data::<web::Data<ApiState>>()
        .cloned()
        .ok_or_else(|| Problem::internal("the API was built without its state"))?;
    Ok(Can { principal, state, permission: PhantomData })
}
