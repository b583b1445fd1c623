//! Tables to be downloaded as CSV (RFC 4180), safe to be opened in a spreadsheet.

use crate::problem::Problem;
use actix_web::HttpResponse;
use actix_web::http::header::{self, ContentDisposition, DispositionParam, DispositionType};
use csv::{Terminator, Writer, WriterBuilder};
use std::borrow::Cow;

/// The media type of the answer.
pub(crate) const TEXT_CSV: &str = "text/csv";

/// A table under way.
pub(crate) struct CsvTable(Writer<Vec<u8>>);

impl CsvTable {
    /// An empty table with these columns.
    pub(crate) fn new(columns: &[&str]) -> Result<Self, Problem> {
        let mut table = Self(WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new()));
        table.row(columns.iter().copied())?;
        Ok(table)
    }

    /// More rows of a table whose columns were named before.
    pub(crate) fn more() -> Self {
        Self(WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new()))
    }

    /// Adds a row. Each cell is made [`harmless`] on its way.
    pub(crate) fn row<C: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = C>) -> Result<(), Problem> {
        for cell in cells {
            self.0.write_field(harmless(cell.as_ref()).as_bytes()).map_err(Problem::internal)?;
        }
        self.0.write_record(None::<&[u8]>).map_err(Problem::internal)
    }

    /// What is written so far.
    pub(crate) fn into_bytes(self) -> Result<Vec<u8>, Problem> {
        self.0.into_inner().map_err(|error| Problem::internal(error.into_error()))
    }

    /// The table as a download of that name.
    pub(crate) fn download(self, filename: String) -> Result<HttpResponse, Problem> {
        let body = self.into_bytes()?;
        Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, format!("{TEXT_CSV}; charset=utf-8")))
            .insert_header(attachment(filename))
            .body(body))
    }
}

/// What makes a browser keep an answer as a file of that name.
pub(crate) fn attachment(filename: String) -> ContentDisposition {
    ContentDisposition {
        disposition: DispositionType::Attachment,
        parameters: vec![DispositionParam::Filename(filename)],
    }
}

/// A text that no spreadsheet takes for a formula: an apostrophe goes before whatever one might begin with. A negative
/// number stays one.
///
/// After OWASP's page on CSV injection: `=`, `+`, `-`, `@`, tab, carriage return, their full-width forms, and these
/// behind white space.
fn harmless(text: &str) -> Cow<'_, str> {
    let first = text.trim_start_matches([' ', '\n', '\u{a0}', '\u{3000}', '\u{feff}']).chars().next();
    let starts_formula = first.is_some_and(|first| {
        matches!(
            first,
            '=' | '+' | '-' | '@' | '\t' | '\r' | '|' | '%' | '\u{ff1d}' | '\u{ff0b}' | '\u{ff0d}' | '\u{ff20}'
        )
    });
    let number = text.starts_with('-') && text.parse::<f64>().is_ok_and(f64::is_finite);
    if starts_formula && !number { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_becomes_text_and_text_stays_as_it_is() {
        for formula in
            ["=1+1", "+49", "-1+1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\u{ff1d}1", "\u{feff}=1", "|cmd", "%0A"]
        {
            assert_eq!(harmless(formula), format!("'{formula}"));
        }
        for text in ["", "Ada", "a=b", "1-2", "-1", "-0.5", "'=1", "Ünal"] {
            assert_eq!(harmless(text), text);
        }
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let mut table = CsvTable::new(&["name", "n"]).unwrap();
        table.row(["a \"b\", c\nd", "1"]).unwrap();
        let bytes = table.0.into_inner().unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), "name,n\r\n\"a \"\"b\"\", c\nd\",1\r\n");
    }
}
