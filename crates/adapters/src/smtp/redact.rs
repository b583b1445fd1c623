//! Making a server's reply fit to be stored and shown: short, one line, nobody's address in it.

use super::reply::Reply;

/// Longest text kept, in characters.
const KEPT: usize = 160;

/// `code text` of `reply`, with every word that holds an address, or is the name before the `@` of one of
/// `addresses`, replaced.
pub(super) fn shorten(reply: &Reply, addresses: &[&str]) -> String {
    let mut kept = reply.code.to_string();
    let mut room = KEPT;
    for word in reply.text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        let shown = if is_private(word, addresses) { "<address>" } else { word };
        let length = shown.chars().count() + 1;
        if length > room {
            kept.push('…');
            break;
        }
        room -= length;
        kept.push(' ');
        kept.push_str(shown);
    }
    kept
}

fn is_private(word: &str, addresses: &[&str]) -> bool {
    if word.contains('@') {
        return true;
    }
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    !bare.is_empty()
        && addresses.iter().filter_map(|address| address.rsplit_once('@')).any(|(local, _)| {
            local.eq_ignore_ascii_case(bare) || local.trim_matches(|c: char| !c.is_alphanumeric()) == bare
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        shorten(&Reply { code: 550, text: text.into() }, &["alice.w@example.test"])
    }

    #[test]
    fn addresses_and_names_are_taken_out() {
        assert_eq!(
            shown("5.1.1 <alice.w@example.test>: mailbox alice.w unknown"),
            "550 5.1.1 <address> mailbox <address> unknown"
        );
        assert_eq!(shown("5.1.1 no 'Alice.W' here"), "550 5.1.1 no <address> here");
    }

    #[test]
    fn it_is_one_short_line() {
        assert_eq!(shown("a\r\nb\tc\u{0}d"), "550 a b c d");
        let long = shown(&"word ".repeat(500));
        assert!(long.chars().count() <= KEPT + 5, "{}", long.len());
        assert!(shown(&"x".repeat(5000)).ends_with('…'));
    }
}
