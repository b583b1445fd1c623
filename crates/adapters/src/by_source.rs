//! What was made of templates, kept while they are in use.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Most templates kept; a campaign has a subject, an HTML and perhaps a text for each of its steps.
const TEMPLATES: usize = 512;
/// Most octets kept, of sources and of what was made of them.
const OCTETS: usize = 32 * 1024 * 1024;
/// Octets of a template at each end that go into its key.
const ENDS: usize = 32;

/// Finds what was made of a template by its source, and by what it was made for: `K`.
#[derive(Debug)]
pub(crate) struct BySource<K, T>(Mutex<Shelf<K, T>>);

#[derive(Debug)]
struct Shelf<K, T> {
    templates: HashMap<Key<K>, Vec<Kept<T>>>,
    count: usize,
    octets: usize,
    /// Rises with every use.
    clock: u64,
}

#[derive(Debug)]
struct Kept<T> {
    source: Box<str>,
    made: Arc<T>,
    octets: usize,
    used: u64,
}

impl<K, T> Default for BySource<K, T> {
    fn default() -> Self {
        Self(Mutex::new(Shelf { templates: HashMap::new(), count: 0, octets: 0, clock: 0 }))
    }
}

/// Cheap to make from a long source; the sources under one key are compared in full.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key<K> {
    made_for: K,
    length: usize,
    head: [u8; ENDS],
    tail: [u8; ENDS],
}

impl<K> Key<K> {
    fn of(made_for: K, source: &str) -> Self {
        let bytes = source.as_bytes();
        let part = bytes.len().min(ENDS);
        let (mut head, mut tail) = ([0; ENDS], [0; ENDS]);
        head[..part].copy_from_slice(&bytes[..part]);
        tail[..part].copy_from_slice(&bytes[bytes.len() - part..]);
        Self { made_for, length: bytes.len(), head, tail }
    }
}

impl<K: Eq + Hash, T> BySource<K, T> {
    /// What was made of `source`.
    pub(crate) fn find(&self, made_for: K, source: &str) -> Option<Arc<T>> {
        let key = Key::of(made_for, source);
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.clock += 1;
        let clock = shelf.clock;
        let kept = shelf.templates.get_mut(&key)?.iter_mut().find(|kept| *kept.source == *source)?;
        kept.used = clock;
        Some(Arc::clone(&kept.made))
    }

    /// Keeps what was made of `source` and takes so many octets itself. Two who made it at once keep one.
    pub(crate) fn keep(&self, made_for: K, source: &str, (made, octets): (Arc<T>, usize)) {
        let key = Key::of(made_for, source);
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.clock += 1;
        let used = shelf.clock;
        let bucket = shelf.templates.entry(key).or_default();
        if bucket.iter().any(|kept| *kept.source == *source) {
            return;
        }
        let octets = octets + source.len();
        bucket.push(Kept { source: source.into(), made, octets, used });
        shelf.count += 1;
        shelf.octets += octets;
        while shelf.count > TEMPLATES || shelf.octets > OCTETS {
            shelf.forget_older_half();
        }
    }
}

impl<K: Eq + Hash, T> Shelf<K, T> {
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
        self.octets = self.templates.values().flatten().map(|kept| kept.octets).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> BySource<u8, String> {
        BySource::default()
    }

    fn keep(cache: &BySource<u8, String>, source: &str) {
        cache.keep(1, source, (Arc::new(source.to_owned()), source.len()));
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
    fn what_two_made_at_once_is_kept_once() {
        let cache = cache();
        for _ in 0..2 {
            keep(&cache, "the same");
        }
        let shelf = cache.0.lock().unwrap();
        assert_eq!((shelf.count, shelf.octets), (1, 2 * "the same".len()));
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
            let shelf = cache.0.lock().unwrap();
            let kept: usize = shelf.templates.values().flatten().map(|kept| 2 * kept.source.len()).sum();
            assert!(shelf.octets == kept && kept <= OCTETS, "{} and {kept}", shelf.octets);
        }
    }
}
