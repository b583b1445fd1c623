//! Compiled templates, kept while they are in use.

use super::engine::Compiled;
use muster_domain::ports::templates::TemplateKind;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most templates kept; a campaign has a subject, an HTML and perhaps a text for each of its steps.
const TEMPLATES: usize = 512;
/// Most octets of source kept.
const OCTETS: usize = 32 * 1024 * 1024;
/// Octets of a template at each end that go into its key.
const ENDS: usize = 32;

/// Finds a compiled template by its source.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    templates: HashMap<Key, Vec<Kept>>,
    count: usize,
    octets: usize,
    /// Rises with every use.
    clock: u64,
}

#[derive(Debug)]
struct Kept {
    compiled: Arc<Compiled>,
    used: u64,
}

/// Cheap to make from a long source; the sources under one key are compared in full.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    kind: u8,
    length: usize,
    head: [u8; ENDS],
    tail: [u8; ENDS],
}

impl Key {
    fn of(kind: TemplateKind, source: &str) -> Self {
        let bytes = source.as_bytes();
        let part = bytes.len().min(ENDS);
        let (mut head, mut tail) = ([0; ENDS], [0; ENDS]);
        head[..part].copy_from_slice(&bytes[..part]);
        tail[..part].copy_from_slice(&bytes[bytes.len() - part..]);
        Self { kind: kind as u8, length: bytes.len(), head, tail }
    }
}

impl Cache {
    pub(super) fn find(&self, kind: TemplateKind, source: &str) -> Option<Arc<Compiled>> {
        let key = Key::of(kind, source);
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.clock += 1;
        let clock = shelf.clock;
        let kept = shelf.templates.get_mut(&key)?.iter_mut().find(|kept| kept.compiled.source() == source)?;
        kept.used = clock;
        Some(Arc::clone(&kept.compiled))
    }

    pub(super) fn keep(&self, kind: TemplateKind, compiled: Arc<Compiled>) {
        let key = Key::of(kind, compiled.source());
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.clock += 1;
        shelf.count += 1;
        shelf.octets += compiled.source().len();
        let used = shelf.clock;
        shelf.templates.entry(key).or_default().push(Kept { compiled, used });
        while shelf.count > TEMPLATES || shelf.octets > OCTETS {
            shelf.forget_older_half();
        }
    }
}

impl Shelf {
    /// Rare, so that a use costs nothing but a number.
    fn forget_older_half(&mut self) {
        let mut uses: Vec<u64> = self.templates.values().flatten().map(|kept| kept.used).collect();
        uses.sort_unstable();
        let median = uses.get(uses.len() / 2).copied().unwrap_or(0);
        self.templates.retain(|_, bucket| {
            bucket.retain(|kept| kept.used > median);
            !bucket.is_empty()
        });
        self.count = self.templates.values().map(Vec::len).sum();
        self.octets = self.templates.values().flatten().map(|kept| kept.compiled.source().len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(source: &str) -> Arc<Compiled> {
        Arc::new(Compiled::new(TemplateKind::Text, source).unwrap())
    }

    #[test]
    fn sources_that_look_alike_are_told_apart() {
        let cache = Cache::default();
        let (long_a, long_b) = (format!("{0}a{0}", "x".repeat(99)), format!("{0}b{0}", "x".repeat(99)));
        cache.keep(TemplateKind::Text, compile(&long_a));
        assert!(cache.find(TemplateKind::Text, &long_b).is_none());
        assert!(cache.find(TemplateKind::Html, &long_a).is_none());
        cache.keep(TemplateKind::Text, compile(&long_b));
        for source in [&long_a, &long_b] {
            assert_eq!(cache.find(TemplateKind::Text, source).unwrap().source(), source);
        }
    }

    #[test]
    fn what_is_used_stays_and_the_rest_is_bounded() {
        let cache = Cache::default();
        cache.keep(TemplateKind::Text, compile("kept"));
        for n in 0..2 * TEMPLATES {
            cache.keep(TemplateKind::Text, compile(&format!("{n}")));
            assert!(cache.find(TemplateKind::Text, "kept").is_some(), "forgotten after {n}");
            assert!(cache.0.lock().unwrap().count <= TEMPLATES);
        }
        let big = "x".repeat(1024 * 1024);
        for n in 0..80 {
            cache.keep(TemplateKind::Text, compile(&format!("{big}{n}")));
            assert!(cache.0.lock().unwrap().octets <= OCTETS);
        }
    }
}
