//! What goes in and what comes out.

use super::*;
use crate::template::MinijinjaTemplates;
use muster_domain::model::events::ClickedLink;
use muster_domain::model::ids::LinkNo;
use muster_domain::ports::templates::{TemplateKind, Templates};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

const PIXEL: &str = "https://m.test/t/o/x.gif";
const IMAGE: &str = "<img src=\"https://m.test/t/o/x.gif\" width=\"1\" height=\"1\" alt=\"\" \
                     style=\"display:block;border:0;width:1px;height:1px\">";

const TRAP: &str = "https://m.test/t/h/x";
const HIDDEN: &str =
    "<a href=\"https://m.test/t/h/x\" style=\"display:none\" aria-hidden=\"true\" tabindex=\"-1\"></a>";

fn plain(link: ClickedLink, target: &str) -> String {
    format!("[{}/{} {target}]", link.no.0 % 1_000, link.of)
}

fn clicks(html: &str) -> String {
    let marks = Marks { links: Some(&plain), spared: Some("https://m.test/u/token"), ..Marks::default() };
    HtmlTracker::default().track(html, &marks)
}

fn opens(html: &str) -> String {
    HtmlTracker::default().track(html, &Marks { pixel: Some(PIXEL), ..Marks::default() })
}

fn no(address: &str) -> i64 {
    LinkNo::of(address).0 % 1_000
}

/// Numbered, rendered over `values`, and rewritten, as a mail is.
fn sent(template: &str, values: &Value) -> String {
    let numbered = HtmlTracker::default().number(template);
    clicks(&MinijinjaTemplates::new().render(TemplateKind::Html, &numbered.source, values).unwrap())
}

#[test]
fn links_are_replaced_and_nothing_else_changes() {
    let html = "<!DOCTYPE html><BODY class=x>\r\n<p>1 < 2 &amp; ü</p><A class='y' HREF='https://x.test/?a=1&amp;b=2' id=z>go</A>\
                <map><area shape=rect href=https://y.test/></map><img src=\"https://x.test/i.png\"></BODY>";
    let (x, y) = (no("https://x.test/?a=1&b=2"), no("https://y.test/"));
    let want = html
        .replace("HREF='https://x.test/?a=1&amp;b=2'", &format!("HREF=\"[{x}/2 https://x.test/?a=1&b=2]\""))
        .replace("href=https://y.test/", &format!("href=\"[{y}/2 https://y.test/]\""));
    assert_eq!(clicks(html), want);
}

#[test]
fn what_is_no_link_to_the_web_or_is_opted_out_stays() {
    for html in [
        "<a href=\"mailto:a@x.test\">",
        "<a href=\"tel:+49\">",
        "<a href=\"#top\">",
        "<a name=\"top\">",
        "<a href=\"\">",
        "<a href=\"https://m.test/u/token\">",
        "<a href=\"https://m.test/u/token?again\">",
        "<a href=\"java&#10;script:alert(1)\">",
        "<a href=\"javascript:alert(1)\">",
        "<a href=\"https://x.test/&#13;&#10;Set-Cookie:a\">",
        "<a href=\"https://x.test/&NewLine;\">",
        "<a href=\"https://u:p&commat;x.test/\">",
        "<a href=\"https:&bsol;&bsol;x.test\">",
        "<!-- <a href=\"https://x.test/\"> -->",
        "<textarea><a href=\"https://x.test/\"></textarea>",
        "<style>a{background:url(https://x.test/)}</style>",
        "<link rel=\"x\" href=\"https://x.test/\">",
    ] {
        assert_eq!(clicks(html), html);
    }
    assert_eq!(
        clicks("<a data-muster-no-track href=\"https://x.test/\" id=\"y\">go</a>"),
        "<a href=\"https://x.test/\" id=\"y\">go</a>"
    );
    let marks = Marks::default();
    let stripped =
        HtmlTracker::default().track("<a href=\"https://x.test/\" data-muster-no-track=\"1\">go</a>", &marks);
    assert_eq!(stripped, "<a href=\"https://x.test/\">go</a>");
}

#[test]
fn the_same_link_twice_is_one_link() {
    let html = "<a href=\"https://x.test/\">1</a><a href=\"https://x.test/\">2</a><a href=\"https://y.test/\">3</a>";
    assert_eq!(clicks(html).matches("/2 https://").count(), 3);
}

#[rstest]
#[case("<html><body><p>x</p></body></html>", "<html><body><p>x</p>{}</body></html>")]
#[case("<body>1</body><body>2</BODY>", "<body>1{}</body><body>2</BODY>")]
#[case("<body><p>x</p>", "<body><p>x</p>{}")]
#[case("<p>x</p>", "<p>x</p>{}")]
#[case("<!-- </body> --><body>x</body>", "<!-- </body> --><body>x{}</body>")]
#[case("just text, 1 < 2 & 3 > 2", "just text, 1 < 2 & 3 > 2{}")]
#[case("", "{}")]
fn the_image_comes_before_the_body_ends_or_at_the_end(#[case] html: &str, #[case] want: &str) {
    assert_eq!(opens(html), want.replace("{}", IMAGE));
}

#[rstest]
#[case("<html><body><p>x</p></body></html>", "<html><body><p>x</p>{}</body></html>")]
#[case("<body>1</body><body>2</BODY>", "<body>1{}</body><body>2</BODY>")]
#[case("<p>x</p>", "<p>x</p>{}")]
#[case("just text, 1 < 2 & 3 > 2", "just text, 1 < 2 & 3 > 2{}")]
#[case("<a href=\"https://x.test/\">", "<a href=\"https://x.test/\">{}")]
#[case("", "{}")]
fn the_hidden_link_comes_once_where_the_image_does(#[case] html: &str, #[case] want: &str) {
    let track = |pixel| HtmlTracker::default().track(html, &Marks { trap: Some(TRAP), pixel, ..Marks::default() });
    assert_eq!(track(None), want.replace("{}", HIDDEN));
    assert_eq!(track(Some(PIXEL)), want.replace("{}", &format!("{HIDDEN}{IMAGE}")));
}

