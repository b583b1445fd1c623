//! CSV (RFC 4180) as the world writes it: with or without a byte-order mark, CRLF or LF, commas, semicolons or tabs.

use super::{Form, Harvest, MAX_COLUMNS, ROW_BYTES};
use csv_core::ReadFieldResult;
use muster_domain::model::import::CellProblem;
use muster_domain::model::problem::FieldProblems;

const SCRATCH_BYTES: usize = 8 * 1024;

/// Reads CSV from chunks, however they are cut.
pub(crate) struct CsvReader<F: Form> {
    form: F,
    stage: Stage<F::Columns>,
    core: csv_core::Reader,
    scratch: Box<[u8]>,
    record: Record,
    /// The line that is being read, from 1.
    line: u64,
}

/// How far reading has come.
enum Stage<C> {
    /// Up to the end of the first line, which shows the delimiter.
    Head(Vec<u8>),
    /// Within the header row.
    Header,
    /// Within rows.
    Rows(C),
}

/// The record that is being read.
#[derive(Default)]
struct Record {
    begun: bool,
    /// The line on which it begins.
    line: u64,
    /// Its cells, one after the other, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    too_long: bool,
    too_wide: bool,
}

impl Record {
    fn begin(&mut self, line: u64) {
        self.text.clear();
        self.ends.clear();
        *self = Self {
            begun: true,
            line,
            text: std::mem::take(&mut self.text),
            ends: std::mem::take(&mut self.ends),
            ..Self::default()
        };
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.text.len() + bytes.len() > ROW_BYTES {
            self.too_long = true;
            self.text = Vec::new();
            self.ends = Vec::new();
        }
        if !self.too_long {
            self.text.extend_from_slice(bytes);
        }
    }

    fn end_cell(&mut self) {
        if self.ends.len() >= MAX_COLUMNS {
            self.too_wide = true;
        } else if !self.too_long {
            self.ends.push(self.text.len());
        }
    }

    /// The cells; `None` for one that is not UTF-8.
    fn cells(&self) -> impl Iterator<Item = Option<&str>> {
        // Checked at once where all is well, which is nearly always.
        let whole = std::str::from_utf8(&self.text).ok();
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).map(move |(start, end)| match whole {
            Some(text) => text.get(*start..*end),
            None => self.text.get(*start..*end).and_then(|cell| std::str::from_utf8(cell).ok()),
        })
    }
}

impl<F: Form> CsvReader<F> {
    pub(super) fn new(form: F) -> Self {
        Self {
            form,
            stage: Stage::Head(Vec::new()),
            core: csv_core::Reader::new(),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            record: Record::default(),
            line: 1,
        }
    }

    /// Takes the next bytes. An error is about the header row and ends the import before it began.
    pub(super) fn feed(&mut self, bytes: &[u8], harvest: &mut Harvest<F::Row>) -> Result<(), FieldProblems> {
        let Stage::Head(head) = &mut self.stage else { return self.read(bytes, harvest) };
        head.extend_from_slice(bytes);
        if head.len() > ROW_BYTES || has_whole_line(head) { self.begin(harvest) } else { Ok(()) }
    }

    /// There are no more bytes.
    pub(super) fn finish(&mut self, harvest: &mut Harvest<F::Row>) -> Result<(), FieldProblems> {
        if matches!(self.stage, Stage::Head(_)) {
            self.begin(harvest)?;
        }
        if self.record.begun {
            // A line end ends any record but one within quotes.
            let (line, begun_on) = (self.line, self.record.line);
            self.read(b"\n", harvest)?;
            if self.record.begun {
                let detail =
                    format!("a quote is not closed: all from here to the end, line {line}, is taken for one row");
                if matches!(self.stage, Stage::Header) {
                    return Err(FieldProblems::one("", "unclosed_quote", detail));
                }
                harvest.refuse(begun_on, vec![CellProblem::row("unclosed_quote", detail)]);
            }
        }
        if matches!(self.stage, Stage::Header) {
            return Err(FieldProblems::one("", "required", "the file is empty; its first row must name the columns"));
        }
        Ok(())
    }

    /// The first line is there: it shows the delimiter.
    fn begin(&mut self, harvest: &mut Harvest<F::Row>) -> Result<(), FieldProblems> {
        let Stage::Head(head) = std::mem::replace(&mut self.stage, Stage::Header) else { return Ok(()) };
        let bytes = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
        self.core = csv_core::ReaderBuilder::new().delimiter(delimiter(bytes)).build();
        self.read(bytes, harvest)
    }

    fn read(&mut self, mut input: &[u8], harvest: &mut Harvest<F::Row>) -> Result<(), FieldProblems> {
        while !input.is_empty() {
            if !self.record.begun {
                let blank = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
                self.line += newlines(&input[..blank]);
                input = &input[blank..];
                if input.is_empty() {
                    break;
                }
                self.record.begin(self.line);
            }
            let (result, read, written) = self.core.read_field(input, &mut self.scratch);
            self.line += newlines(&input[..read]);
            input = &input[read..];
            self.record.extend(&self.scratch[..written]);
            harvest.bytes += read;
            if let ReadFieldResult::Field { record_end } = result {
                self.record.end_cell();
                if record_end {
                    self.record.begun = false;
                    self.end_record(harvest)?;
                }
            }
        }
        Ok(())
    }

    fn end_record(&mut self, harvest: &mut Harvest<F::Row>) -> Result<(), FieldProblems> {
        let record = &self.record;
        match &self.stage {
            Stage::Rows(_) if record.too_long => harvest.refuse_too_long(record.line),
            Stage::Rows(_) if record.too_wide => {
                let detail = format!("a row has at most {MAX_COLUMNS} cells");
                harvest.refuse(record.line, vec![CellProblem::row("too_many_cells", detail)]);
            }
            Stage::Rows(columns) => match F::row(columns, record.line, record.cells()) {
                Ok(row) => harvest.rows.extend(row),
                Err(problems) => harvest.refuse(record.line, problems),
            },
            Stage::Head(_) | Stage::Header => self.stage = Stage::Rows(self.columns()?),
        }
        Ok(())
    }

    fn columns(&self) -> Result<F::Columns, FieldProblems> {
        if self.record.too_long {
            let detail = format!("the header row has at most {ROW_BYTES} bytes");
            return Err(FieldProblems::one("", "row_too_long", detail));
        }
        if self.record.too_wide {
            let detail = format!("a file has at most {MAX_COLUMNS} columns");
            return Err(FieldProblems::one("", "too_many_columns", detail));
        }
        let headers: Option<Vec<&str>> = self.record.cells().collect();
        let Some(headers) = headers else {
            return Err(FieldProblems::one("", "invalid_utf8", "the header row is not UTF-8"));
        };
        self.form.columns(&headers)
    }
}

/// Whether a line that is not empty has ended.
fn has_whole_line(head: &[u8]) -> bool {
    let begun = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    begun.is_some_and(|begun| head[begun..].iter().any(|byte| matches!(byte, b'\r' | b'\n')))
}

/// The one of comma, semicolon and tab that the first line has most of, outside quotes.
fn delimiter(head: &[u8]) -> u8 {
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).find(|line| !line.is_empty()).unwrap_or_default();
    let mut quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    for byte in line {
        quoted ^= *byte == b'"';
        if let Some((_, count)) = counts.iter_mut().find(|(delimiter, _)| delimiter == byte && !quoted) {
            *count += 1;
        }
    }
    // The first of equals: a comma.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| delimiter)
}

fn newlines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte == b'\n')).sum()
}

#[cfg(test)]
#[path = "csv_tests.rs"]
mod tests;
