//! The settings a private server runs with. They are given on its command line, so nothing in the folder can change them.

use super::Durability;
use std::path::Path;

/// The settings, as `name=value`.
pub(super) fn settings(durability: Durability, socket_dir: &Path) -> Vec<String> {
    let mut all = vec![
        // No network at all: the socket's folder is the access control.
        "listen_addresses=".to_owned(),
        "port=5432".to_owned(),
        format!("unix_socket_directories={}", quoted(socket_dir)),
        "unix_socket_permissions=0700".to_owned(),
        "timezone=UTC".to_owned(),
        "log_timezone=UTC".to_owned(),
        // Whatever the log keeps must not name a person: no statements, and no DETAIL lines, which quote rows.
        "log_min_error_statement=panic".to_owned(),
        "log_error_verbosity=terse".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
        "shared_buffers=256MB".to_owned(),
        "max_wal_size=2GB".to_owned(),
        "random_page_cost=1.1".to_owned(),
    ];
    let by_durability: &[&str] = match durability {
        Durability::Durable => &["fsync=on", "full_page_writes=on", "max_connections=100"],
        // Only fsync goes: commits are still written before they are answered, so that a server that is killed and
        // started again has them all, as a durable one would. Only the death of the whole machine loses them.
        Durability::Throwaway => &["fsync=off", "max_connections=200", "max_wal_senders=0", "wal_level=minimal"],
    };
    all.extend(by_durability.iter().map(ToString::to_string));
    all
}

/// A path as one element of a list setting, whatever characters it holds.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durable_data_is_synced_and_nothing_listens_on_the_network() {
        let settings = settings(Durability::Durable, Path::new("/run/a \"b\""));
        assert!(settings.contains(&"fsync=on".to_owned()));
        assert!(settings.contains(&"listen_addresses=".to_owned()));
        assert!(settings.contains(&"unix_socket_directories=\"/run/a \"\"b\"\"\"".to_owned()));
    }
}
