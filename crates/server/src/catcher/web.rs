//! The HTTP side of the catcher: its URLs on one screen, and the headers that every answer carries.

use super::mailbox::{CaughtMail, Mailbox};
use super::{json, message_page, page};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Context;
use chrono::{DateTime, SecondsFormat, Utc};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// No script at all, nothing from elsewhere, no frame but our own and none around us.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What the handlers share.
pub(super) struct Catching {
    pub(super) mailbox: Arc<Mailbox>,
    /// Where mail is accepted, for the hint on an empty page.
    pub(super) smtp_addr: SocketAddr,
}

/// Shared state as handlers receive it.
pub(super) type State = web::Data<Catching>;

/// The server for `listener`; the caller spawns it.
pub(super) fn serve(
    listener: TcpListener,
    mailbox: Arc<Mailbox>,
    smtp_addr: SocketAddr,
) -> anyhow::Result<actix_web::dev::Server> {
    let state = web::Data::new(Catching { mailbox, smtp_addr });
    let server = HttpServer::new(move || {
        let headers = DefaultHeaders::new()
            .add((CONTENT_SECURITY_POLICY, PAGE_POLICY))
            .add((X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .add((REFERRER_POLICY, "no-referrer"))
            .add((CACHE_CONTROL, "no-store"));
        App::new().app_data(state.clone()).wrap(headers).configure(routes)
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(1)
    .listen(listener)
    .context("the mail catcher's page cannot be served")?;
    Ok(server.run())
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(page::list))
        .route("/clear", web::post().to(page::clear))
        .route("/style.css", web::get().to(page::style))
        .route("/messages/{number}", web::get().to(message_page::show))
        .route("/messages/{number}/html", web::get().to(message_page::html_part))
        .route("/messages/{number}/raw", web::get().to(message_page::raw))
        .service(
            web::scope("/api")
                .app_data(web::QueryConfig::default().error_handler(json::bad_query))
                .service(
                    web::resource("/messages")
                        .route(web::get().to(json::list_messages))
                        .route(web::delete().to(json::delete_messages)),
                )
                .route("/messages/{number}", web::get().to(json::show_message))
                .route("/stats", web::get().to(json::show_stats))
                .default_service(web::to(json::not_found)),
        )
        .default_service(web::to(page::not_found));
}

/// The message that the path names.
pub(super) fn message(state: &Catching, request: &HttpRequest) -> Option<Arc<CaughtMail>> {
    let number = request.match_info().get("number")?.parse().ok()?;
    state.mailbox.message(number)
}

/// Refuses what another site's page made the browser send. Clients that are no browsers send no such header.
pub(super) fn from_elsewhere(request: &HttpRequest) -> Option<HttpResponse> {
    let site = request.headers().get("Sec-Fetch-Site")?;
    let ours = site == "same-origin" || site == "none";
    (!ours).then(|| json::problem(StatusCode::FORBIDDEN, "forbidden", "This request comes from another site."))
}

/// The instant a message was received.
pub(super) fn instant(mail: &CaughtMail) -> DateTime<Utc> {
    mail.received_at.into()
}

/// An instant as JSON and `<time datetime>` carry it.
pub(super) fn rfc3339(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Millis, true)
}
