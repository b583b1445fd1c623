//! `POST /api/suppressions/import`

use super::suppress_address::{read_reason, reasons};
use crate::extract::{AudienceWrite, Can, Fields, FromFields, Params};
use crate::import::{Format, ImportResponse, Importer, Reader, SuppressionForm, SuppressionSink};
use crate::transact::Answer;
use actix_web::{HttpRequest, HttpResponse, post, web};
use muster_domain::model::suppression::SuppressionReason;
use muster_domain::usecases::import_suppressions::DEFAULT_SOURCE;
use utoipa::IntoParams;

/// What rows are taken to say when they do not say it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ImportParams {
    /// The reason of rows that give none.
    #[param(schema_with = reasons)]
    reason: Option<SuppressionReason>,
    /// The source of rows that give none.
    #[param(min_length = 1, max_length = 200, default = "import")]
    source: Option<String>,
}

impl FromFields for ImportParams {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let reason = fields.optional("reason", read_reason);
        let source = fields.optional("source", |value| value.line(1..=200));
        Some(Self { reason: reason?, source: source? })
    }
}

/// Imports a list of addresses and domains of any size, as CSV with a header row or as NDJSON: `email` or `domain`, and
/// where the list has them `reason` and `source`. Other columns are passed over.
///
/// Rows are stored in batches while the list arrives, and hold from then on: no delivery to them begins. Bad rows never
/// stop good ones; what was on the list before is skipped and keeps its reason and source. Sending the same list again is
/// safe.
#[utoipa::path(
    operation_id = "import_suppressions",
    tag = "suppressions",
    params(ImportParams),
    request_body(content((String = "text/csv"), (String = "application/x-ndjson")), description = "The list"),
    responses((status = 200, description = "What became of the rows", body = ImportResponse))
)]
#[post("/import")]
pub(crate) async fn import_suppressions(
    caller: Can<AudienceWrite>,
    query: Params<ImportParams>,
    request: HttpRequest,
    body: web::Payload,
) -> Answer {
    let reader = Reader::new(Format::of_request(&request)?, SuppressionForm);
    let sink = SuppressionSink {
        state: caller.state.clone(),
        of: caller.workspace(),
        reason: query.reason.unwrap_or(SuppressionReason::Manual),
        source: query.source.clone().unwrap_or_else(|| DEFAULT_SOURCE.to_owned()),
    };
    let tally = Importer::new(sink).run(reader, body).await?;
    Ok(HttpResponse::Ok().json(ImportResponse::from(tally)))
}
