//! One caught message: what a reader sees, what the headers say, and the source.

use super::content::{self, Content};
use super::frame::{bytes, missing, page, subject};
use super::mailbox::CaughtMail;

use super::web::{Catching, State, instant, message, rfc3339};
use actix_web::http::header::{CONTENT_SECURITY_POLICY, ContentType};
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};

/// What a message's HTML may do: look like it would in a mail program, and open links in a tab of their own.
/// It runs no script, loads nothing, so no open is counted by looking at it here, and has no origin.
const SANDBOX: &str = "allow-popups allow-popups-to-escape-sandbox";
const HTML_POLICY: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; \
     style-src 'unsafe-inline'; img-src data:; font-src data:; frame-ancestors 'self'";
const GONE: &str = "This message is not here.";

/// `GET /messages/{number}`.
pub(super) async fn show(state: State, request: HttpRequest) -> HttpResponse {
    let Some(mail) = message(&state, &request) else { return missing(GONE) };
    let content = content::read(&mail.source);
    let title = if mail.subject.is_empty() { "no subject" } else { &mail.subject };
    let body = html! {
        (neighbours(&state, &mail))
        article {
            h1 { (subject(&mail)) }
            (particulars(&mail, &content))
            @if mail.is_truncated() {
                p.warning { "Only the first " (bytes(mail.source.len() as u64)) " are kept; the rest was counted and dropped." }
            }
            (parts(&mail, &content))
            (headers(&content))
        }
    };
    page(title, None, &body)
}

/// `GET /messages/{number}/html`: the HTML part alone, for the frame.
pub(super) async fn html_part(state: State, request: HttpRequest) -> HttpResponse {
    let Some(mail) = message(&state, &request) else { return missing(GONE) };
    match content::read(&mail.source).html {
        Some(html) => HttpResponse::Ok()
            .content_type(ContentType::html())
            .insert_header((CONTENT_SECURITY_POLICY, HTML_POLICY))
            .body(with_links_in_tabs(&html)),
        None => missing("This message has no HTML part."),
    }
}

/// `GET /messages/{number}/raw`: the source as it was sent, after unstuffing.
pub(super) async fn raw(state: State, request: HttpRequest) -> HttpResponse {
    match message(&state, &request) {
        Some(mail) => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(mail.source.to_vec()),
        None => missing(GONE),
    }
}

fn neighbours(state: &Catching, mail: &CaughtMail) -> Markup {
    let link = |number: u64, rel: &str, label: &str| {
        let there = state.mailbox.message(number).is_some();
        html! {
            @if there { a.button rel=(rel) href={ "/messages/" (number) } { (label) } }
            @else { span.button aria-disabled="true" { (label) } }
        }
    };
    html! {
        nav.crumbs aria-label="Messages" {
            a href="/" { "← All messages" }
            span.pair { (link(mail.number + 1, "prev", "Newer")) (link(mail.number.saturating_sub(1), "next", "Older")) }
        }
    }
}

fn particulars(mail: &CaughtMail, content: &Content) -> Markup {
    let at = instant(mail);
    html! {
        dl.particulars {
            dt { "From" }
            dd { (content.header("From").unwrap_or(&mail.sender)) }
            dt { "To" }
            dd { (mail.recipients.join(", ")) }
            dt { "Received" }
            dd { time datetime=(rfc3339(at)) { (at.format("%A %-d %B %Y, %H:%M:%S UTC")) } }
            dt { "Bounces to" }
            dd { @if mail.sender.is_empty() { em { "nobody" } } @else { (mail.sender) } }
            @if let Some(id) = &mail.message_id {
                dt { "Message-ID" }
                dd.code { (id) }
            }
            @if let Some(link) = content.unsubscribe_link() {
                dt { "Unsubscribe" }
                dd { a href=(link) target="_blank" rel="noopener noreferrer" { (link) } }
            }
            dt { "Size" }
            dd { (bytes(mail.size)) " · " a href={ "/messages/" (mail.number) "/raw" } { "Source" } }
        }
    }
}

fn parts(mail: &CaughtMail, content: &Content) -> Markup {
    html! {
        div.parts {
            @if content.html.is_some() {
                section aria-labelledby="html" {
                    h2 id="html" { "HTML" }
                    iframe src={ "/messages/" (mail.number) "/html" } sandbox=(SANDBOX) title="The HTML part" loading="lazy" {}
                    p.hint { "Links open in a new tab. Scripts do not run and nothing is loaded from elsewhere." }
                }
            }
            @if let Some(text) = &content.text {
                section aria-labelledby="text" {
                    h2 id="text" { "Text" }
                    pre tabindex="0" aria-labelledby="text" { (text.trim_end()) }
                }
            }
        }
        @if content.html.is_none() && content.text.is_none() { p.hint { "This message has no body to show." } }
        @if !content.attachments.is_empty() {
            section aria-labelledby="attachments" {
                h2 id="attachments" { "Attachments" }
                ul { @for part in &content.attachments { li { (part.name) " · " (bytes(part.size as u64)) } } }
            }
        }
    }
}

fn headers(content: &Content) -> Markup {
    html! {
        section aria-labelledby="headers" {
            h2 id="headers" { "Headers" }
            table.headers {
                thead.visually-hidden { tr { th scope="col" { "Name" } th scope="col" { "Value" } } }
                tbody {
                    @for (name, value) in &content.headers { tr { th scope="row" { (name) } td { (value) } } }
                }
            }
        }
    }
}

/// Makes links open beside the page: within the frame they would replace the message.
fn with_links_in_tabs(html: &str) -> String {
    const BASE: &str = "<base target=\"_blank\">";
    // ASCII only changes case in place, so offsets hold for the original.
    let lower = html.to_ascii_lowercase();
    let after = |tag: &str| {
        let open = lower.find(tag)?;
        let end = lower[open..].find('>')?;
        Some(open + end + 1)
    };
    let at = after("<head>").or_else(|| after("<head ")).or_else(|| after("<!doctype")).unwrap_or(0);
    format!("{}{BASE}{}", &html[..at], &html[at..])
}

#[cfg(test)]
mod tests {
    use super::with_links_in_tabs;

    #[test]
    fn the_base_stands_where_it_counts() {
        let head = with_links_in_tabs("<!DOCTYPE html><html><HEAD lang=en><title>ü</title>");
        assert_eq!(head, "<!DOCTYPE html><html><HEAD lang=en><base target=\"_blank\"><title>ü</title>");
        assert_eq!(with_links_in_tabs("<!doctype html><p>x"), "<!doctype html><base target=\"_blank\"><p>x");
        assert_eq!(with_links_in_tabs("<header>x"), "<base target=\"_blank\"><header>x");
    }
}
