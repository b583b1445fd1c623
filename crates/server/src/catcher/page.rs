//! The list of caught messages. All of it works without script, with a keyboard, and on a narrow screen.

use super::frame::{bytes, grouped, missing, page, subject};
use super::mailbox::{CaughtMail, MailboxStats, Search};
use super::web::{Catching, State, from_elsewhere, instant, rfc3339};
use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use maud::{Markup, html};
use serde::Deserialize;
use url::form_urlencoded;

/// Messages on a page.
const PER_PAGE: usize = 50;
/// Seconds between refreshes.
const REFRESH_EVERY: u32 = 3;
const STYLE: &str = include_str!("style.css");

/// What the address says about the list. Anything unreadable means the usual.
#[derive(Deserialize, Default, Clone)]
pub(super) struct ListState {
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: String,
    #[serde(default)]
    refresh: String,
}

impl ListState {
    fn page(&self) -> usize {
        self.page.parse().unwrap_or(1).max(1)
    }

    fn refreshes(&self) -> bool {
        self.refresh == "on"
    }

    fn search_text(&self) -> Option<String> {
        Some(self.q.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// The address of this list on another page, with refreshing on or off.
    fn href(&self, page: usize, refresh: bool) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(text) = self.search_text() {
            query.append_pair("q", &text);
        }
        if page > 1 {
            query.append_pair("page", &page.to_string());
        }
        if refresh {
            query.append_pair("refresh", "on");
        }
        let query = query.finish();
        if query.is_empty() { "/".to_owned() } else { format!("/?{query}") }
    }
}

/// `GET /`.
pub(super) async fn list(state: State, query: Option<web::Query<ListState>>) -> HttpResponse {
    let list = query.map(web::Query::into_inner).unwrap_or_default();
    let offset = (list.page() - 1).saturating_mul(PER_PAGE);
    let found =
        state.mailbox.search(&Search { either: list.search_text(), offset, limit: PER_PAGE, ..Search::default() });
    let stats = state.mailbox.stats();
    let refresh = list.refreshes().then_some(REFRESH_EVERY);
    let body = html! {
        (counts(stats))
        (toolbar(&list, stats))
        @if found.mails.is_empty() {
            (nothing(&state, &list, stats))
        } @else {
            (table(&found.mails))
            (paging(&list, offset, found.mails.len(), found.total))
        }
    };
    page("Caught mail", refresh, &body)
}

/// `POST /clear`.
pub(super) async fn clear(state: State, request: HttpRequest) -> HttpResponse {
    if let Some(refusal) = from_elsewhere(&request) {
        return refusal;
    }
    state.mailbox.clear();
    HttpResponse::SeeOther().insert_header((LOCATION, "/")).finish()
}

/// `GET /style.css`.
pub(super) async fn style() -> HttpResponse {
    HttpResponse::Ok().content_type("text/css; charset=utf-8").insert_header((CACHE_CONTROL, "max-age=60")).body(STYLE)
}

/// Any other address.
pub(super) async fn not_found() -> HttpResponse {
    missing("Nothing is at this address.")
}

fn counts(stats: MailboxStats) -> Markup {
    html! {
        h1.visually-hidden { "Caught mail" }
        dl.counts {
            div { dt { "Received" } dd { (grouped(stats.received)) } }
            div { dt { "Kept" } dd { (grouped(stats.stored)) } }
            div.alarm[stats.duplicates > 0] {
                dt { "Duplicates" }
                dd title="Messages whose Message-ID had been accepted before" { (grouped(stats.duplicates)) }
            }
        }
    }
}

fn toolbar(list: &ListState, stats: MailboxStats) -> Markup {
    let on = list.refreshes();
    html! {
        div.toolbar {
            form role="search" action="/" method="get" {
                label.visually-hidden for="q" { "Search by recipient or subject" }
                input type="search" id="q" name="q" value=(list.q) placeholder="Search by recipient or subject"
                    autocomplete="off" spellcheck="false";
                @if on { input type="hidden" name="refresh" value="on"; }
                button type="submit" { "Search" }
            }
            form action="/" method="get" {
                @if let Some(text) = list.search_text() { input type="hidden" name="q" value=(text); }
                @if list.page() > 1 { input type="hidden" name="page" value=(list.page()); }
                button.toggle type="submit" name="refresh" value=(if on { "off" } else { "on" })
                    aria-pressed=(if on { "true" } else { "false" }) {
                    span.dot aria-hidden="true" {}
                    "Auto-refresh"
                }
            }
            @if stats.received > 0 {
                details.confirm {
                    summary.button { "Empty" }
                    form action="/clear" method="post" {
                        p { "Forget all messages and start the counts again?" }
                        button.danger type="submit" { "Empty the mailbox" }
                    }
                }
            }
        }
    }
}

fn table(mails: &[std::sync::Arc<CaughtMail>]) -> Markup {
    html! {
        table.mails {
            caption.visually-hidden { "Messages, newest first" }
            thead {
                tr {
                    th scope="col" { "To" }
                    th scope="col" { "Subject" }
                    th.number scope="col" { "Size" }
                    th.number scope="col" { "Received (UTC)" }
                }
            }
            tbody {
                @for mail in mails {
                    tr {
                        td.to { (recipients(mail)) }
                        th.subject scope="row" { a href={ "/messages/" (mail.number) } { (subject(mail)) } }
                        td.number.size { (bytes(mail.size)) }
                        td.number.at {
                            time datetime=(rfc3339(instant(mail))) { (instant(mail).format("%Y-%m-%d %H:%M:%S")) }
                        }
                    }
                }
            }
        }
    }
}

fn recipients(mail: &CaughtMail) -> Markup {
    let more = mail.recipients.len().saturating_sub(1);
    html! {
        (mail.recipients.first().map_or("", String::as_str))
        @if more > 0 { " " span.more { "+" (more) } }
    }
}

fn paging(list: &ListState, offset: usize, shown: usize, total: usize) -> Markup {
    let (page, on) = (list.page(), list.refreshes());
    html! {
        nav.paging aria-label="Pages" {
            @if page > 1 { a.button rel="prev" href=(list.href(page - 1, on)) { "← Newer" } } @else { span {} }
            span { (grouped(offset as u64 + 1)) "–" (grouped((offset + shown) as u64)) " of " (grouped(total as u64)) }
            @if offset + shown < total { a.button rel="next" href=(list.href(page + 1, on)) { "Older →" } } @else { span {} }
        }
    }
}

fn nothing(state: &Catching, list: &ListState, stats: MailboxStats) -> Markup {
    html! {
        section.empty {
            @if stats.stored == 0 {
                h2 { "No mail yet" }
                p { "Whatever is sent to this address is shown here and goes nowhere else:" }
                p { code { "MUSTER_SMTP_URL=smtp://" (state.smtp_addr) } }
            } @else if list.search_text().is_some() {
                h2 { "No message matches" }
                p { "No recipient and no subject contains “" (list.q.trim()) "”." }
                p { a.button href="/" { "All messages" } }
            } @else {
                h2 { "This page is empty" }
                p { a.button href="/" { "Newest messages" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ListState;

    #[test]
    fn links_keep_the_search_and_the_refresh() {
        let list = ListState { q: "a&b=ü".to_owned(), page: "x".to_owned(), refresh: "on".to_owned() };
        assert_eq!(list.page(), 1);
        assert_eq!(list.href(2, true), "/?q=a%26b%3D%C3%BC&page=2&refresh=on");
        assert_eq!(ListState::default().href(1, false), "/");
    }
}
