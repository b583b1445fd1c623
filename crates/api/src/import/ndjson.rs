//! NDJSON: one JSON object a line.

use super::{Form, Harvest, ROW_BYTES};
use muster_domain::model::import::CellProblem;
use serde_json::{Map, Value};

/// Reads NDJSON from chunks, however they are cut.
pub(crate) struct NdjsonReader<F: Form> {
    form: F,
    /// The part of a line that has arrived; empty once it is too long.
    begun: Vec<u8>,
    too_long: bool,
    /// The line that is being read, from 1.
    line: u64,
}

impl<F: Form> NdjsonReader<F> {
    pub(super) fn new(form: F) -> Self {
        Self { form, begun: Vec::new(), too_long: false, line: 1 }
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8], harvest: &mut Harvest<F::Row>) {
        harvest.bytes += bytes.len();
        let mut parts = bytes.split(|byte| *byte == b'\n');
        // The last part has no line end yet.
        let last = parts.next_back().unwrap_or_default();
        for part in parts {
            self.extend(part);
            self.end_line(harvest);
        }
        self.extend(last);
    }

    /// There are no more bytes.
    pub(super) fn finish(&mut self, harvest: &mut Harvest<F::Row>) {
        self.end_line(harvest);
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.begun.len() + bytes.len() > ROW_BYTES {
            self.too_long = true;
            self.begun = Vec::new();
        }
        if !self.too_long {
            self.begun.extend_from_slice(bytes);
        }
    }

    fn end_line(&mut self, harvest: &mut Harvest<F::Row>) {
        let line = self.line;
        self.line += 1;
        if std::mem::take(&mut self.too_long) {
            harvest.refuse_too_long(line);
            return;
        }
        let text = self.begun.as_slice();
        let text = if line == 1 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) } else { text };
        let text = text.trim_ascii();
        if !text.is_empty() {
            match parse(text).and_then(|object| self.form.object(line, &object)) {
                Ok(row) => harvest.rows.push(row),
                Err(problems) => harvest.refuse(line, problems),
            }
        }
        self.begun.clear();
    }
}

fn parse(text: &[u8]) -> Result<Map<String, Value>, Vec<CellProblem>> {
    if std::str::from_utf8(text).is_err() {
        return Err(vec![CellProblem::row("invalid_utf8", "is not UTF-8")]);
    }
    // The parser's own message may quote the line.
    serde_json::from_slice(text).map_err(|error| {
        let detail = format!("is not a JSON object: see column {}", error.column());
        vec![CellProblem::row("malformed_json", detail)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::ContactForm;
    use muster_domain::model::import::{ImportRow, Mapping};

    fn read(text: &[u8]) -> Harvest<ImportRow> {
        let by = |size: usize| {
            let mut reader = NdjsonReader::new(ContactForm::new(Mapping::default()));
            let mut harvest = Harvest::default();
            text.chunks(size).for_each(|chunk| reader.feed(chunk, &mut harvest));
            reader.finish(&mut harvest);
            harvest
        };
        let whole = by(text.len().max(1));
        for size in [1, 3, 10] {
            let cut = by(size);
            assert_eq!((&cut.rows, &cut.problems), (&whole.rows, &whole.problems), "by {size}");
        }
        whole
    }

    #[test]
    fn each_line_is_a_row_and_empty_ones_are_none() {
        let text = "\u{feff}{\"email\":\"a@example.org\",\"firstName\":\"A\"}\r\n\n  \n{\"email\":\"b@example.org\"}";
        let harvest = read(text.as_bytes());
        assert_eq!(harvest.problems, []);
        assert_eq!(harvest.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [1, 4]);
        assert!(read(b"").rows.is_empty());
    }

    #[test]
    fn a_bad_line_does_not_stop_the_good_ones_and_is_not_repeated() {
        let deep = "[".repeat(10_000);
        let lines = [
            &b"{\"email\":\"a@example.org\"}"[..],
            b"{\"email\": secret@example.org}",
            b"[1]",
            b"{\"email\":\"\xff@example.org\"}",
            deep.as_bytes(),
            b"{\"city\":\"Bath\"}",
            b"{\"email\":\"c@example.org\",\"city\":\"\\u0000\"}",
            b"{\"email\":\"d@example.org\"}",
        ];
        let harvest = read(&lines.join(&b'\n'));
        let told: Vec<_> = harvest.problems.iter().map(|told| (told.line, told.problem.code.as_str())).collect();
        let expected = [
            (2, "malformed_json"),
            (3, "malformed_json"),
            (4, "invalid_utf8"),
            (5, "malformed_json"),
            (6, "required"),
            (7, "invalid_characters"),
        ];
        assert_eq!(told, expected);
        assert!(harvest.problems.iter().all(|told| !told.problem.detail.contains("secret")));
        assert_eq!((harvest.rows.len(), harvest.refused), (2, 6));
    }

    #[test]
    fn a_line_without_end_is_passed_over_without_being_held() {
        let mut reader = NdjsonReader::new(ContactForm::new(Mapping::default()));
        let mut harvest = Harvest::default();
        let chunk = vec![b'x'; 64 * 1024];
        for _ in 0..1600 {
            reader.feed(&chunk, &mut harvest);
            assert!(reader.begun.capacity() <= 2 * ROW_BYTES);
        }
        reader.feed(b"\n{\"email\":\"a@example.org\"}\n", &mut harvest);
        assert_eq!((harvest.problems[0].line, harvest.problems[0].problem.code.as_str()), (1, "row_too_long"));
        assert_eq!(harvest.rows[0].line, 2);
    }
}
