//! A running API with a database of its own, and clients that speak to it.

use muster_adapters::postgres::{PgStore, PoolOptions};
use muster_adapters::smtp::SmtpConfig;
use muster_api::{ApiState, DoNotTrack, run_server};
use muster_domain::model::principal::Scope;
use muster_domain::usecases::create_key::CreateKey;
use muster_domain::usecases::launch_campaign::PostalAddressRule;
use muster_domain::usecases::provision_key::{ProvisionKey, provision_key};
use muster_server::wiring::{ApiSettings, api_state, test_transport};
use muster_server::{crypto, listening};
use muster_testkit::database::TestDatabase;
use muster_testkit::smtp_sink::{Script, SmtpSink};
use reqwest::{Client, Method, RequestBuilder, header::HeaderMap};
use secrecy::{ExposeSecret, SecretSlice};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// The installation's secret.
pub(crate) const SECRET: [u8; 32] = [7; 32];
/// The one before.
pub(crate) const PREVIOUS_SECRET: [u8; 32] = [6; 32];

/// The API on a free port of the loopback. Stops when dropped. Its verbs speak with a key that has all scopes.
pub(crate) struct TestApp {
    caller: Caller,
    _served: Served,
    /// Its database, for looking behind the API.
    pub(crate) database: TestDatabase,
    /// Where test mails go.
    pub(crate) sink: SmtpSink,
}

impl TestApp {
    /// Starts on a migrated database of its own.
    pub(crate) async fn start() -> Self {
        Self::start_on(TestDatabase::create().await).await
    }

    /// Starts on that database.
    pub(crate) async fn start_on(database: TestDatabase) -> Self {
        Self::start_with(database, PostalAddressRule::default()).await
    }

    /// The same, with this rule for launches.
    pub(crate) async fn start_with(database: TestDatabase, postal_address: PostalAddressRule) -> Self {
        let sink = SmtpSink::start(Script::default()).await.expect("a mail server");
        let smtp = SmtpConfig::parse(&sink.url().into()).expect("its address");
        let state = api_state(ApiSettings {
            store: store(&database),
            secret: SecretSlice::from(SECRET.to_vec()),
            previous_secrets: vec![SecretSlice::from(PREVIOUS_SECRET.to_vec())],
            public_url: "http://muster.test".to_owned(),
            transport: Some(test_transport(smtp).expect("a transport")),
            postal_address,
            do_not_track: DoNotTrack::default(),
        });
        let served = Served::start(state);
        let token = provision(&database, "acme", "main", &Scope::ALL).await;
        Self { caller: Caller::new(served.address, token), _served: served, database, sink }
    }

    /// A caller of another tenant on the same server.
    pub(crate) async fn other_tenant(&self) -> Caller {
        self.with_token(provision(&self.database, "globex", "main", &Scope::ALL).await)
    }

    /// A caller of another workspace of the same tenant.
    pub(crate) async fn other_workspace(&self) -> Caller {
        self.with_token(provision(&self.database, "acme", "second", &Scope::ALL).await)
    }

    /// A caller of the same workspace with these scopes only.
    pub(crate) async fn key_with_scopes(&self, scopes: &[&str]) -> Caller {
        let scopes: Vec<_> = scopes.iter().map(|name| Scope::parse(name).expect("a known scope")).collect();
        self.with_token(provision(&self.database, "acme", "main", &scopes).await)
    }
}

impl TestApp {
    /// Fails unless that SQL condition holds, seen by the database's superuser.
    pub(crate) async fn assert_sql(&self, condition: &str) {
        let told = condition.replace('\'', "''");
        self.database.run_sql(&format!("DO $$ BEGIN ASSERT ({condition}), '{told}'; END $$")).await;
    }
}

impl Deref for TestApp {
    type Target = Caller;
    fn deref(&self) -> &Caller {
        &self.caller
    }
}

/// The state over somebody else's database, without mail.
pub(crate) fn state_over(store: PgStore) -> Arc<ApiState> {
    let (secret, public_url) = (SecretSlice::from(SECRET.to_vec()), "http://muster.test".to_owned());
    api_state(ApiSettings {
        store,
        secret,
        previous_secrets: Vec::new(),
        public_url,
        transport: None,
        postal_address: PostalAddressRule::default(),
        do_not_track: DoNotTrack::default(),
    })
}

