//! Which mail server, read from a URL.

use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;
use url::{Host, Url};

/// Why a mail server's URL is not usable. Never quotes the URL: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SmtpConfigError {
    /// Not a URL, or not one with a host.
    #[error("not a mail server URL; expected smtp://host:port or smtps://host:port")]
    NotAUrl,
    /// Neither `smtp` nor `smtps`.
    #[error("a mail server URL begins with smtp:// or smtps://")]
    Scheme,
    /// Credentials that cannot be used.
    #[error("the user name and password must both be given, percent-encoded, as UTF-8")]
    Credentials,
    /// A parameter with a value out of range.
    #[error("parameter {name}: {reason}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What is allowed.
        reason: &'static str,
    },
    /// A parameter that does not exist.
    #[error("unknown parameter in the mail server URL; known are sessions, tls, tlsCa and helo")]
    UnknownParameter,
    /// The file of `tlsCa` cannot be used.
    #[error("tlsCa: {0}")]
    TlsCa(String),
}

/// When a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// From the first byte (`smtps://`).
    Implicit,
    /// By `STARTTLS`, and not at all without it (`?tls=required`).
    Required,
    /// By `STARTTLS` where the server offers it (`?tls=offered`).
    Offered,
    /// Like [`Encryption::Offered`], but not on loopback, where local servers offer certificates nobody can
    /// verify and nobody can listen either. The default of `smtp://`.
    OfferedOffHost,
    /// Never (`?tls=never`).
    Never,
}

/// User name and password for `AUTH`.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    /// Often an address, so as private as the password.
    pub(super) user: SecretString,
    pub(super) password: SecretString,
}

/// A mail server and how to speak to it.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    /// Name or address of the server, without brackets.
    pub host: String,
    /// TCP port; 25 for `smtp`, 465 for `smtps` by default.
    pub port: u16,
    /// When to encrypt.
    pub encryption: Encryption,
    /// A PEM file of certificates to trust besides the public roots, as authorities or as the server's own.
    pub tls_ca: Option<PathBuf>,
    /// How many sessions to hold at once.
    pub sessions: usize,
    /// What to call ourselves in `EHLO`; the local address literal when absent.
    pub helo: Option<String>,
    pub(super) credentials: Option<Credentials>,
}

impl SmtpConfig {
    /// Reads `smtp://[user:pass@]host[:port]` or `smtps://…`, with the parameters `sessions` (1 to 1000, default 10),
    /// `tls` (`required`, `offered`, `never`), `tlsCa` (a PEM file) and `helo` (a host name).
    pub fn parse(url: &SecretString) -> Result<Self, SmtpConfigError> {
        let url = Url::parse(url.expose_secret()).map_err(|_| SmtpConfigError::NotAUrl)?;
        let (port, encryption) = match url.scheme() {
            "smtp" => (25, Encryption::OfferedOffHost),
            "smtps" => (465, Encryption::Implicit),
            _ => return Err(SmtpConfigError::Scheme),
        };
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err(SmtpConfigError::NotAUrl),
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(SmtpConfigError::NotAUrl);
        }
        let mut config = Self {
            host,
            port: url.port().unwrap_or(port),
            encryption,
            tls_ca: None,
            sessions: 10,
            helo: None,
            credentials: credentials(&url)?,
        };
        for (name, value) in url.query_pairs() {
            config.set(&name, &value)?;
        }
        Ok(config)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), SmtpConfigError> {
        match name {
            "sessions" => {
                let refused = SmtpConfigError::Parameter { name: "sessions", reason: "a number from 1 to 1000" };
                self.sessions = value.parse().ok().filter(|n| (1..=1000).contains(n)).ok_or(refused)?;
            }
            "tls" => {
                self.encryption = match (self.encryption, value) {
                    (Encryption::Implicit, "required") => Encryption::Implicit,
                    (Encryption::Implicit, _) => {
                        return Err(SmtpConfigError::Parameter { name: "tls", reason: "smtps:// is always encrypted" });
                    }
                    (_, "required") => Encryption::Required,
                    (_, "offered") => Encryption::Offered,
                    (_, "never") => Encryption::Never,
                    _ => {
                        let reason = "one of required, offered, never";
                        return Err(SmtpConfigError::Parameter { name: "tls", reason });
                    }
                };
            }
            "tlsCa" => {
                self.tls_ca = Some(PathBuf::from(value));
                // Whoever names a certificate wants it used, loopback or not.
                if self.encryption == Encryption::OfferedOffHost {
                    self.encryption = Encryption::Offered;
                }
            }
            "helo" => {
                let refused = SmtpConfigError::Parameter { name: "helo", reason: "a host name or an address literal" };
                let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '[' | ']' | ':');
                let usable = !value.is_empty() && value.len() <= 255 && value.chars().all(fits);
                self.helo = Some(usable.then(|| value.to_owned()).ok_or(refused)?);
            }
            _ => return Err(SmtpConfigError::UnknownParameter),
        }
        Ok(())
    }
}

