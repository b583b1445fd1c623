//! CSV in all its shapes, fed in chunks of every size.

use super::*;
use crate::import::ContactForm;
use muster_domain::model::import::{ImportRow, Mapping};

/// Reads `text` in chunks of `size` bytes.
fn read_by(size: usize, text: &[u8]) -> Result<Harvest<ImportRow>, FieldProblems> {
    let mut reader = CsvReader::new(ContactForm::new(Mapping::default()));
    let mut harvest = Harvest::default();
    for chunk in text.chunks(size) {
        reader.feed(chunk, &mut harvest)?;
    }
    reader.finish(&mut harvest)?;
    Ok(harvest)
}

/// Reads `text` cut in many ways, and checks that the cuts make no difference.
fn read(text: &[u8]) -> Result<Harvest<ImportRow>, FieldProblems> {
    let whole = read_by(text.len().max(1), text);
    for size in [1, 2, 3, 7] {
        let cut = read_by(size, text);
        match (&whole, &cut) {
            (Ok(whole), Ok(cut)) => assert_eq!((&whole.rows, &whole.problems), (&cut.rows, &cut.problems), "by {size}"),
            (whole, cut) => assert_eq!(whole.as_ref().err(), cut.as_ref().err(), "by {size}"),
        }
    }
    whole
}

fn rows(text: &[u8]) -> Vec<ImportRow> {
    let harvest = read(text).unwrap();
    assert_eq!(harvest.problems, []);
    harvest.rows
}

fn text_of<'a>(row: &'a ImportRow, field: &str) -> &'a str {
    row.edit.text[field].as_deref().unwrap()
}

fn problems(text: &[u8]) -> Vec<(u64, Option<String>, String)> {
    let told = read(text).unwrap().problems.into_iter();
    told.map(|told| (told.line, told.problem.column, told.problem.code)).collect()
}

fn refusal(text: &[u8]) -> (String, String) {
    let problems = read(text).expect_err("refused").0;
    (problems[0].pointer.clone(), problems[0].code.clone())
}

#[test]
fn quotes_hold_delimiters_line_ends_and_quotes() {
    let rows = rows(b"email,company,city\r\na@example.org,\"Smith, \"\"J\"\" & Co\",\"New York\"\r\n");
    assert_eq!(text_of(&rows[0], "company"), "Smith, \"J\" & Co");
    let told = problems(b"email,company\n\"a@example.org\",\"two\nlines\"\nb@example.org,\"x\"\n");
    assert_eq!(told, [(2, Some("company".to_owned()), "invalid_characters".to_owned())]);
}

#[test]
fn lines_are_counted_through_blank_ones_and_those_within_quotes() {
    let text = b"\n\r\nemail,note\r\n\r\na@example.org,\"1\n2\n3\"\n\n\nbad,x\r\n\r\nworse,y";
    let told = problems(text);
    assert_eq!(told.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), [10, 12]);
    assert_eq!(read(text).unwrap().rows[0].line, 5);
}

#[test]
fn a_byte_order_mark_and_any_line_end_make_no_difference() {
    for text in [
        "\u{feff}\"email\",city\na@example.org,Bath\n",
        "email,city\r\na@example.org,Bath\r\n",
        "email,city\ra@example.org,Bath\r",
        "email,city\na@example.org,Bath",
        "email;city\na@example.org;Bath\n",
        "email\tcity\na@example.org\tBath\n",
        "\"email\";\"city, or town\"\na@example.org;Bath\n",
    ] {
        let rows = rows(text.as_bytes());
        assert_eq!(rows.len(), 1, "{text:?}");
        assert_eq!(rows[0].email.as_str(), "a@example.org", "{text:?}");
    }
}

