//! One template, compiled, with the only environment it will ever see.

use super::OUTPUT_AT_MOST;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, UndefinedBehavior, escape_formatter};
use muster_domain::ports::templates::{TemplateError, TemplateKind};
use serde_json::Value;

/// Enough for some 50,000 steps or 3 MB of text; a mail takes a few hundred.
const FUEL: u64 = 50_000;
/// Deepest nesting of what a template evaluates.
const RECURSION_AT_MOST: usize = 50;
/// The only template of its environment.
const NAME: &str = "template";

/// A compiled template.
#[derive(Debug)]
pub(super) struct Compiled {
    environment: Environment<'static>,
}

impl Compiled {
    pub(super) fn new(kind: TemplateKind, source: &str) -> Result<Self, TemplateError> {
        let mut environment = environment(kind);
        let syntax_config =
            SyntaxConfig::builder().keep_trailing_newline(true).build().map_err(|error| syntax(&error))?;
        environment.set_syntax(syntax_config);
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| syntax(&error))?;
        Ok(Self { environment })
    }

    pub(super) fn render(&self, kind: TemplateKind, values: &Value) -> Result<String, TemplateError> {
        let template = self.environment.get_template(NAME).map_err(|error| syntax(&error))?;
        let text = template.render(minijinja::Value::from(Serde(values))).map_err(|error| failed(&error))?;
        if text.len() > OUTPUT_AT_MOST {
            let detail = format!("the rendered text is longer than {OUTPUT_AT_MOST} octets");
            return Err(TemplateError { code: "template_too_large", detail });
        }
        if kind == TemplateKind::Header && text.chars().any(crate::mime::is_forbidden_in_header) {
            let detail = "a header cannot hold line breaks or other control characters".to_owned();
            return Err(TemplateError { code: "template_forbidden", detail });
        }
        Ok(text)
    }
}

fn environment(kind: TemplateKind) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION_AT_MOST);
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    let html = kind == TemplateKind::Html;
    environment.set_auto_escape_callback(move |_| if html { AutoEscape::Html } else { AutoEscape::None });
    environment.set_formatter(|out, state, value| {
        let shown = if value.is_none() { &minijinja::Value::UNDEFINED } else { value };
        match shown.as_str() {
            Some(text) if *state.auto_escape() == AutoEscape::Html && !shown.is_safe() => escape(out, text),
            _ => escape_formatter(out, state, shown),
        }
    });
    for function in ["range", "dict", "debug", "namespace"] {
        environment.remove_global(function);
    }
    environment.remove_filter("safe");
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment
}

/// As HTML asks for in a text and in a quoted attribute. The engine's own way also writes `/` as a reference, which spoils
/// addresses for whoever searches a mail for them.
fn escape(out: &mut Output<'_>, text: &str) -> Result<(), Error> {
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
        let (plain, special) = rest.split_at(at);
        out.write_str(plain)?;
        out.write_str(match special.as_bytes().first() {
            Some(b'&') => "&amp;",
            Some(b'<') => "&lt;",
            Some(b'>') => "&gt;",
            Some(b'"') => "&quot;",
            _ => "&#x27;",
        })?;
        rest = special.get(1..).unwrap_or_default();
    }
    Ok(out.write_str(rest)?)
}

/// Covers an absent field, null and the empty text alike: to a reader they are the same gap.
fn default(value: &minijinja::Value, instead: Option<minijinja::Value>) -> minijinja::Value {
    let missing = value.is_undefined() || value.is_none() || value.as_str() == Some("");
    if missing { instead.unwrap_or_else(|| "".into()) } else { value.clone() }
}

/// What is wrong with the template itself: the author may know all of it.
pub(super) fn syntax(error: &Error) -> TemplateError {
    let what = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    // Statements of features that are not compiled in.
    let code = if what.starts_with("unknown statement") { "template_forbidden" } else { "template_syntax" };
    TemplateError { code, detail: located(error.line(), &what) }
}

/// What went wrong over some contact's values: minijinja's detail may quote them, so only its kind is told.
fn failed(error: &Error) -> TemplateError {
    if error.kind() == ErrorKind::OutOfFuel {
        let detail = located(error.line(), "the template runs for too long or makes too much text");
        return TemplateError { code: "template_runaway", detail };
    }
    TemplateError { code: "template_failed", detail: located(error.line(), &error.kind().to_string()) }
}

pub(super) fn located(line: Option<usize>, what: &str) -> String {
    line.map_or_else(|| what.to_owned(), |line| format!("line {line}: {what}"))
}
