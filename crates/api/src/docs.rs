//! The OpenAPI document and a page to read it, which loads nothing from elsewhere.

use actix_web::http::header::{CONTENT_SECURITY_POLICY, LOCATION};
use actix_web::middleware::DefaultHeaders;
use actix_web::{HttpResponse, get, web};
use utoipa_swagger_ui::{Config, SwaggerUi};

/// The page brings its own scripts and styles, sets some styles inline and draws icons from data URLs.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The document as it is served.
pub(crate) struct Document(pub(crate) String);

/// This document.
#[utoipa::path(
    operation_id = "read_openapi",
    tag = "operations",
    responses((status = 200, description = "The OpenAPI document", content_type = "application/json"))
)]
#[get("/openapi.json")]
pub(crate) async fn read_openapi(document: web::Data<Document>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(document.0.clone())
}

/// A page that shows this document.
#[utoipa::path(
    operation_id = "read_docs",
    tag = "operations",
    responses((status = 302, description = "The page, at `/docs/`"))
)]
#[get("/docs")]
pub(crate) async fn read_docs() -> HttpResponse {
    HttpResponse::Found().insert_header((LOCATION, "/docs/")).finish()
}

/// The page itself.
pub(crate) fn page() -> impl actix_web::dev::HttpServiceFactory {
    web::scope("/docs")
        .wrap(DefaultHeaders::new().add((CONTENT_SECURITY_POLICY, PAGE_POLICY)))
        .service(SwaggerUi::new("/{_:.*}").config(Config::from("/openapi.json")))
}
