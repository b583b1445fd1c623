//! What texts may hold, by where they end up.

use super::problem::FieldProblems;

/// Whether `c` could break out of a header line or make it read as something else: control characters (C0, DEL, C1),
/// line and paragraph separators, and marks that turn the direction of writing around.
pub fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Notes what is wrong with a text of one line: blank, longer than `most` characters, or with characters that a header
/// or a list cannot carry.
pub fn check_line(problems: &mut FieldProblems, pointer: &str, text: &str, most: usize) {
    if text.trim().is_empty() {
        problems.add(pointer, "required", "a text that is not blank is needed");
    }
    check_length(problems, pointer, text, most);
    if text.chars().any(is_unprintable) {
        problems.add(
            pointer,
            "invalid_characters",
            "line breaks, control characters and direction marks are not allowed",
        );
    }
}

/// Notes what is wrong with a text of several lines: longer than `most` characters, or with control characters other
/// than tab and line breaks.
pub fn check_prose(problems: &mut FieldProblems, pointer: &str, text: &str, most: usize) {
    check_length(problems, pointer, text, most);
    if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        problems.add(
            pointer,
            "invalid_characters",
            "control characters other than tab and line breaks are not allowed",
        );
    }
}

fn check_length(problems: &mut FieldProblems, pointer: &str, text: &str, most: usize) {
    if text.chars().nth(most).is_some() {
        problems.add(pointer, "too_long", format!("at most {most} characters"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_end_or_turn_a_header_line_passes() {
        for c in ['\r', '\n', '\0', '\u{7f}', '\u{85}', '\u{2028}', '\u{202e}', '\u{2066}'] {
            let mut problems = FieldProblems::default();
            check_line(&mut problems, "/fromName", &format!("a{c}b"), 200);
            assert_eq!(problems.0.first().map(|p| p.code.as_str()), Some("invalid_characters"), "{c:?}");
        }
        let mut problems = FieldProblems::default();
        check_line(&mut problems, "/fromName", "Zoë 🦀 د", 200);
        assert_eq!(problems.into_result(), Ok(()));
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let mut problems = FieldProblems::default();
        check_line(&mut problems, "", &"é".repeat(200), 200);
        assert_eq!(problems.0, []);
        check_line(&mut problems, "", &"é".repeat(201), 200);
        assert_eq!(problems.0.len(), 1);
    }
}
