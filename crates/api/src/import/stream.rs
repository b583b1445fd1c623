//! A file of either format.

use super::Harvest;
use super::csv::CsvReader;
use super::ndjson::NdjsonReader;
use muster_domain::model::import::Mapping;
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

    /// The format of a media type that is read.
    pub(crate) fn of(media_type: &str) -> Self {
        let is_csv = media_type.trim_start().get(..8).is_some_and(|start| start.eq_ignore_ascii_case("text/csv"));
        if is_csv { Self::Csv } else { Self::Ndjson }
    }
}

/// Reads rows from chunks of either format.
pub(crate) enum Reader {
    /// CSV.
    Csv(Box<CsvReader>),
    /// NDJSON.
    Ndjson(NdjsonReader),
}

impl Reader {
    /// Reads `format`; `mapping` is what the caller says about columns.
    pub(crate) fn new(format: Format, mapping: Mapping) -> Self {
        match format {
            Format::Csv => Self::Csv(Box::new(CsvReader::new(mapping))),
            Format::Ndjson => Self::Ndjson(NdjsonReader::new(mapping)),
        }
    }

    /// Takes the next bytes. An error is about the file as a whole, before its first row.
    pub(crate) fn feed(&mut self, bytes: &[u8], harvest: &mut Harvest) -> Result<(), FieldProblems> {
        match self {
            Self::Csv(reader) => reader.feed(bytes, harvest),
            Self::Ndjson(reader) => {
                reader.feed(bytes, harvest);
                Ok(())
            }
        }
    }

    /// There are no more bytes.
    pub(crate) fn finish(&mut self, harvest: &mut Harvest) -> Result<(), FieldProblems> {
        match self {
            Self::Csv(reader) => reader.finish(harvest),
            Self::Ndjson(reader) => {
                reader.finish(harvest);
                Ok(())
            }
        }
    }
}
