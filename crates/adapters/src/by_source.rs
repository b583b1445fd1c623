//! What was made of templates, kept while they are in use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Most templates kept; a campaign has a subject, an HTML and perhaps a text for each of its steps.
const TEMPLATES: usize = 512;
/// Most octets of source kept.
const OCTETS: usize = 32 * 1024 * 1024;
/// Octets of a template at each end that go into its key.
const ENDS: usize = 32;

/// Finds what was made of a template by its source.
#[derive(Debug)]
pub(crate) struct BySource<T>(Mutex<Shelf<T>>);

#[derive(Debug)]
struct Shelf<T> {
    templates: HashMap<Key, Vec<Kept<T>>>,
    count: usize,
    octets: usize,
    /// Rises with every use.
    clock: u64,
}

#[derive(Debug)]
struct Kept<T> {
    source: Box<str>,
    made: Arc<T>,
    used: u64,
}

impl<T> Default for BySource<T> {
    fn default() -> Self {
        Self(Mutex::new(Shelf { templates: HashMap::new(), count: 0, octets: 0, clock: 0 }))
    }
}

/// Cheap to make from a long source; the sources under one key are compared in full.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    class: u8,
    length: usize,
    head: [u8; ENDS],
    tail: [u8; ENDS],
}

impl Key {
    fn of(class: u8, source: &str) -> Self {
        let bytes = source.as_bytes();
        let part = bytes.len().min(ENDS);
        let (mut head, mut tail) = ([0; ENDS], [0; ENDS]);
        head[..part].copy_from_slice(&bytes[..part]);
        tail[..part].copy_from_slice(&bytes[bytes.len() - part..]);
        Self { class, length: bytes.len(), head, tail }
    }
}

impl<T> BySource<T> {
    /// What was made of `source`; things of different classes are different though their source is the same.
    pub(crate) fn find(&self, class: u8, source: &str) -> Option<Arc<T>> {
        let key = Key::of(class, source);
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.clock += 1;
        let clock = shelf.clock;
        let kept = shelf.templates.get_mut(&key)?.iter_mut().find(|kept| *kept.source == *source)?;
        kept.used = clock;
        Some(Arc::clone(&kept.made))
    }

    pub(crate) fn keep(&self, class: u8, source: &str, made: Arc<T>) {
        let key = Key::of(class, source);
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.clock += 1;
        shelf.count += 1;
        shelf.octets += source.len();
        let used = shelf.clock;
        shelf.templates.entry(key).or_default().push(Kept { source: source.into(), made, used });
        while shelf.count > TEMPLATES || shelf.octets > OCTETS {
            shelf.forget_older_half();
        }
    }
}

impl<T> Shelf<T> {
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
        self.octets = self.templates.values().flatten().map(|kept| kept.source.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> BySource<String> {
        BySource::default()
    }

    fn keep(cache: &BySource<String>, source: &str) {
        cache.keep(1, source, Arc::new(source.to_owned()));
    }

    #[test]
    fn sources_that_look_alike_are_told_apart() {
        let cache = cache();
        let (long_a, long_b) = (format!("{0}a{0}", "x".repeat(99)), format!("{0}b{0}", "x".repeat(99)));
        keep(&cache, &long_a);
        assert!(cache.find(1, &long_b).is_none());
        assert!(cache.find(2, &long_a).is_none());
        keep(&cache, &long_b);
        for source in [&long_a, &long_b] {
            assert_eq!(cache.find(1, source).unwrap().as_str(), source);
        }
    }

    #[test]
    fn what_is_used_stays_and_the_rest_is_bounded() {
        let cache = cache();
        keep(&cache, "kept");
        for n in 0..2 * TEMPLATES {
            keep(&cache, &format!("{n}"));
            assert!(cache.find(1, "kept").is_some(), "forgotten after {n}");
            assert!(cache.0.lock().unwrap().count <= TEMPLATES);
        }
        let big = "x".repeat(1024 * 1024);
        for n in 0..80 {
            keep(&cache, &format!("{big}{n}"));
            assert!(cache.0.lock().unwrap().octets <= OCTETS);
        }
    }
}
