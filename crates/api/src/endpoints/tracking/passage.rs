//! The way on to where a link leads, when following it could not be stored.

use crate::endpoints::unsubscribing::page;
use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use maud::html;

/// Long enough for a database to be back.
const RETRY_AFTER_SECONDS: &str = "5";

/// A page that goes on to `target` by itself. Its status says that nothing was stored: whoever counts answers can tell,
/// and whoever reads gets there.
pub(super) fn passage(target: &str) -> HttpResponse {
    let head = html! { meta http-equiv="refresh" content=(format!("0; url={target}")); };
    let body = html! {
        h1 { "One moment" }
        p { a href=(target) rel="noreferrer" { "Go on" } }
    };
    let mut response = page::dress(HttpResponse::new(StatusCode::SERVICE_UNAVAILABLE), "One moment", &head, &body);
    response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(RETRY_AFTER_SECONDS));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;

    #[actix_web::test]
    async fn the_target_is_text_wherever_it_stands() {
        let page = passage("https://x.test/?a=1&b=\"><script>'").map_into_boxed_body();
        assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
        let html = String::from_utf8(to_bytes(page.into_body()).await.unwrap().to_vec()).unwrap();
        let escaped = "https://x.test/?a=1&amp;b=&quot;&gt;&lt;script&gt;'";
        assert!(html.contains(&format!("content=\"0; url={escaped}\"")), "{html}");
        assert!(html.contains(&format!("href=\"{escaped}\"")), "{html}");
    }
}
