//! The pages that a recipient sees: no script, nothing loaded from elsewhere, readable on any screen.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use muster_domain::model::footer::TEST_TOKEN;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const STYLE: &str = include_str!("page.css");

/// Nothing but this style, and forms to this very place. The icon is an empty one, so that no browser asks for it.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = BASE64_STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    )
});

/// Which page.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Page {
    /// Asks, with the button that does it.
    Question,
    /// It is done.
    Done,
    /// The address is that of previews and test mails.
    Sample,
    /// The address is not one that was in a mail.
    NoSuchLink,
    /// It could not be done now; offers to try again.
    Failed,
}

impl Page {
    fn title(self) -> &'static str {
        match self {
            Page::Question => "Unsubscribe?",
            Page::Done => "You are unsubscribed",
            Page::Sample => "This is a test link",
            Page::NoSuchLink => "This link does not work",
            Page::Failed => "That did not work",
        }
    }

    fn body(self) -> Markup {
        match self {
            Page::Question => html! {
                h1 { (self.title()) }
                p { "You will get no more e-mail from this sender. It takes effect at once." }
                (button("Unsubscribe"))
                p.soft { "Nothing has changed so far. To stay subscribed, just close this page." }
            },
            Page::Done => html! {
                h1.done { (self.title()) }
                p { "This sender will not e-mail you again. A message that was already on its way may still arrive." }
                p.soft { "You can close this page." }
            },
            Page::Sample => html! {
                h1 { (self.title()) }
                p { "It stands in a preview or a test e-mail. In a real one, recipients can unsubscribe here." }
                p.soft { "Nothing was changed." }
            },
            Page::NoSuchLink => html! {
                h1 { (self.title()) }
                p { "Nothing was changed. The address may have been cut off or altered on its way." }
                p.soft { "Open the link in the e-mail once more, or copy its whole address into the browser." }
            },
            Page::Failed => html! {
                h1 { (self.title()) }
                p { "You may not be unsubscribed yet. Please try again in a moment." }
                (button("Try again"))
            },
        }
    }

    /// What a link shows that belongs to no delivery.
    pub(super) fn of_no_delivery(token: &str) -> HttpResponse {
        match token {
            TEST_TOKEN => Page::Sample.answer(StatusCode::OK),
            _ => Page::NoSuchLink.answer(StatusCode::NOT_FOUND),
        }
    }

    /// As an answer of that status.
    pub(crate) fn answer(self, status: StatusCode) -> HttpResponse {
        self.dress(HttpResponse::new(status))
    }

    /// Gives a response this page as its body, whatever it had before; its status stays.
    pub(super) fn dress(self, response: HttpResponse) -> HttpResponse {
        dress(response, self.title(), &html! {}, &self.body())
    }
}

/// Gives a response a page of that title as its body, whatever it had before; its status stays. `head` may add elements.
pub(crate) fn dress(mut response: HttpResponse, title: &str, head: &Markup, body: &Markup) -> HttpResponse {
    let headers = response.headers_mut();
    let plain = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
    ];
    for (name, value) in plain {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    if let Ok(policy) = header::HeaderValue::from_str(&POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response.set_body(frame(title, head, body).into_string()).map_into_boxed_body()
}

fn frame(title: &str, head: &Markup, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex, nofollow";
                title { (title) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
                (head)
            }
            body { main { (body) } }
        }
    }
}

/// Without an action: it posts to the address of the page, whatever stands before this server.
fn button(text: &str) -> Markup {
    html! { form method="post" { button type="submit" { (text) } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Page {
        fn html(self) -> String {
            frame(self.title(), &html! {}, &self.body()).into_string()
        }
    }

    #[test]
    fn a_page_loads_nothing_and_runs_nothing() {
        for page in [Page::Question, Page::Done, Page::Sample, Page::NoSuchLink, Page::Failed] {
            let html = page.html();
            for outside in
                ["http:", "https:", "<script", "src=", "url(", "@import", " style=", "onclick", "onload", "onerror"]
            {
                assert!(!html.contains(outside), "{page:?} has {outside}");
            }
        }
    }

    #[test]
    fn the_policy_allows_the_style_that_is_in_the_page() {
        let html = Page::Done.html();
        let (_, rest) = html.split_once("<style>").unwrap();
        let (style, _) = rest.split_once("</style>").unwrap();
        assert!(POLICY.contains(&BASE64_STANDARD.encode(Sha256::digest(style))));
    }
}
