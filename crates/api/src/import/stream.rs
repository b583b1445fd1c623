//! A file of either format.

use super::csv::CsvReader;
use super::ndjson::NdjsonReader;
use super::{Form, Harvest};
use crate::extract::require_media_type;
use crate::problem::Problem;
use actix_web::HttpRequest;
use actix_web::http::header;
use muster_domain::model::problem::FieldProblems;

/// What a list may be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// RFC 4180, with a header row.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

impl Format {
    /// The media types that are read, the one to recommend first.
    pub(crate) const MEDIA_TYPES: [&'static str; 4] =
        ["text/csv", "application/x-ndjson", "application/ndjson", "application/jsonl"];

    /// The format of a request's body; 415 when it is neither.
    pub(crate) fn of_request(request: &HttpRequest) -> Result<Self, Problem> {
        require_media_type(request, &Self::MEDIA_TYPES)?;
        let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        Ok(Self::of(media_type.unwrap_or_default()))
    }

    /// The format of a media type that is read.
    fn of(media_type: &str) -> Self {
        let is_csv = media_type.trim_start().get(..8).is_some_and(|start| start.eq_ignore_ascii_case("text/csv"));
        if is_csv { Self::Csv } else { Self::Ndjson }
    }
}

/// Reads rows from chunks of either format.
pub(crate) enum Reader<F: Form> {
    /// CSV.
    Csv(Box<CsvReader<F>>),
    /// NDJSON.
    Ndjson(NdjsonReader<F>),
}

impl<F: Form> Reader<F> {
    /// Reads a list of that form, written in `format`.
    pub(crate) fn new(format: Format, form: F) -> Self {
        match format {
            Format::Csv => Self::Csv(Box::new(CsvReader::new(form))),
            Format::Ndjson => Self::Ndjson(NdjsonReader::new(form)),
        }
    }

    /// Takes the next bytes. An error is about the file as a whole, before its first row.
    pub(crate) fn feed(&mut self, bytes: &[u8], harvest: &mut Harvest<F::Row>) -> Result<(), FieldProblems> {
        match self {
            Self::Csv(reader) => reader.feed(bytes, harvest),
            Self::Ndjson(reader) => {
                reader.feed(bytes, harvest);
                Ok(())
            }
        }
    }

    /// There are no more bytes.
    pub(crate) fn finish(&mut self, harvest: &mut Harvest<F::Row>) -> Result<(), FieldProblems> {
        match self {
            Self::Csv(reader) => reader.finish(harvest),
            Self::Ndjson(reader) => {
                reader.finish(harvest);
                Ok(())
            }
        }
    }
}
