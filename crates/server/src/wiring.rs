//! Ports onto adapters: the only place that knows which is which.

use anyhow::Context;
use muster_adapters::feedback;
use muster_adapters::hooks::SealedHooks;
use muster_adapters::journal::{FileJournal, FileJournalArchive};
use muster_adapters::mime::MimeComposer;
use muster_adapters::postgres::PgStore;
use muster_adapters::smtp::{SmtpConfig, SmtpTransport};
use muster_adapters::template::MinijinjaTemplates;
use muster_adapters::tokens::SealedTokens;
use muster_adapters::tracking::HtmlTracker;
use muster_api::{ApiParts, ApiState, DoNotTrack};
use muster_domain::ports::transport::MailTransport;
use muster_domain::usecases::launch_campaign::PostalAddressRule;
use muster_domain::usecases::write_letter::Desk;
use muster_worker::deliver::{DeliverLimits, Deliveries};
use muster_worker::pace::Pace;
use muster_worker::plan::PlanOptions;
use muster_worker::worker::{Worker, WorkerOptions, WorkerPorts};
use secrecy::SecretSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the API works with.
pub struct ApiSettings {
    /// Storage.
    pub store: PgStore,
    /// The installation's secret, the same on all nodes.
    pub secret: SecretSlice<u8>,
    /// Secrets that were in use before: what they sealed still opens.
    pub previous_secrets: Vec<SecretSlice<u8>>,
    /// Where people reach this installation.
    pub public_url: String,
    /// What sends test mails; without one they are refused.
    pub transport: Option<Arc<dyn MailTransport>>,
    /// What to do with campaigns without a postal address.
    pub postal_address: PostalAddressRule,
    /// What to do with visitors who ask not to be followed.
    pub do_not_track: DoNotTrack,
}

/// The state of the REST API over PostgreSQL.
pub fn api_state(settings: ApiSettings) -> Arc<ApiState> {
    let store = Arc::new(settings.store);
    Arc::new(ApiState::new(ApiParts {
        store: store.clone(),
        keys: store.clone(),
        readiness: store,
        tokens: Arc::new(SealedTokens::new(&settings.secret, &settings.previous_secrets)),
        hooks: Arc::new(SealedHooks::new(&settings.secret)),
        feedback: feedback::formats(),
        templates: Arc::new(MinijinjaTemplates::new()),
        tracker: Arc::new(HtmlTracker::default()),
        composer: Arc::new(MimeComposer),
        transport: settings.transport,
        secret: settings.secret,
        public_url: settings.public_url,
        postal_address: settings.postal_address,
        do_not_track: settings.do_not_track,
    }))
}

/// A transport for test mails, apart from the worker's, so that neither waits for the other's sessions.
///
/// # Errors
/// When a file that the mail server's settings name cannot be read.
pub fn test_transport(smtp: SmtpConfig) -> anyhow::Result<Arc<dyn MailTransport>> {
    Ok(Arc::new(SmtpTransport::new(smtp).context("the mail server's settings cannot be used")?))
}

/// What a worker works with.
pub struct WorkerSettings {
    /// Storage, with connections of its own.
    pub store: PgStore,
    /// The installation's secret, the same on all nodes.
    pub secret: SecretSlice<u8>,
    /// Secrets that were in use before: what they sealed still opens.
    pub previous_secrets: Vec<SecretSlice<u8>>,
    /// Where people reach this installation.
    pub public_url: String,
    /// The domain whose mail comes back to Muster, if there is one.
    pub bounce_domain: Option<String>,
    /// The mail server.
    pub smtp: SmtpConfig,
    /// Where journals are kept.
    pub state_dir: PathBuf,
    /// What to do with scheduled campaigns without a postal address.
    pub postal_address: PostalAddressRule,
    /// For how many days single events are kept, if not for ever.
    pub keep_events: Option<i32>,
}

/// Where in a state folder the journals of a database lie. Processes of several may share the folder, and what one says of its
/// deliveries is nothing to another: their numbers are the same.
fn journals_of(state_dir: &Path, database: &str) -> PathBuf {
    state_dir.join("databases").join(database)
}

/// A worker over PostgreSQL and SMTP, and the transport it sends through, to be closed after it has ended. `database` is the
/// [identity](PgStore::identity) of the store's.
///
/// # Errors
/// When the journal cannot be opened, or a file that the mail server's settings name cannot be read.
pub fn worker(settings: WorkerSettings, database: &str) -> anyhow::Result<(Worker, SmtpTransport)> {
    let WorkerSettings {
        store,
        secret,
        previous_secrets,
        public_url,
        bounce_domain,
        smtp,
        state_dir,
        postal_address,
        keep_events,
    } = settings;
    let limits = DeliverLimits::for_sessions(smtp.sessions);
    let transport = SmtpTransport::new(smtp).context("the mail server's settings cannot be used")?;
    let journals = journals_of(&state_dir, database);
    let journal =
        FileJournal::open(&journals).with_context(|| format!("no journal can be kept in {}", journals.display()))?;
    let store = Arc::new(store);
    let desk = Desk {
        templates: Arc::new(MinijinjaTemplates::new()),
        tracker: Arc::new(HtmlTracker::default()),
        composer: Arc::new(MimeComposer),
        tokens: Arc::new(SealedTokens::new(&secret, &previous_secrets)),
        public_url: public_url.trim_end_matches('/').to_owned(),
        bounce_domain,
    };
    let ports = WorkerPorts {
        store: store.clone(),
        queue: store.clone(),
        advancing: store.clone(),
        lapse: store.clone(),
        deliveries: Deliveries {
            store: store.clone(),
            transport: Arc::new(transport.clone()),
            journal: Arc::new(journal),
            desk,
        },
        reaper: store.clone(),
        events: store,
        archive: Arc::new(FileJournalArchive::new(&journals)),
    };
    #[cfg(feature = "fault-injection")]
    let ports = crate::faults::around(ports);
    let plan = PlanOptions { postal_address, ..PlanOptions::default() };
    let options = WorkerOptions { plan, deliver: limits, pace: Pace::default(), keep_events };
    Ok((Worker::new(ports, options), transport))
}
