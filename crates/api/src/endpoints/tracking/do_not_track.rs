//! Visitors who ask not to be followed.

use actix_web::HttpRequest;
use actix_web::http::header::DNT;

/// What to do when a browser says that its user does not want to be followed: `Sec-GPC: 1`, the
/// [Global Privacy Control](https://www.w3.org/TR/gpc/), or the older `DNT: 1`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DoNotTrack {
    /// They get the image, and where the link leads; nothing is stored.
    #[default]
    Respected,
    /// They are counted as everybody is.
    Ignored,
}

impl DoNotTrack {
    /// Whether nothing of this request may be stored.
    pub(super) fn forbids(self, request: &HttpRequest) -> bool {
        let says = |name: &str| request.headers().get_all(name).any(|value| value.as_bytes().trim_ascii() == b"1");
        self == Self::Respected && (says("sec-gpc") || says(DNT.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn who_asks_not_to_be_followed_is_not() {
        let request = |name: &str, value: &str| {
            TestRequest::default().insert_header((name.to_owned(), value.to_owned())).to_http_request()
        };
        for name in ["DNT", "Sec-GPC", "sec-gpc"] {
            assert!(DoNotTrack::Respected.forbids(&request(name, "1")), "{name}");
            assert!(!DoNotTrack::Ignored.forbids(&request(name, "1")), "{name}");
            for other in ["0", "", "null", "11", "unset"] {
                assert!(!DoNotTrack::Respected.forbids(&request(name, other)), "{name}: {other}");
            }
        }
        assert!(!DoNotTrack::Respected.forbids(&TestRequest::default().to_http_request()));
    }
}
