//! What every handler shares.

use crate::auth::Authenticator;
use crate::cursor::Cursors;
use crate::endpoints::tracking::do_not_track::DoNotTrack;
use crate::ingest::Ingest;
use crate::intake::Intake;
use muster_domain::ports::feedback::FeedbackFormat;
use muster_domain::ports::hooks::HookSeals;
use muster_domain::ports::keys::KeyDirectory;
use muster_domain::ports::readiness::Readiness;
use muster_domain::ports::store::Store;
use muster_domain::ports::templates::{Composer, Templates};
use muster_domain::ports::tokens::Tokens;
use muster_domain::ports::tracking::Tracker;
use muster_domain::ports::transport::MailTransport;
use muster_domain::usecases::launch_campaign::PostalAddressRule;
use secrecy::SecretSlice;
use std::sync::Arc;

/// The ports and settings of the API. The server's wiring builds one; all worker threads share it.
pub struct ApiState {
    /// Transactions.
    pub store: Arc<dyn Store>,
    /// Who may come in.
    pub(crate) authenticator: Authenticator,
    /// Whether requests can be served.
    pub readiness: Arc<dyn Readiness>,
    /// Cursors of lists.
    pub cursors: Cursors,
    /// Where opens and clicks go.
    pub(crate) ingest: Ingest,
    /// Names of deliveries in links.
    pub tokens: Arc<dyn Tokens>,
    /// Addresses and secrets of hooks.
    pub hooks: Arc<dyn HookSeals>,
    /// The forms of reports that hooks take.
    pub feedback: Vec<Arc<dyn FeedbackFormat>>,
    /// How many of them at once.
    pub(crate) intake: Intake,
    /// What checks and renders templates.
    pub templates: Arc<dyn Templates>,
    /// What knows the links of templates.
    pub tracker: Arc<dyn Tracker>,
    /// What builds test mails.
    pub composer: Arc<dyn Composer>,
    /// What sends test mails, where a mail server is configured.
    pub transport: Option<Arc<dyn MailTransport>>,
    /// Where people reach this installation, without a slash at the end.
    pub public_url: String,
    /// What to do with campaigns without a postal address.
    pub postal_address: PostalAddressRule,
    /// What to do with visitors who ask not to be followed.
    pub do_not_track: DoNotTrack,
}

/// What an [`ApiState`] is made from.
pub struct ApiParts {
    /// Transactions.
    pub store: Arc<dyn Store>,
    /// Where presented keys are found.
    pub keys: Arc<dyn KeyDirectory>,
    /// Whether requests can be served.
    pub readiness: Arc<dyn Readiness>,
    /// Names of deliveries in links, the same as the workers use.
    pub tokens: Arc<dyn Tokens>,
    /// Addresses and secrets of hooks, made from the installation's secret.
    pub hooks: Arc<dyn HookSeals>,
    /// The forms of reports that hooks take.
    pub feedback: Vec<Arc<dyn FeedbackFormat>>,
    /// What checks and renders templates.
    pub templates: Arc<dyn Templates>,
    /// What knows the links of templates.
    pub tracker: Arc<dyn Tracker>,
    /// What builds test mails.
    pub composer: Arc<dyn Composer>,
    /// What sends test mails, where a mail server is configured.
    pub transport: Option<Arc<dyn MailTransport>>,
    /// The installation's secret, the same on all nodes.
    pub secret: SecretSlice<u8>,
    /// Where people reach this installation.
    pub public_url: String,
    /// What to do with campaigns without a postal address.
    pub postal_address: PostalAddressRule,
    /// What to do with visitors who ask not to be followed.
    pub do_not_track: DoNotTrack,
}

impl ApiState {
    /// Puts the parts together.
    pub fn new(parts: ApiParts) -> Self {
        Self {
            store: parts.store,
            authenticator: Authenticator::new(parts.keys),
            readiness: parts.readiness,
            cursors: Cursors::new(&parts.secret),
            tokens: parts.tokens,
            hooks: parts.hooks,
            feedback: parts.feedback,
            intake: Intake::default(),
            templates: parts.templates,
            tracker: parts.tracker,
            ingest: Ingest::new(),
            composer: parts.composer,
            transport: parts.transport,
            public_url: parts.public_url.trim_end_matches('/').to_owned(),
            postal_address: parts.postal_address,
            do_not_track: parts.do_not_track,
        }
    }
}
