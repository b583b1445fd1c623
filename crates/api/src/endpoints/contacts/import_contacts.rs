//! `POST /api/contacts/import`

use crate::extract::{AudienceWrite, Can, Fields, FromFields, Item, Params};
use crate::import::{ContactForm, ContactSink, Format, ImportResponse, Importer, Reader};
use crate::problem::Problem;
use crate::transact::Answer;
use actix_web::{HttpRequest, HttpResponse, post, web};
use muster_domain::model::ids::{SegmentId, SegmentNo};
use muster_domain::model::import::Mapping;
use muster_domain::model::segment::SegmentKind;
use utoipa::IntoParams;
use uuid::Uuid;

/// How to read the list, and where to put it.
pub(crate) struct ImportQuery {
    mapping: Mapping,
    segment: Option<SegmentId>,
}

/// The parameters, for the documentation.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "only describes what `ImportQuery` reads")]
pub(crate) struct ImportParams {
    /// A JSON object that says which column is which field: `{"Work Mail": "email", "Plan": "customFields.plan",
    /// "Notes": ""}`. An empty name skips the column.
    mapping: Option<String>,
    /// A static segment; everybody imported is put into it, those known before included.
    segment_id: Option<Uuid>,
}

impl FromFields for ImportQuery {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let mapping = fields.optional("mapping", |value| value.parsed(8192, Mapping::parse));
        let segment = fields.optional("segmentId", Item::uuid);
        Some(Self { mapping: mapping?.unwrap_or_default(), segment: segment?.map(SegmentId) })
    }
}

/// Imports a list of any size, as CSV with a header row or as NDJSON.
///
/// Columns are known by the names of fields however they are written (`firstName`, `First Name`, `first_name`) and by
/// a few others (`company_name`, `surname`, `e-mail address`); the rest become custom fields. Delimiters are commas,
/// semicolons or tabs. Cells of tags hold several, split at `,`, `;` or `|`, and are added to those there. Empty cells
/// leave what is known as it is. An address known already is changed, and so is one that comes again further down.
///
/// Rows are stored in batches while the list arrives: bad rows never stop good ones, and what was stored stays when
/// the connection is lost. Sending the same list again is safe. A list whose header row names no e-mail addresses is
/// refused before anything is stored.
#[utoipa::path(
    operation_id = "import_contacts",
    tag = "contacts",
    params(ImportParams),
    request_body(content((String = "text/csv"), (String = "application/x-ndjson")), description = "The list"),
    responses(
        (status = 200, description = "What became of the rows", body = ImportResponse),
        (status = 404, description = "There is no such segment", body = crate::problem::ProblemBody,
            content_type = "application/problem+json")
    )
)]
#[post("/import")]
pub(crate) async fn import_contacts(
    caller: Can<AudienceWrite>,
    query: Params<ImportQuery>,
    request: HttpRequest,
    body: web::Payload,
) -> Answer {
    let reader = Reader::new(Format::of_request(&request)?, ContactForm::new(query.mapping.clone()));
    let segment = match query.segment {
        Some(id) => Some(static_segment(&caller, id).await?),
        None => None,
    };
    let sink = ContactSink { state: caller.state.clone(), of: caller.workspace(), segment };
    let tally = Importer::new(sink).run(reader, body).await?;
    Ok(HttpResponse::Ok().json(ImportResponse::from(tally)))
}

async fn static_segment(caller: &Can<AudienceWrite>, id: SegmentId) -> Result<SegmentNo, Problem> {
    let segment = caller.read(async |tx| tx.segments().find(id).await).await?.ok_or(Problem::NotFound)?;
    if segment.definition.kind() != SegmentKind::Static {
        return Err(Problem::invalid(
            "/segmentId",
            "not_static",
            "must be a static segment; this one follows its rules",
        ));
    }
    Ok(segment.no)
}
