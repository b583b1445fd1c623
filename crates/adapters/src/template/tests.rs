//! What templates can do, and what they cannot.

use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::time::{Duration, Instant};

fn render_as(kind: TemplateKind, source: &str, values: &Value) -> Result<String, TemplateError> {
    let templates = MinijinjaTemplates::new();
    templates.check(kind, source)?;
    templates.render(kind, source, values)
}

fn text(source: &str, values: &Value) -> String {
    render_as(TemplateKind::Text, source, values).unwrap()
}

fn code(kind: TemplateKind, source: &str) -> &'static str {
    MinijinjaTemplates::new().check(kind, source).map_or_else(|error| error.code, |()| "fine")
}

#[test]
fn merge_tags_take_the_contacts_fields() {
    let values =
        json!({"firstName": "Ada", "customFields": {"plan": "pro", "city": null, "empty": ""}, "tags": ["a", "b"]});
    for (source, expected) in [
        ("Hi {{ firstName }}!", "Hi Ada!"),
        ("{{ customFields.plan | upper }}", "PRO"),
        ("{{ customFields['plan'] | title }}", "Pro"),
        ("[{{ lastName }}{{ customFields.city }}{{ a.b.c.d }}]", "[]"),
        ("{{ lastName | default('there') }}", "there"),
        ("{{ customFields.city | default('there') }}", "there"),
        ("{{ customFields.empty | default('there') }}", "there"),
        ("{{ nobody.knows.this | default('there') | upper }}", "THERE"),
        ("{{ customFields.city | default }}", ""),
        ("{{ firstName | default('there') }}", "Ada"),
        ("{% if customFields.plan == 'pro' %}yes{% elif firstName %}maybe{% else %}no{% endif %}", "yes"),
        ("{% if customFields.nothing %}yes{% else %}no{% endif %}", "no"),
        ("{{ 'yes' if tags else 'no' }}", "yes"),
        ("{% for tag in tags %}<{{ tag }}>{% else %}none{% endfor %}", "<a><b>"),
        ("{{ tags | join(', ') }}", "a, b"),
        ("{{ firstName[:1] }}.", "A."),
        ("{{ '  x ' | trim }}{# a comment #}", "x"),
        ("{% if 'a' in tags and tags | length > 1 %}both{% endif %}", "both"),
        ("{% set name = firstName | default('you') %}{{ name }}", "Ada"),
        ("line\n", "line\n"),
        ("a < b & c", "a < b & c"),
    ] {
        assert_eq!(text(source, &values), expected, "{source}");
    }
}

#[test]
fn values_are_escaped_in_html_alone() {
    let values = json!({"name": "<b>\"Tom\" & 'Co'</b>"});
    let html = render_as(TemplateKind::Html, "<p title=\"{{ name }}\">{{ name }}</p>", &values).unwrap();
    assert!(!html.contains("<b>") && !html.contains("\"Tom\"") && html.contains("&lt;b&gt;"), "{html}");
    assert_eq!(text("{{ name }}", &values), "<b>\"Tom\" & 'Co'</b>");
    let filtered =
        render_as(TemplateKind::Html, "{{ name | default('x') | upper }}{{ none | default('<i>') }}", &values);
    assert!(!filtered.unwrap().contains('<'));
}

#[test]
fn a_contacts_value_is_never_read_as_a_template() {
    let values = json!({"name": "{{ 7 - 7 }}{% include 'x' %}", "key": "name"});
    for kind in [TemplateKind::Text, TemplateKind::Header] {
        assert_eq!(render_as(kind, "{{ name }}", &values).unwrap(), "{{ 7 - 7 }}{% include 'x' %}");
    }
}

#[test]
fn a_value_with_a_line_break_does_not_get_into_a_header() {
    for name in ["a\r\nBcc: b@x.test", "a\nb", "a\u{0}b", "a\u{7f}", "a\u{2028}b", "\u{202e}txt.exe"] {
        let error = render_as(TemplateKind::Header, "Hi {{ name }}", &json!({ "name": name })).unwrap_err();
        assert_eq!(error.code, "template_forbidden");
        assert!(!error.detail.contains("Bcc"));
    }
    assert_eq!(code(TemplateKind::Header, "two\nlines"), "template_forbidden");
    assert_eq!(render_as(TemplateKind::Header, "Hi {{ name }}", &json!({"name": "Zoë 🎉"})).unwrap(), "Hi Zoë 🎉");
}

/// Each ends within this long, which leaves a busy machine room: the fence takes microseconds, the fuel milliseconds.
const SOON: Duration = Duration::from_millis(500);

