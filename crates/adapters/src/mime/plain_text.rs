//! A readable text from HTML: for those who read mail as text, and for filters that look at both parts.

use super::entities::decode;

/// The text of `html`: tags taken off, blocks on lines of their own, the targets of links kept in parentheses,
/// entities decoded. Total: whatever comes in, something readable comes out.
pub fn html_to_text(html: &str) -> String {
    let mut writer = Writer::default();
    let mut rest = html;
    while !rest.is_empty() {
        let Some(open) = rest.find('<') else {
            writer.text(rest);
            break;
        };
        writer.text(&rest[..open]);
        rest = &rest[open..];
        if let Some((tag, after)) = Tag::read(rest) {
            rest = writer.tag(&tag, after);
        } else {
            // A lone angle bracket, as in "a < b".
            writer.text("<");
            rest = &rest[1..];
        }
    }
    writer.finish()
}

struct Tag<'a> {
    name: String,
    closing: bool,
    attributes: &'a str,
}

impl<'a> Tag<'a> {
    /// Reads the tag or comment at the start of `html`; returns it and what follows.
    fn read(html: &'a str) -> Option<(Self, &'a str)> {
        let nothing = |after| Some((Tag { name: String::new(), closing: false, attributes: "" }, after));
        if let Some(comment) = html.strip_prefix("<!--") {
            return nothing(comment.split_once("-->").map_or("", |(_, after)| after));
        }
        let inner = &html[1..];
        if inner.starts_with(['!', '?']) {
            return nothing(inner.split_once('>').map_or("", |(_, after)| after));
        }
        let closing = inner.starts_with('/');
        let inner = if closing { &inner[1..] } else { inner };
        if !inner.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let name_end = inner.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inner.len());
        let (name, attributes) = inner.split_at(name_end);
        let end = end_of_tag(attributes);
        let after = attributes.get(end + 1..).unwrap_or("");
        Some((Tag { name: name.to_ascii_lowercase(), closing, attributes: &attributes[..end] }, after))
    }

    fn attribute(&self, name: &str) -> Option<String> {
        let mut rest = self.attributes;
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
            let end = rest.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(rest.len());
            if rest.is_empty() {
                return None;
            }
            let (key, after) = rest.split_at(end.max(1).min(rest.len()));
            let after = after.trim_start();
            let (value, after) = match after.strip_prefix('=') {
                Some(after) => attribute_value(after.trim_start()),
                None => ("", after),
            };
            if key.eq_ignore_ascii_case(name) {
                return Some(decode(value));
            }
            rest = after;
        }
    }
}

/// Where the tag ends, quotes respected.
fn end_of_tag(attributes: &str) -> usize {
    let mut quote = None;
    for (at, c) in attributes.char_indices() {
        match (quote, c) {
            (None, '>') => return at,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
    }
    // An unclosed quote swallows the rest; take the first bracket instead.
    attributes.find('>').unwrap_or(attributes.len())
}

fn attribute_value(text: &str) -> (&str, &str) {
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => text[1..].split_once(quote).unwrap_or((&text[1..], "")),
        _ => text.split_at(text.find(char::is_whitespace).unwrap_or(text.len())),
    }
}

#[derive(Default)]
struct Writer {
    out: String,
    /// Line ends owed before the next word.
    breaks: usize,
    space: bool,
    /// Targets of the links that are open, and where their text began.
    links: Vec<(String, usize)>,
}

impl Writer {
    /// Does what a tag stands for; returns where to go on.
    fn tag<'a>(&mut self, tag: &Tag<'_>, after: &'a str) -> &'a str {
        match tag.name.as_str() {
            "script" | "style" | "head" | "title" | "template" if !tag.closing => {
                return skip_element(after, &tag.name);
            }
            "br" => self.breaks = (self.breaks + 1).min(2),
            "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "ul" | "ol" | "table" | "blockquote" | "pre" => self.owe(2),
            "div" | "tr" | "section" | "article" | "header" | "footer" | "center" | "dt" | "dd" | "body" => self.owe(1),
            "li" => {
                self.owe(1);
                if !tag.closing {
                    self.text("-");
                    self.space = true;
                }
            }
            "hr" => {
                self.owe(1);
                self.text("---");
                self.owe(1);
            }
            "td" | "th" => self.space = true,
            "img" => {
                if let Some(alt) = tag.attribute("alt") {
                    self.words(&alt);
                }
            }
            "a" if tag.closing => self.close_link(),
            "a" => {
                let target = tag.attribute("href").unwrap_or_default();
                self.links.push((target.trim().to_owned(), self.out.len()));
            }
            _ => {}
        }
        after
    }

