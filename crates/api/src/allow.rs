//! Which methods each address has, for 405 and `Allow`; read from the OpenAPI document, which the routes made.

use crate::problem::Problem;
use actix_web::dev::ResourceDef;
use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse, web};
use utoipa::openapi::OpenApi;

/// Every address with its methods; those without variable parts first, because they win.
pub(crate) struct AllowTable(Vec<Entry>);

struct Entry {
    address: ResourceDef,
    methods: Vec<&'static str>,
}

impl AllowTable {
    /// Reads the table from the document.
    pub(crate) fn of(document: &OpenApi) -> Self {
        let mut paths: Vec<_> = document.paths.paths.iter().collect();
        paths.sort_by_key(|(path, _)| (path.matches('{').count(), path.as_str()));
        let entry = |(path, item): (&String, &utoipa::openapi::PathItem)| Entry {
            address: ResourceDef::new(path.as_str()),
            methods: methods(item),
        };
        Self(paths.into_iter().map(entry).collect())
    }

    /// What is allowed at `path`, as `Allow` says it; `None` when there is nothing.
    fn allow(&self, path: &str) -> Option<String> {
        let entry = self.0.iter().find(|entry| entry.address.is_match(path))?;
        let mut methods = entry.methods.clone();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.push("OPTIONS");
        Some(methods.join(", "))
    }
}

fn methods(item: &utoipa::openapi::PathItem) -> Vec<&'static str> {
    [
        ("GET", item.get.is_some()),
        ("POST", item.post.is_some()),
        ("PUT", item.put.is_some()),
        ("PATCH", item.patch.is_some()),
        ("DELETE", item.delete.is_some()),
    ]
    .into_iter()
    .filter_map(|(method, there)| there.then_some(method))
    .collect()
}

/// What answers where no route does: the methods for OPTIONS, 405 for a wrong method, else 404.
pub(crate) async fn no_route(request: HttpRequest) -> Result<HttpResponse, Problem> {
    match allow_at(&request) {
        Some(allow) if request.method() == Method::OPTIONS => {
            Ok(HttpResponse::NoContent().insert_header((header::ALLOW, allow)).finish())
        }
        _ => Err(elsewhere(&request)),
    }
}

/// Why there is nothing for this request: the address has other methods, or is none.
pub(crate) fn elsewhere(request: &HttpRequest) -> Problem {
    match allow_at(request) {
        Some(allow) if !allow.split(", ").any(|method| method == request.method().as_str()) => {
            Problem::MethodNotAllowed { allow }
        }
        _ => Problem::NotFound,
    }
}

fn allow_at(request: &HttpRequest) -> Option<String> {
    request.app_data::<web::Data<AllowTable>>()?.allow(request.path())
}