/// A server on a free port of the loopback. Stops when dropped.
pub(crate) struct Served {
    /// Where it is.
    pub(crate) address: SocketAddr,
    server: actix_web::dev::ServerHandle,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Served {
    /// Serves from now on.
    pub(crate) fn start(state: Arc<ApiState>) -> Self {
        let (address, server, thread) = serve(state);
        Self { address, server, thread: Some(thread) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // The command is sent at once; the future only waits for its end.
        drop(self.server.stop(false));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Storage over a test's database, for wiring and for looking behind the API.
pub(crate) fn store(database: &TestDatabase) -> PgStore {
    PgStore::new(database.url(), PoolOptions { max_size: 8, wait: Duration::from_secs(5) }).expect("a pool")
}

/// Makes a key as the command line does, and its tenant and workspace when missing.
pub(crate) async fn provision(database: &TestDatabase, tenant: &str, workspace: &str, scopes: &[Scope]) -> String {
    let store = store(database);
    let command = ProvisionKey {
        tenant: tenant.to_owned(),
        workspace: workspace.to_owned(),
        key: CreateKey { name: "test".to_owned(), scopes: scopes.to_vec(), expires_at: None },
    };
    let issued = provision_key(&store, &store, command).await.expect("a key");
    issued.token.expose_secret().to_owned()
}

/// Runs the server on a thread and a runtime of its own, so that it outlives no test and a test's end cannot cut it off.
fn serve(state: Arc<ApiState>) -> (SocketAddr, actix_web::dev::ServerHandle, std::thread::JoinHandle<()>) {
    let listener = listening::bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
    let address = listener.local_addr().expect("its number");
    let (send, receive) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = run_server(listener, state, 2).expect("a server");
            send.send(server.handle()).expect("the test waits");
            server.await.expect("the server ends in order");
        });
    });
    (address, receive.recv().expect("the server starts"), thread)
}

/// Somebody with a key. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Caller {
    base: String,
    client: Client,
    /// The key in use; empty to send none.
    pub(crate) token: String,
}

impl Caller {
    pub(crate) fn new(address: SocketAddr, token: String) -> Self {
        crypto::install_provider();
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .expect("a client");
        Self { base: format!("http://{address}"), client, token }
    }

    /// The same server with another key; with an empty one, without any.
    pub(crate) fn with_token(&self, token: impl Into<String>) -> Caller {
        Caller { token: token.into(), ..self.clone() }
    }

    /// The address of `path`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A request with the key, to be made odd before it is sent.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, self.url(path));
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }

    /// Sends what [`Caller::request`] made.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers, text, json }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    /// A POST without a body and without a content type, as actions take it.
    pub(crate) async fn post_empty(&self, path: &str) -> Answer {
        self.send(self.request(Method::POST, path)).await
    }

    /// A POST that may be repeated.
    pub(crate) async fn post_keyed(&self, path: &str, key: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).header("Idempotency-Key", key).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(&body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(&body)).await
    }
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The body as JSON; null when it is none.
    pub(crate) json: Value,
}

impl Answer {
    /// A header as text; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a text"))
    }

    /// Each bad field of a `validation_failed`, as `pointer code`, sorted.
    pub(crate) fn fields(&self) -> Vec<String> {
        let errors = self.json["errors"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut fields: Vec<_> =
            errors.iter().map(|error| format!("{} {}", text(&error["pointer"]), text(&error["code"]))).collect();
        fields.sort();
        fields
    }

    /// The member `id` of the body.
    pub(crate) fn id(&self) -> String {
        self.json["id"].as_str().unwrap_or_else(|| panic!("no id in {self:?}")).to_owned()
    }

    /// Fails unless it is a problem of that status and code, in full form.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status, self.json["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.json["status"], status, "{self:?}");
        for member in ["type", "title", "detail"] {
            assert!(self.json[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {self:?}");
        }
        assert!(!self.header("x-request-id").is_empty(), "{self:?}");
        self
    }

    /// Fails unless it has that status.
    #[track_caller]
    pub(crate) fn assert_status(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}