#[test]
fn the_hidden_link_is_no_link_of_the_mail() {
    let marks = Marks { links: Some(&plain), trap: Some(TRAP), ..Marks::default() };
    let tracked = HtmlTracker::default().track("<body><a href=\"https://x.test/\">1</a></body>", &marks);
    let x = no("https://x.test/");
    assert_eq!(tracked, format!("<body><a href=\"[{x}/1 https://x.test/]\">1</a>{HIDDEN}</body>"));
}

#[test]
fn links_with_placeholders_keep_their_number_for_everybody() {
    let template = "<a href=\"https://x.test/{{ firstName }}?q={{ city | default(\"no>where\") }}\">1</a>\
                    <a {% if firstName %}class=\"b\"{% endif %} href='{{ url }}'>2</a>\
                    {% if firstName == \"<a href='https://no.test'>\" %}<a href=\"https://if.test/\">3</a>{% endif %}\
                    {# <a href=\"https://comment.test/\"> #}<a href=\"{{ unsubscribeUrl }}\">bye</a>";
    let addresses =
        ["https://x.test/{{ firstName }}?q={{ city | default(\"no>where\") }}", "{{ url }}", "https://if.test/"];
    let numbered = HtmlTracker::default().number(template);
    let known: Vec<&str> = numbered.links.iter().map(|(_, address)| address.as_str()).collect();
    assert_eq!(known, [addresses[0], addresses[1], addresses[2], "{{ unsubscribeUrl }}"]);
    let numbers = numbered.links.iter().map(|(no, _)| no.0);
    let stripped =
        numbers.fold(numbered.source.clone(), |source, no| source.replace(&format!(" {NUMBER}=\"{no}\""), ""));
    assert_eq!(stripped, template, "but for the numbers it is the template");

    let ada = json!({"firstName": "Ada", "city": "A & B", "url": "https://ada.test/?a=1&b=2", "unsubscribeUrl": "https://m.test/u/token"});
    let bob = json!({"url": "https://bob.test/", "unsubscribeUrl": "https://m.test/u/token"});
    let (first, second) = (no(addresses[0]), no(addresses[1]));
    assert_eq!(
        sent(template, &bob),
        format!(
            "<a href=\"[{first}/2 https://x.test/?q=no>where]\">1</a><a href=\"[{second}/2 https://bob.test/]\">2</a>\
             <a href=\"https://m.test/u/token\">bye</a>"
        )
    );
    // A space in an address: left alone, and the other one is its only link.
    assert_eq!(
        sent(template, &ada),
        format!(
            "<a href=\"https://x.test/Ada?q=A &amp; B\">1</a><a class=\"b\" href=\"[{second}/1 https://ada.test/?a=1&b=2]\">2</a>\
             <a href=\"https://m.test/u/token\">bye</a>"
        )
    );
}

#[test]
fn what_contacts_bring_stays_text() {
    let template = "<a href=\"https://x.test/?n={{ firstName }}\">{{ firstName }}</a>";
    let name = "\" data-muster-link=\"5\" x=\"<a href='https://evil.test/'>";
    let html = sent(template, &json!({ "firstName": name }));
    assert!(!html.contains("evil.test/]") && !html.contains("[5/"), "{html}");
}

#[test]
fn a_template_that_is_none_stays_as_it_is() {
    for template in ["{{ unclosed", "{% if %}", "", "plain"] {
        assert_eq!(super::number::number(template, None).source, template);
    }
}

#[test]
fn letters_for_private_use_are_left_alone() {
    let html = "<p>\u{e000}0\u{e000}</p><a href=\"https://x.test/\">\u{e001}</a>";
    assert!(clicks(html).starts_with("<p>\u{e000}0\u{e000}</p><a href=\"[") && clicks(html).ends_with("\u{e001}</a>"));
    let numbered = super::number::number("\u{e000}{{ a }}<a href=\"https://{{ b }}\">", None);
    let number = numbered.links[0].0.0;
    assert_eq!(numbered.source, format!("\u{e000}{{{{ a }}}}<a {NUMBER}=\"{number}\" href=\"https://{{{{ b }}}}\">"));
}

proptest! {
    #[test]
    fn whatever_it_is_it_survives(html in "(<|>|\"|'|=|/| |a|href|body|</body>|<!--|-->|<a href=|https://x.test|&amp;|\u{e000}|\\PC){0,40}") {
        let tracked = opens(&html);
        prop_assert_eq!(tracked.replacen(IMAGE, "", 1), html.clone());
        let trapped = HtmlTracker::default().track(&html, &Marks { trap: Some(TRAP), ..Marks::default() });
        prop_assert_eq!(trapped.replacen(HIDDEN, "", 1), html.clone());
        // Without anything of ours in it, text that is no tag stays.
        prop_assert_eq!(HtmlTracker::default().track(&html, &Marks::default()), html);
    }

    #[test]
    fn numbering_a_template_only_adds_numbers(template in "(<|>|\"|'| |a|href=|\\{\\{ x \\}\\}|\\{% if x %\\}|\\{% endif %\\}|<a href=\"|https://x.test/|\\{#|#\\}|\\PC){0,40}") {
        let numbered = super::number::number(&template, None);
        let stripped = numbered.links.iter().fold(numbered.source.clone(), |source, (no, _)| {
            source.replace(&format!(" {NUMBER}=\"{}\"", no.0), "")
        });
        prop_assert_eq!(stripped, template);
    }
}
