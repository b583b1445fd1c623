//! Rust source without its comments and without the insides of its literals, so that rules see only code.

/// `source` with comments and the insides of literals blanked out; every line keeps its number.
pub(crate) fn code_only(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => find(&chars, at, "\n"),
            '/' if chars.get(at + 1) == Some(&'*') => block_comment_end(&chars, at),
            '"' => quoted_end(&chars, at, '"'),
            '\'' if is_char_literal(&chars, at) => quoted_end(&chars, at, '\''),
            'r' if !continues_word(&chars, at) => raw_string_end(&chars, at).unwrap_or(at),
            'b' if !continues_word(&chars, at) && chars.get(at + 1) == Some(&'r') => {
                raw_string_end(&chars, at + 1).unwrap_or(at)
            }
            _ => at,
        };
        if end == at {
            code.push(chars[at]);
            at += 1;
        } else {
            code.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    code
}

/// The words (identifiers and numbers) of a piece of code.
pub(crate) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn find(chars: &[char], from: usize, wanted: &str) -> usize {
    let wanted: Vec<char> = wanted.chars().collect();
    (from..chars.len()).find(|at| chars[*at..].starts_with(&wanted)).unwrap_or(chars.len())
}

fn block_comment_end(chars: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0_usize, start);
    while at < chars.len() {
        if chars[at..].starts_with(&['/', '*']) {
            depth += 1;
            at += 2;
        } else if chars[at..].starts_with(&['*', '/']) {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn quoted_end(chars: &[char], start: usize, quote: char) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// `'a'` and `'\n'` are characters; `'a` in `&'a str` is a lifetime.
fn is_char_literal(chars: &[char], at: usize) -> bool {
    chars.get(at + 1) == Some(&'\\') || chars.get(at + 2) == Some(&'\'')
}

fn continues_word(chars: &[char], at: usize) -> bool {
    at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_')
}

/// The end of the raw string whose `r` is at `start`, if it is one.
fn raw_string_end(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start + 1..].iter().take_while(|c| **c == '#').count();
    if chars.get(start + 1 + hashes) != Some(&'"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    Some((find(chars, start + 2 + hashes, &close) + 1 + hashes).min(chars.len()))
}

#[test]
fn only_code_is_left() {
    let source = r##"
        let a = "x // y"; // Utc::now()
        /* one /* two */ Utc::now() */ call();
        let b = r#"a "quoted" todo!()"#; let c = '"'; let d: &'static str = "\"e\"";
        let e = br"raw"; let number = for_r("f");
    "##;
    let code = code_only(source);
    assert_eq!(code.lines().count(), source.lines().count());
    for gone in ["Utc", "todo", "quoted", "one", "two", "raw"] {
        assert!(!code.contains(gone), "{gone} in {code}");
    }
    for kept in ["call();", "let b", "let c", "'static str", "let e", "for_r("] {
        assert!(code.contains(kept), "{kept} not in {code}");
    }
}
