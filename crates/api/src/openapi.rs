//! The OpenAPI document: collected from the routes, completed with what is true of every operation.
//!
//! Endpoints document what is their own: parameters, bodies, successes. Security, the refusals that the frame makes,
//! and closed schemas are added here, so that no endpoint can forget them.

mod merge;
mod words;

pub(crate) use words::*;

use crate::problem::{PROBLEM_JSON, ProblemBody};
use crate::routes::routes;
use actix_web::App;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, Info, License, ObjectBuilder, OpenApi, OpenApiBuilder, PathItem, Ref, RefOr,
    Required, ResponseBuilder, Type,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_actix_web::AppExt;

/// The document. The same for the same program: paths, schemas and members are in a fixed order.
pub fn openapi() -> OpenApi {
    let (_, mut document) = App::new().into_utoipa_app().openapi(base()).configure(routes).split_for_parts();
    for (path, item) in &mut document.paths.paths {
        if path.starts_with("/api") {
            complete(item);
        }
    }
    if let Some(components) = &mut document.components {
        let named = components.schemas.clone();
        components.schemas.values_mut().for_each(|schema| merge::close(schema, &named));
    }
    document
}

/// The document as text, indented, with a newline at its end.
pub fn to_json(document: &OpenApi) -> String {
    // Through a `Value`, whose members are sorted.
    let value = serde_json::to_value(document).unwrap_or_default();
    let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.push('\n');
    text
}

fn base() -> OpenApi {
    let mut info = Info::new("Muster", env!("CARGO_PKG_VERSION"));
    info.description =
        Some("Multi-tenant e-mail campaigns: create, schedule, launch, pause, resume, measure.".to_owned());
    info.license = Some(License::new("Apache-2.0"));
    let mut schemas = vec![(ProblemBody::name().to_string(), ProblemBody::schema())];
    ProblemBody::schemas(&mut schemas);
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("mk_<prefix>_<secret>")
        .description(Some("An API key; see `POST /api/keys`."))
        .build();
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme("apiKey", SecurityScheme::Http(key))
        .build();
    OpenApiBuilder::new().info(info).components(Some(components)).build()
}

/// What the frame does to every operation below `/api`.
fn complete(item: &mut PathItem) {
    let operations = [
        (&mut item.get, "GET"),
        (&mut item.post, "POST"),
        (&mut item.put, "PUT"),
        (&mut item.patch, "PATCH"),
        (&mut item.delete, "DELETE"),
    ];
    for (operation, method) in operations {
        let Some(operation) = operation.as_mut() else { continue };
        operation.security = Some(vec![SecurityRequirement::new("apiKey", Vec::<String>::new())]);
        let streams = streams(operation);
        for parameter in operation.parameters.iter_mut().flatten() {
            if let RefOr::T(parameter) = parameter
                && parameter.name == "If-Match"
            {
                parameter.description =
                    Some("The version that is to be changed, as `ETag` gave it; 412 when it is another.".into());
                parameter.schema = Some(entity_tag());
                parameter.required = Required::False;
            }
        }
        if method == "POST" && !streams {
            operation.parameters.get_or_insert_default().push(
                ParameterBuilder::new()
                    .name("Idempotency-Key")
                    .parameter_in(ParameterIn::Header)
                    .description(Some(
                        "Repeating the request with the same key within 24 hours answers it again and does nothing.",
                    ))
                    .schema(Some(
                        ObjectBuilder::new().schema_type(Type::String).max_length(Some(255)).pattern(Some("^[!-~]+$")),
                    ))
                    .build()
                    .into(),
            );
        }
        for (status, description) in refusals(operation, method, streams) {
            operation.responses.responses.entry(status.to_owned()).or_insert_with(|| problem(description));
        }
    }
}

/// Whether the body is something else than JSON.
fn streams(operation: &Operation) -> bool {
    matches!(&operation.request_body, Some(RefOr::T(body)) if !body.content.contains_key("application/json"))
}

fn refusals(operation: &Operation, method: &str, streams: bool) -> Vec<(&'static str, &'static str)> {
    let parameters = operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) => Some(parameter),
        RefOr::Ref(_) => None,
    });
    let in_path = parameters.clone().any(|parameter| parameter.parameter_in == ParameterIn::Path);
    let if_match = parameters.clone().any(|parameter| parameter.name.eq_ignore_ascii_case("If-Match"));
    let has_body = operation.request_body.is_some();
    let takes_json = (has_body || method == "POST") && !streams;
    let mut refusals = vec![
        ("401", "No valid API key"),
        ("403", "The key lacks the scope"),
        ("414", "The address is longer than 8 KiB"),
        ("431", "The headers are larger than 16 KiB"),
        ("500", "A failure on our side"),
        ("503", "Not available at the moment; see Retry-After"),
    ];
    if in_path {
        refusals.push(("404", "Not there, or somebody else's"));
    } else if method == "POST" && !streams {
        refusals.push(("404", "With an Idempotency-Key that was used before: what was answered then is erased"));
    }
    if takes_json {
        refusals.push(("400", "The body is not JSON"));
    }
    if has_body || method == "POST" {
        refusals.push(("408", "The body did not arrive in time"));
        refusals.push(("413", "The body is too large"));
        refusals.push(("415", "The body is of another kind"));
    }
    if method == "POST" {
        refusals.push(("409", "In conflict with what is there or being done"));
    }
    if if_match {
        refusals.push(("412", "The version in If-Match is not the current one"));
    }
    if parameters.count() > 0 || has_body || method == "POST" {
        refusals.push(("422", "Invalid fields or parameters, all of them named"));
    }
    refusals
}

fn problem(description: &str) -> RefOr<utoipa::openapi::Response> {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    RefOr::T(ResponseBuilder::new().description(description).content(PROBLEM_JSON, content).build())
}
