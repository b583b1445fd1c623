//! Which addresses may stand behind a redirect.

use url::Url;

/// Octets of the longest one. With its token it stays within the 2,000 that every mail program follows.
const LONGEST: usize = 1_400;

/// Where following `href` leads: what the author wrote, if every program that follows it understands the same by it.
///
/// Only addresses of http and https in full, because anything else leads nowhere from a redirect. No user information,
/// backslashes, white space or control characters: programs differ in what they take for the host, or for a line.
pub(super) fn target(href: &str) -> Option<String> {
    let href = href.trim_matches(' ');
    if href.len() > LONGEST || href.contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control()) {
        return None;
    }
    let (_, rest) = href.split_once("://").filter(|(scheme, _)| is_web(scheme))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    let url = Url::parse(href).ok().filter(|url| is_web(url.scheme()) && url.has_host())?;
    // As it was written where a header can hold that; else as every program encodes it.
    Some(if href.bytes().all(|byte| byte.is_ascii_graphic()) { href.to_owned() } else { url.into() })
}

/// Whether an address that begins so may be one that [`target`] takes.
pub(super) fn is_web(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_somewhere_is_taken_as_it_was_written() {
        for href in [
            "https://example.test",
            "http://example.test/a?b=1&c=%20#d",
            "HTTPS://Example.test/ä".trim_end_matches('ä'),
            "https://example.test:8443/@user/x:y@z",
            "https://[2001:db8::1]/",
        ] {
            assert_eq!(target(href).as_deref(), Some(href));
            assert_eq!(target(&format!("  {href} ")).as_deref(), Some(href));
        }
        assert_eq!(target("https://müller.test/ü").as_deref(), Some("https://xn--mller-kva.test/%C3%BC"));
    }

    #[test]
    fn what_could_be_misread_is_left_alone() {
        let long = format!("https://example.test/{}", "x".repeat(LONGEST));
        for href in [
            "",
            "#top",
            "/path",
            "//evil.test/",
            "mailto:ada@example.test",
            "tel:+4912345",
            "javascript:alert(1)",
            "javascript://example.test/%0aalert(1)",
            "data:text/html,x",
            "ftp://example.test/",
            "http:example.test",
            "http:/example.test",
            "https://",
            "https:///x",
            "https://user@example.test/",
            "https://user:secret@example.test/",
            "https://@example.test/",
            "https://example.test\\@evil.test/",
            "https:\\\\evil.test",
            "https://example.test/\r\nSet-Cookie: a=b",
            "https://example.test/\n",
            "\thttps://example.test/",
            "https://exa\tmple.test/",
            "https://example.test/a b",
            "https://example.test/\u{0}",
            "https://example.test:99999/",
            "https://exa%mple.test/",
            &long,
        ] {
            assert_eq!(target(href), None, "{href:?}");
        }
    }
}
