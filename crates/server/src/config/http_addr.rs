//! Where to listen.

use std::net::{SocketAddr, ToSocketAddrs};

/// Reads `HOST:PORT`, `[IPv6]:PORT` or `localhost:PORT`; port 0 asks for a free one.
///
/// # Errors
/// A sentence that says what is expected.
pub fn parse_http_addr(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    if let Ok(addr) = text.parse() {
        return Ok(addr);
    }
    let port = text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let addresses = port.and_then(|_| text.to_socket_addrs().ok());
    addresses.and_then(|mut found| found.next()).ok_or_else(|| {
        "is no address to listen on; expected HOST:PORT such as 127.0.0.1:8080 or 0.0.0.0:8080".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::parse_http_addr;

    #[test]
    fn addresses_need_a_host_and_a_port() {
        assert_eq!(parse_http_addr(" 127.0.0.1:80 ").unwrap().port(), 80);
        assert_eq!(parse_http_addr("[::1]:0").unwrap().port(), 0);
        assert!(parse_http_addr("localhost:8080").unwrap().ip().is_loopback());
        for wrong in ["", "8080", ":8080", "127.0.0.1", "127.0.0.1:99999", "http://127.0.0.1:8080"] {
            assert!(parse_http_addr(wrong).is_err(), "{wrong}");
        }
    }
}