#[test]
fn a_bad_row_does_not_stop_the_good_ones() {
    let told = problems(b"email,city\nok@example.org,Bath\n,Bath\nx\0@example.org,y\nc@example.org,\xff\nd@example.org,a\0b\nlast@example.org,z\n");
    let named: Vec<_> = told.iter().map(|(line, column, code)| (*line, column.as_deref(), code.as_str())).collect();
    assert_eq!(
        named,
        [
            (3, Some("email"), "required"),
            (4, Some("email"), "invalid_email"),
            (5, Some("city"), "invalid_utf8"),
            (6, Some("city"), "invalid_characters"),
        ]
    );
}

#[test]
fn a_character_is_not_made_of_the_ends_of_two_cells() {
    let told = problems(b"email,city,state\na@example.org,\xc3,\xa9\n");
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|(_, _, code)| code == "invalid_utf8"));
}

#[test]
fn empty_lines_are_no_rows() {
    assert_eq!(rows(b"email,city\n\n  \n,,,\na@example.org,Bath\n\n").len(), 1);
    assert_eq!(rows(b"email\n").len(), 0);
}

#[test]
fn a_row_of_a_hundred_megabytes_is_passed_over_without_being_held() {
    let mut reader = CsvReader::new(ContactForm::new(Mapping::default()));
    let mut harvest = Harvest::default();
    reader.feed(b"email,city\na@example.org,x\nb@example.org,", &mut harvest).unwrap();
    let chunk = vec![b'x'; 64 * 1024];
    for _ in 0..1600 {
        reader.feed(&chunk, &mut harvest).unwrap();
        assert!(reader.record.text.capacity() <= 2 * ROW_BYTES, "no more than a row is held");
    }
    reader.feed(b"\nc@example.org,y\n", &mut harvest).unwrap();
    reader.finish(&mut harvest).unwrap();
    assert_eq!(harvest.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 4]);
    assert_eq!((harvest.problems[0].line, harvest.problems[0].problem.code.as_str()), (3, "row_too_long"));
}

#[test]
fn a_million_cells_are_passed_over_without_being_held() {
    let mut text = b"email\n".to_vec();
    text.extend(std::iter::repeat_n(b',', 1_000_000));
    text.extend(b"\na@example.org\n");
    let harvest = read_by(4096, &text).unwrap();
    assert_eq!(harvest.problems[0].problem.code, "too_many_cells");
    assert_eq!(harvest.rows.len(), 1);
}

#[test]
fn a_quote_that_is_not_closed_is_told_with_its_line() {
    let told = problems(b"email,city\na@example.org,Bath\nb@example.org,\"open\nc@example.org,Bath\n");
    assert_eq!(told, [(3, None, "unclosed_quote".to_owned())]);
    assert_eq!(refusal(b"email,\"city\na@example.org,Bath\n"), (String::new(), "unclosed_quote".to_owned()));
}

#[test]
fn a_closed_quote_at_the_very_end_is_closed() {
    assert_eq!(rows(b"email,city\na@example.org,\"Bath\"").len(), 1);
    assert_eq!(rows(b"email,city\na@example.org,\"Bath \"\"Spa\"\"\"").len(), 1);
}

#[test]
fn a_header_row_that_names_no_addresses_is_refused() {
    assert_eq!(refusal(b"name,city\nx,y\n"), ("/email".to_owned(), "required".to_owned()));
    assert_eq!(refusal(b""), (String::new(), "required".to_owned()));
    assert_eq!(refusal(b"\r\n\n"), (String::new(), "required".to_owned()));
    assert_eq!(refusal(b"\xff\xfee\0m\0a\0i\0l\0\n\0"), (String::new(), "invalid_utf8".to_owned()));
}

#[test]
fn a_header_row_beyond_the_limits_is_refused() {
    let wide = format!("email{}\n", ",c".repeat(MAX_COLUMNS));
    assert_eq!(read_by(4096, wide.as_bytes()).expect_err("refused").0[0].code, "too_many_columns");
    let long = format!("email,{}\n", "c".repeat(ROW_BYTES));
    assert_eq!(read_by(4096, long.as_bytes()).expect_err("refused").0[0].code, "row_too_long");
}