#[test]
fn hostile_templates_end_soon_with_an_error() {
    let deep = |open: &str, close: &str, n: usize| format!("{}{}", open.repeat(n), close.repeat(n));
    let hostile: Vec<(String, &str)> = vec![
        ("{% for a in range(1000000000) %}x{% endfor %}".into(), "template_forbidden"),
        ("{{ range(1000000000) | join }}".into(), "template_forbidden"),
        ("{{ 'x' * 200000000 }}".into(), "template_forbidden"),
        ("{{ ([1] * 50000000) | length }}".into(), "template_forbidden"),
        ("{{ name * 200000000 }}".into(), "template_forbidden"),
        ("{{ 9 ** 9 ** 9 ** 9 }}".into(), "template_forbidden"),
        ("{% for a in [1,2,3] %}{% for b in [1,2,3] %}x{% endfor %}{% endfor %}".into(), "template_forbidden"),
        ("{% for a in 'abc' recursive %}{{ loop('abc') }}{% endfor %}".into(), "template_forbidden"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".into(), "template_forbidden"),
        ("{% include 'secrets' %}".into(), "template_forbidden"),
        ("{% import 'a' as a %}".into(), "template_forbidden"),
        ("{% from 'a' import b %}".into(), "template_forbidden"),
        ("{% extends 'a' %}".into(), "template_forbidden"),
        ("{% block a %}{{ self.a() }}{% endblock %}".into(), "template_forbidden"),
        ("{% autoescape false %}{{ name }}{% endautoescape %}".into(), "template_forbidden"),
        ("{{ name | safe }}".into(), "template_forbidden"),
        ("{{ name | indent(100000000) }}".into(), "template_forbidden"),
        ("{{ '%0999999999d' | format(1) }}".into(), "template_forbidden"),
        ("{{ debug() }}".into(), "template_forbidden"),
        ("{{ name | replace(*[1]) }}".into(), "template_forbidden"),
        ("{% do name.x() %}".into(), "template_forbidden"),
        ("{% filter upper %}x{% endfilter %}".into(), "template_forbidden"),
        (
            format!("{{% set a = 'xxxxxxxxxxxxxxxx' %}}{}{{{{ a }}}}", "{% set a = a ~ a %}".repeat(40)),
            "template_runaway",
        ),
        (
            format!("{{% set a = 'xx' %}}{}", "{% set a = a | replace('x', 'xxxxxxxxxxxxxxxxxxxxx') %}".repeat(9)),
            "template_runaway",
        ),
        (
            format!("{{% set l = 'abcdefghij' %}}{}x{}", "{% for a in l %}".repeat(9), "{% endfor %}".repeat(9)),
            "template_runaway",
        ),
        (format!("{{{{ {} }}}}", deep("(", ")", 50_000)), "template_too_large"),
        (format!("{{{{ {} }}}}", deep("[", "]", 90)), "template_syntax"),
        (format!("{{{{ a{} }}}}", "+a".repeat(100_000)), "template_too_large"),
        (format!("{{{{ a{} }}}}", "|upper".repeat(50_000)), "template_too_large"),
        (format!("{{{{ a{} }}}}", ".b".repeat(100_000)), "template_too_large"),
        (format!("{{{{ {}a }}}}", "not ".repeat(50_000)), "template_too_large"),
        (deep("{% if a %}", "{% endif %}", 5_000), "template_too_large"),
        (deep("{% if a %}", "{% endif %}", 1_000), "template_syntax"),
        (format!("{{% if a %}}{}{{% endif %}}", "{% elif b %}".repeat(4_000)), "template_too_large"),
        ("x".repeat(SOURCE_AT_MOST + 1), "template_too_large"),
        ("{{ unclosed".into(), "template_syntax"),
        ("{% if %}".into(), "template_syntax"),
        ("{{ 'a' | nosuch }}".into(), "template_forbidden"),
        ("{{ a is nosuch }}".into(), "template_forbidden"),
    ];
    assert!(hostile.len() >= 11);
    for (source, expected) in &hostile {
        let begun = Instant::now();
        let found = code(TemplateKind::Html, source);
        let took = begun.elapsed();
        let shown: String = source.chars().take(80).collect();
        assert_eq!(found, *expected, "{shown}");
        assert!(took < SOON, "{shown} took {took:?}");
    }
}

#[test]
fn values_that_make_a_good_template_run_away_are_stopped() {
    let names: Vec<String> = (0..2_000).map(|n| format!("{n}")).collect();
    let nested = "{% for a in tags %}{% for b in tags %}{{ a }}{% endfor %}{% endfor %}";
    let begun = Instant::now();
    let error = render_as(TemplateKind::Text, nested, &json!({ "tags": names })).unwrap_err();
    assert_eq!(error.code, "template_runaway");
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let error = render_as(TemplateKind::Text, "{{ a }}{{ a }}", &json!({ "a": "x".repeat(1_100_000) })).unwrap_err();
    assert_eq!(error.code, "template_too_large");
}

#[test]
fn an_error_over_values_does_not_quote_them() {
    let error = render_as(TemplateKind::Text, "\n{{ name | int }}", &json!({"name": "Carol"})).unwrap_err();
    assert_eq!(error.code, "template_failed");
    assert!(!error.detail.contains("Carol") && error.detail.contains("line 2"), "{}", error.detail);
}

#[test]
fn a_large_honest_mail_renders() {
    let source = format!("{}{{{{ name }}}}", "<p>Some paragraph of a newsletter, quite long.</p>\n".repeat(9_000));
    let html = render_as(TemplateKind::Html, &source, &json!({"name": "Ada"})).unwrap();
    assert!(html.ends_with("Ada"));
}

proptest! {
    #[test]
    fn any_source_ends_in_text_or_an_error(source in "[ -~\\n]{0,40}|(\\{\\{|\\}\\}|\\{%|%\\}|[a-z.|()' +~\\[\\]]){0,30}") {
        let _ = code(TemplateKind::Html, &source);
    }

    #[test]
    fn no_value_escapes_from_html(name in "[ -~]{0,40}") {
        let html = render_as(TemplateKind::Html, "{{ name }}", &json!({ "name": name })).unwrap();
        prop_assert!(!html.contains(['<', '>', '"', '\'']), "{}", html);
    }
}
