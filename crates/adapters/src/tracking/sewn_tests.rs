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
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
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
#[case::punctuation(
    "{{ city }}/{{ firstName }}-{{ city }}!{{ city }} > {{ city }}<a href=\"https://x.test/\">{{ city }}-></a>"
)]
#[case::long_beginnings(
    "<a href=\"mailto:me@x.test?subject={{ city }}\">1</a><a href=\" /products/{{ city }}\">2</a><a href='https://x.test/'>3</a>"
)]
#[case::a_comment_in_a_text("<title><!-- {{ city }}> </title><a href='https://x.test/'>")]
#[case::a_body_in_no_branch(
    "{% if city %}1{% endif %}<body>{% if city %}2{% else %}3{% endif %}<a href='https://x.test/'></body>{% if city %}4{% endif %}"
)]
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
#[case::a_comment_that_a_value_may_end("<!-- {{ firstName }}> <a href='https://x.test/'> -->")]
#[case::a_comment_that_two_values_may_end("<!-- {{ firstName }}-{{ city }}> <a href='https://x.test/'> -->")]
#[case::two_comments("<!-- {% if city %} --><! {% endif %} ><a href='https://x.test/'>")]
#[case::a_script("<script><!-- {{ city }}> </script><a href='https://x.test/'>")]
#[case::a_text_that_may_end("<style></sty{{ customFields.empty }}le><a href='https://x.test/'></style>")]
#[case::across_values("<a title='{% if city %}' href='https://x.test/{% endif %}'>")]
#[case::across_texts("<style>{% if city %}</style><a href='https://x.test/'>{% endif %}")]
#[case::a_body_in_one_way("{% if city %}<body>{% endif %}<a href='https://x.test/'></body>")]
#[case::a_body_that_ends_in_one_way("<body>{% if city %}<a href='https://x.test/'></body>{% endif %}")]
#[case::a_body_that_ends_often("<body>{% for tag in tags %}<a href='https://x.test/'></body>{% endfor %}")]
#[case::two_bodies("<body>1</body><body>2</body>{{ city }}")]
#[case::another_tag_ends_the_body("<a href='https://x.test/'></body><body></a>")]
#[case::no_body_ends("<!-- </body> --><a href='https://x.test/'>")]
#[case::opted_out("<a data-muster-no-track href='https://x.test/'>")]
#[case::opted_out_loudly("<a DATA-MUSTER-NO-TRACK href='https://x.test/'>")]
#[case::foreign("<svg>{% if city %}<p>{% endif %}<style><a href='https://x.test/'>")]
#[case::may_become_one("<a href='http{{ city }}'>")]
#[case::may_become_one_behind_a_space("<a href=' http{{ city }}'>")]
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

/// Pieces that templates are made of; with `loose` ones whole tags may come about, too.
fn templates(loose: bool) -> impl Strategy<Value = String> {
    let whole = vec![
        "<a href=\"https://x.test/\">",
        "<a href='https://y.test/{{ city }}'>",
        "<a href=\"{{ url }}\">",
        "<a href=https://z.test>",
        "<a class=\"{{ city }}\" href='https://x.test/?a=1&amp;b'>",
        "<a href=' http{{ city }}'>",
        "</a>",
        "{{ firstName }}",
        "words ",
        "<p>",
        "</p>",
    ];
    let tags = vec![
        "{% if city %}",
        "{% else %}",
        "{% endif %}",
        "{% for t in tags %}",
        "{% endfor %}",
        "{{ t }}",
        "{# c #}",
        "{{- city -}}",
        " \n",
    ];
    let mut odd = vec![
        "<style>",
        "</style>",
        "<!--",
        "-->",
        "<textarea>",
        "</textarea>",
        "<title>",
        "</title>",
        "<body>",
        "</body>",
        "<script>",
        "</script>",
        "<![CDATA[",
        "]]>",
        "</",
        "<",
        ">",
        "-",
        "!",
        "->",
        "\u{e000}",
        "\u{f8ff}",
        "&",
        "=",
    ];
    if loose {
        odd.extend(["\"", "'", "<a ", "href=", "https://x.test/", "<svg>", "</svg>", "/"]);
    }
    let pieces =
        prop_oneof![4 => prop::sample::select(whole), 2 => prop::sample::select(tags), 1 => prop::sample::select(odd)];
    prop::collection::vec(pieces, 0..14).prop_map(|pieces| pieces.concat())
}

/// Reading a mail writes the tags of its links anew, with one space between attributes and no slash.
fn even(html: &str) -> String {
    html.replace('/', " ").split_whitespace().collect::<Vec<_>>().join(" ").replace(" >", ">")
}

fn drawn() -> impl Strategy<Value = Value> {
    let city = "(a| |<|>|\"|'|&|-|--|!|/|s://x.test|\u{f8ff}){0,4}";
    (city, prop::collection::vec("[a<]{0,2}", 0..3)).prop_map(|(city, tags)| {
        json!({"firstName": "</style>-->", "city": city, "url": "https://ada.test/?a=1&b=2", "tags": tags})
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn a_mail_is_the_same_however_its_links_are_found(template in templates(false), values in drawn()) {
        for values in [values, json!({})] {
            if let Some(mail) = sewn(&template, &values) {
                prop_assert_eq!(Some(mail), read(&template, &values));
            }
        }
    }

    #[test]
    fn whatever_a_template_is_made_of(template in templates(true), values in drawn()) {
        for values in [values, json!({})] {
            if let Some(mail) = sewn(&template, &values) {
                prop_assert_eq!(even(&mail), even(&read(&template, &values).unwrap_or_default()));
            }
        }
    }
}

/// Or the two above would show little.
#[test]
fn one_in_ten_of_them_has_marks_and_links() {
    let mut runner = TestRunner::deterministic();
    let templates: Vec<String> =
        (0..1_000).map(|_| templates(false).new_tree(&mut runner).unwrap().current()).collect();
    let counted =
        templates.iter().filter_map(|template| sewn(template, &values())).filter(|mail| mail.contains("=\"["));
    assert!(counted.count() > 100);
}

#[test]
fn the_longest_template_may_have_the_most_links() {
    let link = "<a href='http://x'>";
    let template = link.repeat(512 * 1024 / link.len());
    assert_eq!(MinijinjaTemplates::new().check(TemplateKind::Html, &template), Ok(()));
    for seam in [None, Some(&Seam::default())] {
        let numbered = number(&template, seam);
        assert!(
            numbered.marked == seam.is_some() && render(&numbered.source, &json!({})).is_some(),
            "{}",
            numbered.source.len()
        );
    }
}

/// A stretch in a long text is found out about without reading what comes before it again.
#[test]
fn numbering_takes_no_longer_than_a_template_is_long() {
    let template = |stretches: usize| {
        format!("<style>{}</style>{}", "x{##}".repeat(stretches), "<!-- {##} --><p a='{##}'>".repeat(stretches))
    };
    let time = |template: &str| {
        let begun = std::time::Instant::now();
        let _ = number(template, Some(&Seam::default()));
        begun.elapsed()
    };
    let (short, long) = (template(500), template(16_000));
    // Thirty-two times as long: in the square of that it would be a thousand times the other's time.
    let ratio = time(&long).as_secs_f64() / time(&short).as_secs_f64();
    assert!(ratio < 300.0, "{ratio}");
}
