//! In which form an answer is wanted.

use crate::csv_table::TEXT_CSV;
use actix_web::dev::Payload;
use actix_web::http::header::Accept;
use actix_web::http::header::Header;
use actix_web::{FromRequest, HttpRequest};
use std::convert::Infallible;
use std::future::{Ready, ready};

/// The media type of lines of JSON.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// The form of an answer that can be had as a download too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// JSON: unless something else is asked for.
    Json,
    /// `Accept: text/csv`.
    Csv,
    /// `Accept: application/x-ndjson`: a line of JSON for each row.
    Ndjson,
}

impl FromRequest for Wanted {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(wanted(Accept::parse(request).ok())))
    }
}

/// The first of our forms in the order of the caller's wishes (RFC 9110 section 12.5.1); JSON when none is named, since
/// a caller that cannot be served as it likes is better served than refused.
fn wanted(accept: Option<Accept>) -> Wanted {
    let ranked = accept.map(|accept| accept.ranked()).unwrap_or_default();
    let form = |kind: &str| match kind {
        TEXT_CSV | "text/*" => Some(Wanted::Csv),
        NDJSON => Some(Wanted::Ndjson),
        "application/json" | "application/*" | "*/*" => Some(Wanted::Json),
        _ => None,
    };
    ranked.iter().find_map(|kind| form(kind.essence_str())).unwrap_or(Wanted::Json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn asked(accept: &str) -> Wanted {
        wanted(Accept::parse(&TestRequest::default().insert_header(("Accept", accept)).to_http_request()).ok())
    }

    #[test]
    fn the_caller_gets_what_it_likes_best() {
        assert_eq!(wanted(None), Wanted::Json);
        for csv in ["text/csv", "text/csv; charset=utf-8", "text/csv, */*;q=0.1", "application/json;q=0.5, text/csv"] {
            assert_eq!(asked(csv), Wanted::Csv, "{csv}");
        }
        for lines in ["application/x-ndjson", "application/x-ndjson, application/json;q=0.9"] {
            assert_eq!(asked(lines), Wanted::Ndjson, "{lines}");
        }
        for json in ["*/*", "application/json", "text/html", "text/csv;q=0.2, application/json;q=0.9", "nonsense", ""] {
            assert_eq!(asked(json), Wanted::Json, "{json}");
        }
    }
}
