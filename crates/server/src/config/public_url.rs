//! The address under which recipients reach Muster: the base of the links in mails.

use std::fmt;
use std::net::SocketAddr;
use url::{Host, Url};

/// The base of public links, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

/// Why an address cannot be the base of links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicUrlError {
    /// No URL with a host.
    #[error("is no web address; expected something like https://mail.example.com")]
    NotAUrl,
    /// Neither `http` nor `https`.
    #[error("begins with https:// (or http:// for a test)")]
    Scheme,
    /// With credentials, a query or a fragment.
    #[error("is only scheme, host, port and path: no user, no query, no fragment")]
    Extras,
}

impl PublicUrl {
    /// Reads a base such as `https://mail.example.com` or `https://example.com/muster`.
    ///
    /// # Errors
    /// When links cannot be built on it.
    pub fn parse(text: &str) -> Result<Self, PublicUrlError> {
        let url = Url::parse(text.trim()).map_err(|_| PublicUrlError::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(PublicUrlError::Scheme);
        }
        let bare = url.username().is_empty() && url.password().is_none();
        if !bare || url.query().is_some() || url.fragment().is_some() {
            return Err(PublicUrlError::Extras);
        }
        Ok(Self(url))
    }

    /// Where a server that listens on `addr` can be reached from the same machine: the default.
    ///
    /// # Errors
    /// Never for an address that can be listened on.
    pub fn local(addr: SocketAddr) -> Result<Self, PublicUrlError> {
        let host = if addr.ip().is_unspecified() { "localhost".to_owned() } else { addr_host(addr) };
        Self::parse(&format!("http://{host}:{}", addr.port()))
    }

    /// The address as text, without a slash at its end.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// What the operator should know before mail goes out to the world; mended with
    /// [`Setting::PUBLIC_URL`](super::Setting::PUBLIC_URL).
    pub fn warning(&self) -> Option<&'static str> {
        let loopback = match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        if loopback {
            Some("links in mails lead to this machine only")
        } else if self.0.scheme() == "http" {
            Some("links in mails are plain http, but one-click unsubscribe wants https (RFC 8058)")
        } else {
            None
        }
    }
}

impl PublicUrl {
    /// Says so in the log when there is a [`PublicUrl::warning`].
    pub fn warn(&self) {
        if let Some(warning) = self.warning() {
            let setting = super::Setting::PUBLIC_URL;
            tracing::warn!(target: "muster", "{warning}; name the address that recipients reach with {setting}");
        }
    }
}

fn addr_host(addr: SocketAddr) -> String {
    match addr {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{PublicUrl, PublicUrlError};

    #[test]
    fn a_base_ends_without_a_slash() {
        for (given, base) in [
            ("https://mail.example.com", "https://mail.example.com"),
            ("https://mail.example.com/", "https://mail.example.com"),
            (" https://example.com:8443/muster/ ", "https://example.com:8443/muster"),
        ] {
            assert_eq!(PublicUrl::parse(given).unwrap().as_str(), base);
        }
    }

    #[test]
    fn what_links_cannot_be_built_on_is_refused() {
        assert_eq!(PublicUrl::parse("mail.example.com"), Err(PublicUrlError::NotAUrl));
        assert_eq!(PublicUrl::parse("ftp://example.com"), Err(PublicUrlError::Scheme));
        for extra in ["https://u:p@example.com", "https://example.com/?a=b", "https://example.com/#a"] {
            assert_eq!(PublicUrl::parse(extra), Err(PublicUrlError::Extras), "{extra}");
        }
    }

    #[test]
    fn plain_http_and_loopback_only_warn() {
        let warning = |url: &str| PublicUrl::parse(url).unwrap().warning();
        assert!(warning("http://mail.example.com").unwrap().contains("plain http"));
        for local in ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"] {
            assert!(warning(local).unwrap().contains("this machine"), "{local}");
        }
        assert_eq!(warning("https://mail.example.com"), None);
    }

    #[test]
    fn the_default_can_be_opened_in_a_browser() {
        let local = |addr: &str| PublicUrl::local(addr.parse().unwrap()).unwrap().to_string();
        assert_eq!(local("127.0.0.1:8080"), "http://127.0.0.1:8080");
        assert_eq!(local("0.0.0.0:9000"), "http://localhost:9000");
        assert_eq!(local("[::1]:8080"), "http://[::1]:8080");
    }
}
