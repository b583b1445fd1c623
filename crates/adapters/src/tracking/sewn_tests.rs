//! Mails from templates with marks are those that reading each as HTML would make.

use super::number::number;
use super::rewrite::rewrite;
use super::seam::Seam;
use super::stitch::stitch;
use crate::template::MinijinjaTemplates;
use muster_domain::model::events::ClickedLink;
use muster_domain::ports::templates::{TemplateKind, Templates};
use muster_domain::ports::tracking::Marks;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

const SPARED: &str = "https://m.test/u/token";

fn address(link: ClickedLink, target: &str) -> String {
    format!("[{}/{} {target}]", link.no.0, link.of)
}

fn marks() -> Marks<'static> {
    Marks {
        pixel: Some("https://m.test/t/o/x.gif"),
        trap: Some("https://m.test/t/h/x"),
        links: Some(&address),
        spared: Some(SPARED),
    }
}

fn render(source: &str, values: &Value) -> Option<String> {
    MinijinjaTemplates::new().render(TemplateKind::Html, source, values).ok()
}

/// The mail from the marked template; `None` when it has no marks.
fn sewn(template: &str, values: &Value) -> Option<String> {
    let seam = Seam::default();
    stitch(&render(&number(template, Some(&seam)).source, values)?, &seam, &marks())
}

/// The mail, read as HTML.
fn read(template: &str, values: &Value) -> Option<String> {
    rewrite(&render(&number(template, None).source, values)?, &marks())
}

fn values() -> Value {
    json!({"firstName": "Ada \"<a href='https://evil.test'> & \u{f8ff}\u{e000}0\u{e000}", "city": "a b>c", "url": "https://ada.test/?a=1&b=2",
        "leadScore": 3, "tags": ["vip", "<!--"], "unsubscribeUrl": format!("{SPARED}/x"), "customFields": {"empty": "", "bad": "javascript:alert(1)"}})
}

#[rstest]
#[case::words("just words, 1 < 2 & 3 > 2")]
#[case::empty("")]
#[case::whole(
    "<!DOCTYPE html><html><head><title>{{ firstName }}</title><style>p{color:{{ city }}}</style></head>\
    <BODY class=x><p>Dear {{ firstName }},</p><A class='y' HREF='https://x.test/?a=1&amp;b=2' id=z>go</A></BODY></html>"
)]
#[case::two_ways("{% if city %}<a href=\"https://a.test/\">{% else %}<a href=\"https://b.test/\">{% endif %}go</a>")]
#[case::a_loop(
    "<ul>{% for tag in tags %}<li><a href=\"https://x.test/{{ tag }}\">{{ tag }}</a></li>{% else %}none{% endfor %}</ul>"
)]
#[case::within_a_value(
    "<a class=\"{% if city %}b{% else %}c{% endif %}\" href=\"{% if firstName %}https://a.test/{% else %}{{ url }}{% endif %}\">"
)]
#[case::from_the_contact(
    "<a href='{{ url }}'>1</a><a href=\"{{ customFields.bad }}\">2</a><a href=\"https://x.test/{{ city }}\">3</a>"
)]
#[case::no_quotes("<a href=https://x.test/a>1</a><a href=mailto:a@x.test>2</a>")]
#[case::elsewhere(
    "<a href=\"mailto:{{ firstName }}\">1</a><a href=\"#{{ city }}\">2</a><a href=\"/x/{{ city }}\">3</a><a name=\"{{ city }}\">4</a>"
)]
#[case::twice("<a href=\"https://x.test/\" href=\"https://y.test/\">1</a><a href='https://x.test/'>2</a>")]
#[case::spared("<a href=\"{{ unsubscribeUrl }}\">bye</a><a href=\"https://x.test/\">1</a>")]
#[case::comments("<!-- {{ firstName }} <a href=\"https://x.test/\"> --><a href=\"https://y.test/\">{# no #}</a>")]
#[case::for_one_program(
    "<!--[if mso]><p>{{ city }}</p><p>{{ firstName }}</p><![endif]--><a href='https://x.test/'>{{ city }}</a>"
)]
#[case::not_links(
    "<textarea><a href=\"https://x.test/\"></textarea><style>a{background:url(https://x.test/)}</style><a href=\"https://y.test/\">"
)]
#[case::a_body_that_stays_open("<body>{{ firstName }}<a href=\"https://y.test/\">1</a>")]
#[case::set_and_with(
    "{% set n = firstName %}{% with m = city %}<a href=\"https://x.test/{{ m }}\">{{ n }}</a>{% endwith %}"
)]
#[case::letters_of_ours("\u{e000}\u{f8ff}<a href=\"https://x.test/\">\u{e001}</a>")]
fn whose_tags_are_its_own_is_read_once(#[case] template: &str) {
    for values in [values(), json!({})] {
        let mail = sewn(template, &values);
        assert!(mail.is_some(), "it has no marks");
        assert_eq!(mail, read(template, &values));
    }
}