    fn owe(&mut self, breaks: usize) {
        self.breaks = self.breaks.max(breaks);
    }

    fn text(&mut self, html: &str) {
        self.words(&decode(html));
    }

    fn words(&mut self, text: &str) {
        let blank = |c: char| c.is_whitespace() && c != '\u{a0}';
        if text.starts_with(blank) {
            self.space = true;
        }
        for word in text.split(blank).filter(|word| !word.is_empty()) {
            self.gap();
            self.out.extend(word.chars().map(|c| if c == '\u{a0}' { ' ' } else { c }));
            self.space = true;
        }
        if !text.is_empty() {
            self.space = text.ends_with(blank);
        }
    }

    /// Writes the line ends or the space that stand before the next word.
    fn gap(&mut self) {
        if self.out.is_empty() {
            // Nothing to be set off from.
        } else if self.breaks > 0 {
            self.out.extend(std::iter::repeat_n('\n', self.breaks));
        } else if self.space {
            self.out.push(' ');
        }
        self.breaks = 0;
        self.space = false;
    }

    fn close_link(&mut self) {
        let Some((target, from)) = self.links.pop() else { return };
        let web = ["http://", "https://", "mailto:"]
            .iter()
            .any(|scheme| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
        let shown = self.out.get(from..).unwrap_or("").trim();
        let address = target.strip_prefix("mailto:").unwrap_or(&target);
        if !web || shown == target || shown == address {
            return;
        }
        let bare = shown.is_empty();
        self.space = true;
        self.gap();
        for part in if bare { ["", &target, ""] } else { ["(", &target, ")"] } {
            self.out.push_str(part);
        }
    }

    fn finish(mut self) -> String {
        self.out.truncate(self.out.trim_end().len());
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out
    }
}

/// Past the end of an element whose content is not for reading.
fn skip_element<'a>(html: &'a str, name: &str) -> &'a str {
    let mut rest = html;
    while let Some(at) = rest.find("</") {
        rest = &rest[at + 2..];
        if rest.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return rest.split_once('>').map_or("", |(_, after)| after);
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_mail_reads_as_text() {
        let html = "<!DOCTYPE html><html><head><title>no</title><style>p { color: red }</style></head><body>\
            <!-- <p>hidden</p> --><h1>Hello&nbsp;Ada &amp; co</h1>\n<p>First\n   line<br>second <b>line</b>.</p>\
            <p>See <a class='x' href=\"https://x.test/?a=1&amp;b=2\">our offer</a>, \
            <a href=https://x.test>https://x.test</a>, <a href='mailto:a@x.test'>a@x.test</a>, <a href='#top'>top</a>.</p>\
            <ul><li>one</li><li>two &#8364; &#x20AC;</li></ul><script>if (a < b) {}</script>\
            <table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>5 < 6 &unknown; <img alt='A logo' src=x></body>";
        let expected = "Hello Ada & co\n\nFirst line\nsecond line.\n\n\
            See our offer (https://x.test/?a=1&b=2), https://x.test, a@x.test, top.\n\n\
            - one\n- two € €\n\na b\nc\n\n5 < 6 &unknown; A logo\n";
        assert_eq!(html_to_text(html), expected);
    }

    #[test]
    fn broken_html_still_gives_its_words() {
        for (html, expected) in [
            ("", ""),
            ("just words", "just words\n"),
            ("<p>unclosed", "unclosed\n"),
            ("<p", ""),
            ("a <", "a <\n"),
            ("<a href=\"https://x.test>text</a>", "text (https://x.test)\n"),
            ("</a></p>x", "x\n"),
            ("<style>forever", ""),
            ("<!-- forever", ""),
            ("&#0;&#xD800;&", "&#0;&#xD800;&\n"),
        ] {
            assert_eq!(html_to_text(html), expected, "{html}");
        }
    }

    #[test]
    fn large_and_broken_html_takes_no_longer_than_its_size() {
        for piece in
            ["&", "<", "<a href=\"", "<!--", "<style>", "</", "<a ", "<p '", "<a href='https://x.test'>", "<b =", "&#"]
        {
            let begun = std::time::Instant::now();
            let _ = html_to_text(&piece.repeat(500_000 / piece.len()));
            assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{piece}: {:?}", begun.elapsed());
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_out_without_a_panic(html in "[<>/a-z\"'=& ;#!éß\\-\\n]{0,60}") {
            let _ = html_to_text(&html);
        }
    }
}
