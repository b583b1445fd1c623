//! What every page of the catcher has around it, and how figures are written on them.

use super::mailbox::CaughtMail;
use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use maud::{DOCTYPE, Markup, html};

/// The frame of every page.
pub(super) fn page(title: &str, refresh: Option<u32>, body: &Markup) -> HttpResponse {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                @if let Some(seconds) = refresh { meta http-equiv="refresh" content=(seconds); }
                title { (title) " · Muster" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/style.css";
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header.bar {
                    a.brand href="/" {
                        (mark())
                        span { b { "Muster" } " mail catcher" }
                    }
                    span.note { "Nothing leaves this machine" }
                }
                main id="content" { (body) }
            }
        }
    };
    HttpResponse::Ok().content_type(ContentType::html()).body(markup.into_string())
}

/// The sign of the project: an envelope.
fn mark() -> Markup {
    html! {
        svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false" {
            rect width="32" height="32" rx="8" fill="currentColor" {}
            path d="M7 11.5h18v11H7z M7 11.5l9 7 9-7" fill="none" stroke="white" stroke-width="2" stroke-linejoin="round" {}
        }
    }
}

/// A page that says what is not there.
pub(super) fn missing(what: &str) -> HttpResponse {
    let body = html! {
        section.empty {
            h1 { (what) }
            p { "Messages make room for newer ones and go when the mailbox is emptied or the catcher stops." }
            p { a.button href="/" { "All messages" } }
        }
    };
    let mut response = page("Not found", None, &body);
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

/// The subject, or what stands in for an empty one.
pub(super) fn subject(mail: &CaughtMail) -> Markup {
    html! { @if mail.subject.is_empty() { em { "no subject" } } @else { (mail.subject) } }
}

/// A count with its thousands apart.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A size for people: bytes, kB, MB by thousands.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(super) fn bytes(size: u64) -> String {
    match size {
        0..1_000 => format!("{size} B"),
        1_000..1_000_000 => format!("{:.1} kB", size as f64 / 1e3),
        _ => format!("{:.1} MB", size as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, grouped};

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([12, 1_250, 2_400_000].map(bytes), ["12 B", "1.2 kB", "2.4 MB"]);
    }
}
