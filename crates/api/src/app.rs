//! Putting the application together, and serving it.

use crate::allow::AllowTable;
use crate::docs::{self, Document};
use crate::edge::{RequestSpan, edge};
use crate::limits::{CONNECTIONS, HEAD_TIME};
use crate::routes::routes;
use crate::state::ApiState;
use crate::{health, metrics, openapi};
use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error, HttpServer, web};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tracing_actix_web::TracingLogger;
use utoipa_actix_web::AppExt;

/// How long running requests may take to end once the server was told to stop, in seconds.
const DRAIN_SECONDS: u64 = 20;

/// How often old observations are folded away.
const UPKEEP: Duration = Duration::from_secs(5);

/// What all worker threads share beside the state.
#[derive(Clone)]
struct Shared {
    state: web::Data<ApiState>,
    document: web::Data<Document>,
    allow: web::Data<AllowTable>,
}

impl Shared {
    fn new(state: Arc<ApiState>) -> Self {
        let document = openapi::openapi();
        Self {
            state: web::Data::from(state),
            allow: web::Data::new(AllowTable::of(&document)),
            document: web::Data::new(Document(openapi::to_json(&document))),
        }
    }
}

fn build_app(
    shared: Shared,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    let (app, _) = App::new()
        .app_data(shared.state)
        .app_data(shared.document)
        .app_data(shared.allow)
        .into_utoipa_app()
        .configure(routes)
        .split_for_parts();
    app.service(docs::page()).wrap(from_fn(edge)).wrap(TracingLogger::<RequestSpan>::new())
}

/// Serves the figures of a process that has nothing else to serve, and that it lives. To be called within the runtime that
/// serves, and before anything is counted.
///
/// # Errors
/// When the listener cannot be used.
pub fn run_figures_server(listener: TcpListener) -> io::Result<Server> {
    keep_figures();
    Ok(HttpServer::new(|| App::new().service(metrics::read_metrics).service(health::read_health))
        .workers(1)
        .max_connections(CONNECTIONS)
        .client_request_timeout(HEAD_TIME)
        .disable_signals()
        .listen(listener)?
        .run())
}

/// Installs the recorder of this process, and folds old observations away now and then.
fn keep_figures() {
    if let Some(recorder) = metrics::recorder() {
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(UPKEEP);
            loop {
                ticks.tick().await;
                recorder.run_upkeep();
            }
        });
    }
}

/// Serves the API on `listener` with so many worker threads. To be called within the runtime that serves. Await the server to run it; it ends after
/// `server.handle().stop(true)`, when running requests are answered or 20 seconds are over. It minds no signals.
///
/// # Errors
/// When the listener cannot be used.
pub fn run_server(listener: TcpListener, state: Arc<ApiState>, workers: usize) -> io::Result<Server> {
    state.ingest.start(&state.store);
    let shared = Shared::new(state);
    keep_figures();
    Ok(HttpServer::new(move || build_app(shared.clone()))
        .workers(workers)
        .max_connections(CONNECTIONS)
        .client_request_timeout(HEAD_TIME)
        .shutdown_timeout(DRAIN_SECONDS)
        .disable_signals()
        .listen(listener)?
        .run())
}
