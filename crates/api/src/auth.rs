//! Who is calling: the key in `Authorization`, checked before anything else below `/api`.

use crate::problem::Problem;
use crate::state::ApiState;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use muster_domain::model::principal::Principal;
use muster_domain::ports::keys::{KeyDirectory, StoredKey};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::time::Instant;

/// How long a key that was found is taken as found. A revoked key is out at once on the node that revoked it, and
/// within this time on all others; without it every request would cost a second transaction.
const REMEMBERED: Duration = Duration::from_secs(2);

/// How many keys are remembered before the stale ones are swept out.
const REMEMBERED_KEYS: usize = 10_000;

/// Turns tokens into principals.
pub(crate) struct Authenticator {
    directory: Arc<dyn KeyDirectory>,
    remembered: Duration,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    keys: HashMap<String, (Instant, Arc<StoredKey>)>,
    /// Rises with every revocation, so that a look-up that began before one is not remembered after it.
    revocations: u64,
}

impl Authenticator {
    pub(crate) fn new(directory: Arc<dyn KeyDirectory>) -> Self {
        Self { directory, remembered: REMEMBERED, memory: Mutex::default() }
    }

    /// Whom the token stands for. What is wrong with it is not told, neither in words nor in time.
    pub(crate) async fn principal(&self, token: &str) -> Result<Principal, Problem> {
        let (prefix, secret) = split(token).ok_or(Problem::Unauthorized)?;
        let found = self.find(prefix).await?;
        let given: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
        // Without a key by that prefix the comparison is made all the same, against a hash that nothing has.
        let expected = found.as_ref().map_or([0; 32], |key| key.secret_hash);
        let matches: bool = given.ct_eq(&expected).into();
        match found {
            Some(key) if matches => Ok(key.principal.clone()),
            _ => Err(Problem::Unauthorized),
        }
    }

    /// Forgets a key that was revoked.
    pub(crate) fn forget(&self, prefix: &str) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.revocations += 1;
        memory.keys.remove(prefix);
    }

    async fn find(&self, prefix: &str) -> Result<Option<Arc<StoredKey>>, Problem> {
        let revocations = {
            let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            match memory.keys.get(prefix) {
                Some((until, key)) if *until > Instant::now() => return Ok(Some(Arc::clone(key))),
                _ => memory.revocations,
            }
        };
        let asked_at = Instant::now();
        let found = self.directory.find_key(prefix).await?.map(Arc::new);
        if let Some(key) = &found {
            let until = asked_at + key.expires_in.map_or(self.remembered, |left| left.min(self.remembered));
            let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
            if memory.revocations == revocations {
                if memory.keys.len() >= REMEMBERED_KEYS {
                    memory.keys.retain(|_, (until, _)| *until > asked_at);
                }
                memory.keys.insert(prefix.to_owned(), (until, Arc::clone(key)));
            }
        }
        Ok(found)
    }
}

/// The prefix and the secret of `mk_<prefix>_<secret>`.
fn split(token: &str) -> Option<(&str, &str)> {
    let (prefix, secret) = token.strip_prefix("mk_")?.split_once('_')?;
    let base62 = |part: &str, length: std::ops::RangeInclusive<usize>| {
        length.contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    (base62(prefix, 8..=32) && base62(secret, 16..=128)).then_some((prefix, secret))
}

/// Lets nobody pass below `/api` without a valid key, whether or not there is anything at that address.
pub(crate) async fn authenticate(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    match principal_of(&request).await {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            Ok(next.call(request).await?.map_into_left_body())
        }
        Err(problem) => Ok(request.error_response(problem).map_into_right_body()),
    }
}

