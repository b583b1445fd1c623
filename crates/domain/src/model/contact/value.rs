//! The value of a custom field.

use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// The value of a custom field.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum FieldValue {
    /// Text.
    Text(String),
    /// A number, finite.
    Number(f64),
    /// Yes or no.
    Flag(bool),
}

impl FieldValue {
    /// As rules compare it with numbers: a number itself, or a text that is written as a plain decimal one
    /// (`-12`, `3.50`), as imported files have them; at most 15 digits on either side of the point.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            FieldValue::Number(number) => Some(*number),
            FieldValue::Text(text) => plain_decimal(text),
            FieldValue::Flag(_) => None,
        }
    }

    /// As a text: whole numbers without a fraction, `true` and `false`.
    pub fn to_text(&self) -> String {
        match self {
            FieldValue::Text(text) => text.clone(),
            FieldValue::Number(number) => match whole(*number) {
                Some(whole) => whole.to_string(),
                None => number.to_string(),
            },
            FieldValue::Flag(flag) => flag.to_string(),
        }
    }
}

fn plain_decimal(text: &str) -> Option<f64> {
    let digits = |part: &str| (1..=15).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let written = match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    };
    written.then(|| text.parse().ok()).flatten()
}

/// The same as an integer, where a double holds it exactly.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within ±2^53")]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// A number without a fraction is written without one: `3`, not `3.0`.
impl Serialize for FieldValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            FieldValue::Text(text) => serializer.serialize_str(text),
            FieldValue::Number(number) => match whole(*number) {
                Some(whole) => serializer.serialize_i64(whole),
                None => serializer.serialize_f64(*number),
            },
            FieldValue::Flag(flag) => serializer.serialize_bool(*flag),
        }
    }
}

/// The kind, not the value: it may end up in a log.
impl fmt::Debug for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FieldValue::Text(_) => "Text(…)",
            FieldValue::Number(_) => "Number(…)",
            FieldValue::Flag(_) => "Flag(…)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_number_only_when_it_is_written_as_a_plain_one() {
        let number = |text: &str| FieldValue::Text(text.to_owned()).as_number();
        assert_eq!(number("70116"), Some(70116.0));
        assert_eq!(number("-3.50"), Some(-3.5));
        for text in ["", "-", "1e3", "+1", "0x10", " 1", "1.", ".5", "1,5", "NaN", "inf", "1234567890123456"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_written_without_a_fraction() {
        assert_eq!(serde_json::to_string(&FieldValue::Number(3.0)).unwrap(), "3");
        assert_eq!(serde_json::to_string(&FieldValue::Number(0.5)).unwrap(), "0.5");
        assert_eq!(FieldValue::Number(-2.0).to_text(), "-2");
        assert_eq!(FieldValue::Number(1e300).to_text().len(), 301);
    }
}