#[rstest]
#[case::in_a_tag("<a {% if firstName %}class=\"b\"{% endif %} href='{{ url }}'>")]
#[case::without_quotes("<a href={{ url }}>")]
#[case::a_name("<{{ city }} href='https://x.test/'>")]
#[case::half_a_tag("<{% if city %}a href='https://x.test/'>{% endif %}")]
#[case::a_comment_begins_in_one_way(
    "{% if city %}<!--{% endif %}<a href='https://x.test/'>{% if city %}-->{% endif %}"
)]
#[case::a_comment_that_may_end("<!-- -{{ customFields.empty }}-> <a href='https://x.test/'> -->")]
#[case::a_text_that_may_end("<style></sty{{ customFields.empty }}le><a href='https://x.test/'></style>")]
#[case::across_values("<a title='{% if city %}' href='https://x.test/{% endif %}'>")]
#[case::across_texts("<style>{% if city %}</style><a href='https://x.test/'>{% endif %}")]
#[case::two_bodies("<body>1</body><body>2</body>{{ city }}")]
#[case::another_tag_ends_the_body("<a href='https://x.test/'></body><body></a>")]
#[case::no_body_ends("<!-- </body> --><a href='https://x.test/'>")]
#[case::opted_out("<a data-muster-no-track href='https://x.test/'>")]
#[case::opted_out_loudly("<a DATA-MUSTER-NO-TRACK href='https://x.test/'>")]
#[case::foreign("<svg>{% if city %}<p>{% endif %}<style><a href='https://x.test/'>")]
#[case::may_become_one("<a href='http{{ city }}'>")]
#[case::may_become_one_by_reference("<a href='&#104;{{ city }}'>")]
#[case::a_quote_in_a_value("<a href=https://x.test/\"y>")]
fn whose_tags_may_differ_is_read_each_time(#[case] template: &str) {
    assert_eq!(number(template, Some(&Seam::default())), number(template, None));
}

#[test]
fn nothing_of_a_mark_is_left_and_only_the_asked_for_put_in() {
    let seam = Seam::default();
    let template = "<p>\u{f8ff}</p><a href='https://x.test/'>1</a><a href=\"{{ url }}\">2</a></body>";
    let numbered = number(&format!("<body>{template}"), Some(&seam));
    let rendered = render(&numbered.source, &values()).unwrap();
    let plain =
        "<body><p>\u{f8ff}</p><a href='https://x.test/'>1</a><a href=\"https://ada.test/?a=1&amp;b=2\">2</a></body>";
    assert_eq!(stitch(&rendered, &seam, &Marks::default()).as_deref(), Some(plain));
    let pixel = Marks { pixel: Some("x"), ..Marks::default() };
    let with_image = stitch(&rendered, &seam, &pixel).unwrap();
    assert!(with_image.contains("2</a><img src=\"x\"") && with_image.ends_with("></body>"), "{with_image}");
}

#[test]
fn the_marks_of_others_are_text() {
    let (ours, theirs) = (Seam::default(), Seam::default());
    let marked = number("<a href=\"https://x.test/\">", Some(&theirs)).source;
    assert!(stitch(&marked, &ours, &marks()).is_none());
    // A contact that knew how marks look, but not those of this process.
    let values = json!({ "firstName": marked });
    let template = "<p title=\"{{ firstName }}\">{{ firstName }}</p>";
    let seam = Seam::default();
    let mail = stitch(&render(&number(template, Some(&seam)).source, &values).unwrap(), &seam, &marks()).unwrap();
    assert!(!mail.contains("x.test/]") && mail.contains("https://x.test/"), "{mail}");
}

/// Reading a mail writes the tags of its links anew, with one space between attributes and no slash.
fn even(html: &str) -> String {
    html.replace('/', " ").split_whitespace().collect::<Vec<_>>().join(" ").replace(" >", ">")
}

/// Pieces of templates, of which any row may come.
fn templates() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        4 => prop::sample::select(vec![
            "<a href=\"https://x.test/\">", "<a href='https://y.test/{{ city }}'>", "<a href=\"{{ url }}\">", "<a href=https://z.test>",
            "<a class=\"{{ city }}\" href='https://x.test/?a=1&amp;b'>", "</a>", "{{ firstName }}", "words ", "<p>", "</p>",
        ]),
        2 => prop::sample::select(vec![
            "{% if city %}", "{% else %}", "{% endif %}", "{% for t in tags %}", "{% endfor %}", "{{ t }}", "{# c #}", "{{- city -}}", " \n",
        ]),
        1 => prop::sample::select(vec![
            "<style>", "</style>", "<!--", "-->", "<textarea>", "</textarea>", "<title>", "</title>", "<body>", "</body>", "<", "\"", "'", ">", "<a ",
            "href=", "https://x.test/", "<svg>", "</svg>", "<![CDATA[", "]]>", "</", "-", "!", "\u{e000}", "\u{f8ff}", "&", "=", "/",
        ]),
    ];
    prop::collection::vec(pieces, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_mail_is_the_same_however_its_links_are_found(template in templates(), city in "(a| |<|>|\"|'|&|-|/|\u{f8ff}){0,4}", tags in prop::collection::vec("[a<]{0,2}", 0..3)) {
        let some = json!({"firstName": "</style>-->", "city": city, "url": "https://ada.test/?a=1&b=2", "tags": tags});
        for values in [some, json!({})] {
            if let Some(mail) = sewn(&template, &values) {
                prop_assert_eq!(even(&mail), even(&read(&template, &values).unwrap_or_default()));
            }
        }
    }
}