async fn principal_of(request: &ServiceRequest) -> Result<Principal, Problem> {
    let mut headers = request.headers().get_all(header::AUTHORIZATION);
    let (Some(value), None) = (headers.next(), headers.next()) else { return Err(Problem::Unauthorized) };
    let (scheme, token) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or(Problem::Unauthorized)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::Unauthorized);
    }
    let state = request.app_data::<web::Data<ApiState>>().cloned();
    let state = state.ok_or_else(|| Problem::internal("the API was built without its state"))?;
    state.authenticator.principal(token.trim()).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use muster_domain::model::ids::{KeyId, TenantId, TenantNo, UserId, WorkspaceId, WorkspaceNo};
    use muster_domain::model::principal::Scope;
    use muster_domain::ports::store::StoreResult;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;
    use uuid::Uuid;

    const SECRET: &str = "s3cr3ts3cr3ts3cr3ts3cr3t";
    const TOKEN: &str = "mk_aaaaaaaaaaaa_s3cr3ts3cr3ts3cr3ts3cr3t";

    /// Holds one key until it is emptied, counts the look-ups, and answers each when it is let.
    struct Directory {
        key: Mutex<Option<StoredKey>>,
        asked: AtomicUsize,
        answers: Semaphore,
    }

    impl Directory {
        fn with(expires_in: Option<Duration>, answers: usize) -> Arc<Self> {
            let principal = Principal {
                tenant: TenantNo(1),
                workspace: WorkspaceNo(1),
                tenant_id: TenantId(Uuid::nil()),
                workspace_id: WorkspaceId(Uuid::nil()),
                key_id: KeyId(Uuid::nil()),
                user_id: UserId(Uuid::nil()),
                scopes: vec![Scope::Admin],
            };
            let key = StoredKey { principal, secret_hash: Sha256::digest(SECRET).into(), expires_in };
            Arc::new(Self { key: Mutex::new(Some(key)), asked: AtomicUsize::new(0), answers: Semaphore::new(answers) })
        }

        fn revoke(&self) {
            *self.key.lock().unwrap() = None;
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    #[async_trait]
    impl KeyDirectory for Directory {
        async fn find_key(&self, prefix: &str) -> StoreResult<Option<StoredKey>> {
            let seen = self.key.lock().unwrap().clone().filter(|_| prefix == "aaaaaaaaaaaa");
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.answers.acquire().await.unwrap().forget();
            Ok(seen)
        }
    }

    /// What one remembers for so long.
    fn remembering(directory: &Arc<Directory>, remembered: Duration) -> Authenticator {
        Authenticator { remembered, ..Authenticator::new(directory.clone()) }
    }

    #[tokio::test]
    async fn a_key_that_was_found_is_not_looked_up_again_for_a_while() {
        let directory = Directory::with(None, 100);
        let authenticator = remembering(&directory, Duration::from_hours(1));
        for _ in 0..5 {
            assert!(authenticator.principal(TOKEN).await.is_ok());
        }
        assert_eq!(directory.asked(), 1);
    }

    #[tokio::test]
    async fn when_that_while_is_over_a_key_revoked_elsewhere_is_out() {
        let directory = Directory::with(None, 100);
        let authenticator = remembering(&directory, Duration::ZERO);
        assert!(authenticator.principal(TOKEN).await.is_ok());
        directory.revoke();
        assert!(authenticator.principal(TOKEN).await.is_err());
        const { assert!(REMEMBERED.as_secs() <= 5, "what is promised of other nodes") };
    }

    #[tokio::test]
    async fn a_key_is_not_remembered_beyond_its_expiry() {
        let directory = Directory::with(Some(Duration::ZERO), 100);
        let authenticator = remembering(&directory, Duration::from_hours(1));
        assert!(authenticator.principal(TOKEN).await.is_ok());
        directory.revoke();
        assert!(authenticator.principal(TOKEN).await.is_err());
    }

    #[tokio::test]
    async fn a_remembered_key_opens_with_its_secret_only() {
        let authenticator = Authenticator::new(Directory::with(None, 100));
        assert!(authenticator.principal(TOKEN).await.is_ok());
        assert!(authenticator.principal(&TOKEN.replace("_s", "_S")).await.is_err());
        assert!(authenticator.principal(&TOKEN.replace("aaaa", "bbbb")).await.is_err());
    }

    #[tokio::test]
    async fn a_look_up_that_overlaps_a_revocation_is_not_remembered() {
        let directory = Directory::with(None, 0);
        let authenticator = Arc::new(Authenticator::new(directory.clone()));
        let slow = tokio::spawn({
            let authenticator = authenticator.clone();
            async move { authenticator.principal(TOKEN).await.is_ok() }
        });
        while directory.asked() == 0 {
            tokio::task::yield_now().await;
        }
        directory.revoke();
        authenticator.forget("aaaaaaaaaaaa");
        directory.answers.add_permits(10);
        assert!(slow.await.unwrap(), "it began before the revocation");
        assert!(authenticator.principal(TOKEN).await.is_err(), "whatever begins after it is refused");
    }

    #[test]
    fn only_what_looks_like_a_token_is_looked_up() {
        assert_eq!(split(TOKEN), Some(("aaaaaaaaaaaa", SECRET)));
        for junk in
            ["", "mk_", "mk__", "mk_a_b", "xx_aaaaaaaaaaaa_s3cr3ts3cr3ts3cr3t", "mk_aaaaaaaaaaaa_s3cr3t's3cr3ts3cr3t"]
        {
            assert_eq!(split(junk), None, "{junk}");
        }
    }
}
