//! JSON within limits: how deep, how many, every name once, and no NUL, which PostgreSQL cannot store.

use super::fields::escaped;
use super::single::Single;
use crate::limits::{ARRAY_ITEMS, JSON_DEPTH};
use crate::problem::Problem;
use muster_domain::model::problem::FieldProblems;
use serde::de::DeserializeSeed;
use serde_json::Value;

/// Parses a body. What is no JSON is refused; what goes beyond the limits is noted, and read on.
pub(super) fn parse(bytes: &[u8]) -> Result<(Value, FieldProblems), Problem> {
    // Before parsing, because the parser has a limit of its own and calls it a syntax error.
    if depth(bytes) > JSON_DEPTH {
        let detail = format!("is nested more than {JSON_DEPTH} levels deep");
        return Err(Problem::invalid("", "too_deep", &detail));
    }
    let mut problems = FieldProblems::default();
    let value = read(bytes, &mut problems).map_err(|error| Problem::MalformedJson(reason(&error)))?;
    check(&value, &mut String::new(), &mut problems);
    Ok((value, problems))
}

fn read(bytes: &[u8], problems: &mut FieldProblems) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Single { at: &mut String::new(), problems }.deserialize(&mut deserializer)?;
    deserializer.end().map(|()| value)
}

/// Where and what, without the input that the parser may quote.
fn reason(error: &serde_json::Error) -> String {
    let what = if error.is_eof() { "it ends too early" } else { "a syntax error" };
    format!("{what} at line {}, column {}", error.line(), error.column())
}

/// The deepest nesting of brackets outside strings.
fn depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn check(value: &Value, at: &mut String, problems: &mut FieldProblems) {
    let here = at.len();
    match value {
        Value::String(text) if text.contains('\0') => {
            problems.add(at.as_str(), "invalid_characters", "must not contain the NUL character");
        }
        Value::Array(items) => {
            if items.len() > ARRAY_ITEMS {
                problems.add(at.as_str(), "too_many_items", format!("has at most {ARRAY_ITEMS} elements"));
                return;
            }
            for (index, item) in items.iter().enumerate() {
                at.push('/');
                at.push_str(&index.to_string());
                check(item, at, problems);
                at.truncate(here);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                if name.contains('\0') {
                    problems.add(at.as_str(), "invalid_characters", "a name must not contain the NUL character");
                }
                at.push('/');
                at.push_str(&escaped(name));
                check(field, at, problems);
                at.truncate(here);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_within_strings_are_not_nesting() {
        assert_eq!(depth(br#"{"a":"[[[\"[[","b":[1]}"#), 2);
    }

    #[test]
    fn nesting_is_allowed_up_to_the_limit_and_not_beyond() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(nested(JSON_DEPTH).as_bytes()).is_ok());
        assert!(matches!(parse(nested(JSON_DEPTH + 1).as_bytes()), Err(Problem::Invalid(_))));
        assert!(matches!(parse(nested(100_000).as_bytes()), Err(Problem::Invalid(_))), "and it costs no stack");
    }

    #[test]
    fn a_nul_and_a_long_array_are_named_where_they_stand() {
        let long = vec!["1"; ARRAY_ITEMS + 1].join(",");
        let (_, problems) = parse(format!(r#"{{"a":[{{"b/c":"x\u0000"}}],"d":[{long}]}}"#).as_bytes()).unwrap();
        let named: Vec<_> = problems.0.iter().map(|p| (p.pointer.as_str(), p.code.as_str())).collect();
        assert_eq!(named, [("/a/0/b~1c", "invalid_characters"), ("/d", "too_many_items")]);
    }

    #[test]
    fn a_name_that_stands_twice_is_named_where_it_stands() {
        let (value, problems) = parse(br#"{"a":1,"b":[{"c":1,"d":{"a":2},"c":2}],"a":3,"a":4}"#).unwrap();
        let named: Vec<_> = problems.0.iter().map(|p| (p.pointer.as_str(), p.code.as_str())).collect();
        assert_eq!(named, [("/b/0/c", "repeated"), ("/a", "repeated"), ("/a", "repeated")]);
        assert_eq!(value["b"][0]["d"]["a"], 2);
    }

    #[test]
    fn every_kind_of_value_is_read_as_it_is_written() {
        let text = r#"{"n":null,"t":true,"i":-1,"u":18446744073709551615,"f":1.5,"e":1e3,"s":"\u00e9\n","a":[[],{}]}"#;
        let (value, problems) = parse(text.as_bytes()).unwrap();
        assert_eq!((value, problems.0), (serde_json::from_str::<Value>(text).unwrap(), Vec::new()));
        for broken in ["[1] 2", "{\"a\":1,}", "1e400", "\u{feff}{}", "\"\\ud800\""] {
            assert!(matches!(parse(broken.as_bytes()), Err(Problem::MalformedJson(_))), "{broken}");
        }
    }

    #[test]
    fn a_syntax_error_quotes_nothing_of_the_body() {
        let Err(Problem::MalformedJson(reason)) = parse(br#"{"email": anna@example.com}"#) else { panic!("accepted") };
        assert_eq!(reason, "a syntax error at line 1, column 11");
    }
}
