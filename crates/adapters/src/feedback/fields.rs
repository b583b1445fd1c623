//! Groups of fields in the bodies of reports (RFC 3464 section 2.1, RFC 5965 section 3): written like headers, parted by
//! empty lines.

/// No more of a report's body is read.
const READ_AT_MOST: usize = 64 * 1024;
/// No more groups are read: one for the message and one for each recipient, and our mails have one recipient each.
const GROUPS_AT_MOST: usize = 32;

/// Fields that belong together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Group(Vec<(String, String)>);

impl Group {
    /// The first value of the field of that name, written in lower case; unfolded and trimmed.
    pub(super) fn get(&self, name: &'static str) -> Option<&str> {
        self.values(name).next()
    }

    /// Every value of that field.
    pub(super) fn values(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The groups of a body. What is not a field is passed over.
pub(super) fn groups(body: &[u8]) -> Vec<Group> {
    let text = String::from_utf8_lossy(&body[..body.len().min(READ_AT_MOST)]);
    let mut groups = Vec::new();
    let mut group = Group::default();
    for line in text.lines() {
        if line.trim().is_empty() {
            groups.extend((!group.0.is_empty()).then(|| std::mem::take(&mut group)));
            if groups.len() == GROUPS_AT_MOST {
                return groups;
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = group.0.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            group.0.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    groups.extend((!group.0.is_empty()).then_some(group));
    groups
}

/// The value of a typed field such as `smtp; 550 no` (RFC 3464 section 2.1.2) without its type.
pub(super) fn untyped(value: &str) -> &str {
    value.split_once(';').map_or(value, |(_, rest)| rest).trim()
}

/// The first word of a value in lower case, without the comment that may follow it.
pub(super) fn keyword(value: &str) -> String {
    let word = value.trim_start().split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_')).next();
    word.unwrap_or_default().to_ascii_lowercase().replace('_', "-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_unfolded_and_groups_are_told_apart() {
        let body = b"Reporting-MTA: dns; mx.example\r\n\r\n\r\nAction: FAILED (no such user)\r\nDiagnostic-Code: smtp; 550\r\n\t5.1.1\r\n  unknown\r\nnonsense\r\n";
        let groups = groups(body);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].get("reporting-mta"), Some("dns; mx.example"));
        let code = groups[1].get("diagnostic-code").map(untyped);
        assert_eq!(code, Some("550 5.1.1 unknown"));
        assert_eq!(groups[1].get("action").map(keyword).as_deref(), Some("failed"));
        assert_eq!(groups[1].get("status"), None);
    }

    #[test]
    fn a_body_without_end_is_read_up_to_a_point() {
        assert_eq!(groups("a: b\n\n".repeat(5000).as_bytes()).len(), GROUPS_AT_MOST);
        let long = groups(format!("a: {}", "x".repeat(1 << 20)).as_bytes());
        assert!(long[0].get("a").unwrap().len() <= READ_AT_MOST);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(body: Vec<u8>) {
            for group in groups(&body) {
                prop_assert!(!group.0.is_empty());
            }
        }
    }
}
