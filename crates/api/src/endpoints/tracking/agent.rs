//! Programs that say what they are.
//!
//! Short on purpose: only what never stands between a person and a mail. General HTTP libraries and command-line tools
//! are not here, since a scanner that hides does not use their names, and whoever does use them is counted as what
//! else they do says.

use crate::edge::WasHead;
use actix_web::http::header::{HeaderMap, USER_AGENT};
use actix_web::{HttpMessage, HttpRequest};
use muster_domain::model::events::Machine;

/// Parts of the names, in lower case.
const NAMES: [&str; 24] = [
    // Image proxies of mailboxes, which fetch whether or not anybody looks.
    "googleimageproxy",
    "yahoomailproxy",
    "yahoo! slurp",
    "via ggpht.com",
    // Scanners of mail.
    "barracuda",
    "cloudmark",
    "fireeye",
    "mimecast",
    "proofpoint",
    "sophos",
    "symantec",
    "trendmicro",
    "trend micro",
    "zscaler",
    "microsoft office existence discovery",
    "bingpreview",
    "safebrowsing",
    // Whatever makes pictures of links, or follows them to read.
    "bot/",
    "bot;",
    "bot-",
    "crawler",
    "spider",
    "facebookexternalhit",
    "whatsapp/",
];

/// Headers with which a browser says that nobody has asked for it yet.
const AHEAD: [&str; 4] = ["sec-purpose", "purpose", "x-purpose", "x-moz"];

/// Why the request is a program's; `None` as far as it shows.
pub(super) fn machine(request: &HttpRequest) -> Option<Machine> {
    if request.extensions().contains::<WasHead>() {
        return Some(Machine::Head);
    }
    is_known(request.headers()).then_some(Machine::Agent)
}

fn is_known(headers: &HeaderMap) -> bool {
    let text =
        |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    let ahead = AHEAD.into_iter().filter_map(text).any(|value| value.contains("prefetch") || value.contains("preview"));
    ahead || text(USER_AGENT.as_str()).is_some_and(|agent| NAMES.iter().any(|name| agent.contains(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn of(name: &str, value: &str) -> Option<Machine> {
        machine(&TestRequest::default().insert_header((name, value)).to_http_request())
    }

    #[test]
    fn programs_that_say_so_are_programs() {
        for agent in [
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
            "Mozilla/5.0 (compatible; bingbot/2.0)",
            "BarracudaCentral",
        ] {
            assert_eq!(of("User-Agent", agent), Some(Machine::Agent), "{agent}");
        }
        for (name, value) in [("Sec-Purpose", "prefetch;prerender"), ("Purpose", "prefetch"), ("X-Moz", "Prefetch")] {
            assert_eq!(of(name, value), Some(Machine::Agent), "{name}");
        }
    }

    #[test]
    fn people_and_what_might_be_people_are_people() {
        for agent in [
            "",
            "Mozilla/5.0",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; ms-office; MSOffice 16)",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.0",
            "Mozilla/5.0 (Linux; Android 9; CUBOT_X18) AppleWebKit/537.36",
            "curl/8.5.0",
            "python-requests/2.32.3",
            "Python-urllib/3.13",
        ] {
            assert_eq!(of("User-Agent", agent), None, "{agent}");
        }
        assert_eq!(machine(&TestRequest::default().to_http_request()), None);
    }

    #[test]
    fn head_is_a_link_checker() {
        let request = TestRequest::default().to_http_request();
        request.extensions_mut().insert(WasHead);
        assert_eq!(machine(&request), Some(Machine::Head));
    }
}
