//! Merge tags, with minijinja behind a fence.
//!
//! A template is written by a tenant and rendered once a contact, so it may neither run for long nor reach for anything
//! but the contact's fields. Three fences: what a mail has no need of is refused when the template is written
//! ([`Templates::check`]), by looking at its syntax tree; every rendering has fuel; and sizes are capped.
//!
//! [`Templates::check`]: muster_domain::ports::templates::Templates::check

mod engine;
mod fence;

use crate::by_source::BySource;
use engine::Compiled;
use muster_domain::ports::templates::{TemplateError, TemplateKind, Templates};
use serde_json::Value;
use std::sync::Arc;

/// Most octets of a template's source, and of a header's.
const SOURCE_AT_MOST: usize = 512 * 1024;
const HEADER_SOURCE_AT_MOST: usize = 4 * 1024;
/// A template whose links are numbered is longer than its author's: by some forty octets for each, where a link takes
/// seventeen.
const NUMBERED_AT_MOST: usize = 4 * SOURCE_AT_MOST;
/// Most octets of what it renders to.
const OUTPUT_AT_MOST: usize = 2 * 1024 * 1024;

/// The template engine; clones share the compiled templates.
#[derive(Debug, Clone, Default)]
pub struct MinijinjaTemplates {
    compiled: Arc<BySource<TemplateKind, Compiled>>,
}

impl MinijinjaTemplates {
    /// An engine with nothing compiled yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn compiled(&self, kind: TemplateKind, source: &str) -> Result<Arc<Compiled>, TemplateError> {
        if let Some(compiled) = self.compiled.find(kind, source) {
            return Ok(compiled);
        }
        let most = if kind == TemplateKind::Header { HEADER_SOURCE_AT_MOST } else { NUMBERED_AT_MOST };
        no_longer_than(most, source)?;
        fence::inspect(source)?;
        let compiled = Arc::new(Compiled::new(kind, source)?);
        // The engine has the source, too, and instructions of about its size.
        self.compiled.keep(kind, source, (Arc::clone(&compiled), 2 * source.len()));
        Ok(compiled)
    }
}

impl Templates for MinijinjaTemplates {
    fn check(&self, kind: TemplateKind, source: &str) -> Result<(), TemplateError> {
        no_longer_than(SOURCE_AT_MOST, source)?;
        let compiled = self.compiled(kind, source)?;
        match compiled.render(kind, &Value::Object(serde_json::Map::new())) {
            // Over no values at all; it may well fit the values of contacts.
            Err(error) if error.code == "template_failed" => Ok(()),
            rendered => rendered.map(drop),
        }
    }

    fn render(&self, kind: TemplateKind, source: &str, values: &Value) -> Result<String, TemplateError> {
        // Compiling inspects, so that a template that was never checked is fenced just the same.
        self.compiled(kind, source)?.render(kind, values)
    }
}

fn no_longer_than(most: usize, source: &str) -> Result<(), TemplateError> {
    if source.len() <= most {
        return Ok(());
    }
    let detail = format!("the template is longer than {most} octets");
    Err(TemplateError { code: "template_too_large", detail })
}

#[cfg(test)]
mod tests;
