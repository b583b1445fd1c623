//! What stands below every mail: who sent it, and how to get no more. The law asks for both (CAN-SPAM, 16 CFR 316; the
//! directives 2000/31/EC article 5 and 2002/58/EC article 13).

use memchr::{memmem, memrchr_iter};

/// The token of unsubscribe links in previews and test mails, which belong to no delivery. No sealed token is so short.
pub const TEST_TOKEN: &str = "test";

/// Between a text and its signature (RFC 3676 section 4.3).
const SIGNATURE: &str = "-- ";

/// What to put below a mail, where the author did not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Footer<'a> {
    /// Who sent it and where they can be reached, in one or several lines.
    pub postal_address: Option<&'a str>,
    /// Where unsubscribing happens. A text that has this link already gets no second one.
    pub unsubscribe_url: Option<&'a str>,
}

impl Footer<'_> {
    /// The HTML with the footer at the end of its body.
    pub fn below_html(&self, mut html: String) -> String {
        let mut lines: Vec<String> = self.lines().map(escaped).collect();
        if let Some(url) = self.missing_link(&html) {
            lines.push(format!("<a href=\"{}\" style=\"color:#5b6472\">Unsubscribe</a>", escaped(url)));
        }
        if lines.is_empty() {
            return html;
        }
        let footer = format!(
            "<div style=\"margin:32px 0 0;padding:16px 0 0;border-top:1px solid #d0d5dd;\
             font:13px/1.5 sans-serif;color:#5b6472;text-align:center\">{}</div>",
            lines.join("<br>")
        );
        html.insert_str(end_of_body(&html), &footer);
        html
    }

    /// The text with the footer as its signature.
    pub fn below_text(&self, text: String) -> String {
        let mut lines: Vec<String> = self.lines().map(str::to_owned).collect();
        if let Some(url) = self.missing_link(&text) {
            lines.push(format!("Unsubscribe: {url}"));
        }
        if lines.is_empty() { text } else { format!("{}\n\n{SIGNATURE}\n{}\n", text.trim_end(), lines.join("\n")) }
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        let address = self.postal_address.unwrap_or_default();
        address.lines().map(str::trim).filter(|line| !line.is_empty())
    }

    /// By its last part, which stands in a text as it is however the rest is escaped there.
    fn missing_link(&self, text: &str) -> Option<&str> {
        let url = self.unsubscribe_url?;
        let token = url.rsplit('/').next().unwrap_or(url);
        let mut found = memmem::find_iter(text.as_bytes(), token).filter_map(|at| text.get(..at));
        (!found.any(|before| before.ends_with('/') || before.ends_with("&#x2f;"))).then_some(url)
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// Before the tag that closes the body, or the document; where there is neither, the end.
fn end_of_body(html: &str) -> usize {
    last_tag(html, "</body").or_else(|| last_tag(html, "</html")).unwrap_or(html.len())
}

/// Where the last tag of HTML stands that begins so, in whatever case.
pub fn last_tag(html: &str, begins: &str) -> Option<usize> {
    let html = html.as_bytes();
    let is_it = |tag: &[u8]| tag.eq_ignore_ascii_case(begins.as_bytes());
    memrchr_iter(b'<', html).find(|at| html.get(*at..at + begins.len()).is_some_and(is_it))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOOTER: Footer<'_> = Footer {
        postal_address: Some("Ex & Co\r\n  1 <Main> Street\n\n"),
        unsubscribe_url: Some("https://m.test/u/tok"),
    };

    #[test]
    fn it_stands_at_the_end_of_the_body_however_that_is_written() {
        for (html, before, after) in [
            ("<html><body><p>Hi</p></BODY ></html>", "<html><body><p>Hi</p>", "</BODY ></html>"),
            ("<p>Hi</p>", "<p>Hi</p>", ""),
            ("<html><p>ÄÖ</p></html>\n", "<html><p>ÄÖ</p>", "</html>\n"),
            ("</body", "", "</body"),
            ("", "", ""),
        ] {
            let dressed = FOOTER.below_html(html.to_owned());
            assert!(
                dressed.starts_with(&format!("{before}<div ")) && dressed.ends_with(&format!("</div>{after}")),
                "{dressed}"
            );
            assert!(
                dressed.contains("Ex &amp; Co<br>1 &lt;Main&gt; Street<br><a href=\"https://m.test/u/tok\""),
                "{dressed}"
            );
        }
    }

    #[test]
    fn a_text_has_it_as_its_signature() {
        let expected = "Hi\n\n-- \nEx & Co\n1 <Main> Street\nUnsubscribe: https://m.test/u/tok\n";
        assert_eq!(FOOTER.below_text("Hi\n".to_owned()), expected);
    }

    #[test]
    fn a_link_that_the_author_placed_is_not_repeated() {
        for html in
            ["<a href=\"https://m.test/u/tok\">Out</a>", "<a href=\"https:&#x2f;&#x2f;m.test&#x2f;u&#x2f;tok\">Out</a>"]
        {
            let dressed = FOOTER.below_html(html.to_owned());
            assert!(!dressed.contains("Unsubscribe") && dressed.contains("Ex &amp; Co"), "{dressed}");
        }
        assert!(!FOOTER.below_text("Out: https://m.test/u/tok".to_owned()).contains("Unsubscribe"));
    }

    #[test]
    fn with_nothing_to_say_nothing_is_changed() {
        for text in ["<p>Hi</p>", "", "Hi\n"] {
            assert_eq!(Footer::default().below_html(text.to_owned()), text);
            assert_eq!(Footer::default().below_text(text.to_owned()), text);
        }
    }
}
