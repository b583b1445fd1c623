//! API and worker together in one process, as `up` and `demo` run them.

use super::api_server::ApiServer;
use super::engine::Engine;
use super::{API_POOL, WORKER_POOL};
use crate::config::{PublicUrl, SecretKey};
use crate::wiring::{ApiSettings, WorkerSettings, test_transport};
use muster_adapters::postgres::PgStore;
use muster_adapters::smtp::SmtpConfig;
use muster_api::DoNotTrack;
use muster_domain::usecases::launch_campaign::PostalAddressRule;
use secrecy::SecretString;
use std::net::TcpListener;
use std::path::Path;

/// What both work with.
pub struct WholeSettings<'a> {
    /// A migrated database.
    pub database_url: &'a SecretString,
    /// Where HTTP is served.
    pub listener: TcpListener,
    /// The base of links.
    pub public_url: &'a PublicUrl,
    /// The key that signs links.
    pub secret_key: &'a SecretKey,
    /// Where mails come back, if not to the campaign's sender.
    pub bounce_domain: Option<String>,
    /// Keys that were in use before.
    pub previous_keys: &'a [SecretKey],
    /// Where mail goes.
    pub smtp: SmtpConfig,
    /// Where journals are kept.
    pub state_dir: &'a Path,
    /// What to do with campaigns without a postal address.
    pub postal_address: PostalAddressRule,
    /// For how many days single events are kept, if not for ever.
    pub keep_events: Option<i32>,
    /// What to do with visitors who ask not to be followed.
    pub do_not_track: DoNotTrack,
}

/// API and worker, running.
pub struct Whole {
    store: PgStore,
    api: ApiServer,
    engine: Engine,
}

impl Whole {
    /// Serves and works from now on.
    ///
    /// # Errors
    /// When something cannot be had that the settings name.
    pub async fn start(settings: WholeSettings<'_>) -> anyhow::Result<Self> {
        let WholeSettings {
            database_url,
            listener,
            public_url,
            secret_key,
            bounce_domain,
            previous_keys,
            smtp,
            state_dir,
            postal_address,
            keep_events,
            do_not_track,
        } = settings;
        let store = PgStore::new(database_url, API_POOL)?;
        let previous = || previous_keys.iter().map(SecretKey::to_secret).collect();
        let api = ApiServer::start(
            listener,
            ApiSettings {
                store: store.clone(),
                secret: secret_key.to_secret(),
                previous_secrets: previous(),
                public_url: public_url.to_string(),
                transport: Some(test_transport(smtp.clone())?),
                postal_address,
                do_not_track,
            },
        )?;
        let engine = Engine::start(WorkerSettings {
            store: PgStore::new(database_url, WORKER_POOL)?,
            secret: secret_key.to_secret(),
            previous_secrets: previous(),
            public_url: public_url.to_string(),
            bounce_domain,
            smtp,
            state_dir: state_dir.to_owned(),
            postal_address,
            keep_events,
        })
        .await?;
        Ok(Self { store, api, engine })
    }

    /// The API's storage.
    pub fn store(&self) -> &PgStore {
        &self.store
    }

    /// Returns only when one of them ends by itself, which it should not.
    pub async fn ended(&mut self) -> anyhow::Error {
        tokio::select! {
            error = self.api.ended() => error,
            error = self.engine.ended() => error,
        }
    }

    /// Stops both in order.
    pub async fn stop(self) {
        tokio::join!(self.api.stop(), self.engine.stop());
    }
}