fn credentials(url: &Url) -> Result<Option<Credentials>, SmtpConfigError> {
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        ("", Some(_)) | (_, None) => Err(SmtpConfigError::Credentials),
        (user, Some(password)) => {
            let user = percent_decode(user).ok_or(SmtpConfigError::Credentials)?;
            let password = percent_decode(password).ok_or(SmtpConfigError::Credentials)?;
            Ok(Some(Credentials { user: user.into(), password: password.into() }))
        }
    }
}

/// `None` for broken escapes, bytes that are not UTF-8, and NUL, which `AUTH PLAIN` cannot carry.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<SmtpConfig, SmtpConfigError> {
        SmtpConfig::parse(&SecretString::from(url))
    }

    #[test]
    fn a_plain_url_has_the_defaults() {
        let config = parse("smtp://mail.example.test").unwrap();
        assert_eq!((config.host.as_str(), config.port, config.sessions), ("mail.example.test", 25, 10));
        assert_eq!(config.encryption, Encryption::OfferedOffHost);
        assert!(config.credentials.is_none());
    }

    #[test]
    fn everything_can_be_set() {
        let url = "smtps://us%40er:p%3Aw%2Fd@[::1]:2465/?sessions=3&tlsCa=/etc/ca.pem&helo=out.example.test";
        let config = parse(url).unwrap();
        assert_eq!((config.host.as_str(), config.port, config.sessions), ("::1", 2465, 3));
        assert_eq!(config.encryption, Encryption::Implicit);
        assert_eq!(config.tls_ca, Some(PathBuf::from("/etc/ca.pem")));
        assert_eq!(config.helo.as_deref(), Some("out.example.test"));
        let credentials = config.credentials.unwrap();
        assert_eq!(credentials.user.expose_secret(), "us@er");
        assert_eq!(credentials.password.expose_secret(), "p:w/d");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for url in [
            "",
            "mail.example.test:25",
            "http://mail.example.test",
            "smtp://",
            "smtp://user@host",
            "smtp://:secret@host",
            "smtp://u:%zz@host",
            "smtp://u:a%00b@host",
            "smtp://host?sessions=0",
            "smtp://host?sessions=1001",
            "smtp://host?sessions=many",
            "smtp://host?tls=maybe",
            "smtps://host?tls=never",
            "smtp://host?helo=two%20words",
            "smtp://host?helo=a%0d%0ab",
            "smtp://host?session=3",
            "smtp://host/path",
        ] {
            assert!(parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn neither_an_error_nor_debug_shows_the_password() {
        for url in ["smtp://u:hunter2@host:99999", "smtp://:hunter2@host", "hunter2", "smtp://u:hunter2@h?x=hunter2"] {
            let error = parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        let config = parse("smtp://alice:hunter2@host").unwrap();
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("alice"), "{shown}");
    }
}
