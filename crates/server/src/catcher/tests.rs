//! The catcher as its clients see it: over sockets.

use super::{Catcher, CatcherOptions, MailboxLimits};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A client that says what it is told to, well-formed or not.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    async fn connect(catcher: &Catcher) -> Self {
        let stream = TcpStream::connect(catcher.smtp_addr()).await.unwrap();
        let mut client = Self { stream: BufReader::new(stream) };
        assert!(client.reply().await.starts_with("220 "));
        client
    }

    async fn greeted(catcher: &Catcher) -> Self {
        let mut client = Self::connect(catcher).await;
        assert!(client.says("EHLO test\r\n").await.starts_with("250"));
        client
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).await.unwrap();
    }

    /// One reply, all its lines; empty when the server has closed.
    async fn reply(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let start = reply.len();
            self.stream.read_line(&mut reply).await.unwrap();
            if reply.as_bytes()[start..].get(3) != Some(&b'-') {
                return reply;
            }
        }
    }

    async fn says(&mut self, line: &str) -> String {
        self.send(line).await;
        self.reply().await
    }

    async fn mails(&mut self, to: &str, message: &str) -> String {
        assert!(self.says("MAIL FROM:<news@example.test>\r\n").await.starts_with("250 "));
        assert!(self.says(&format!("RCPT TO:<{to}>\r\n")).await.starts_with("250 "));
        assert!(self.says("DATA\r\n").await.starts_with("354 "));
        self.says(&format!("{message}\r\n.\r\n")).await
    }
}

async fn catcher() -> Catcher {
    crate::crypto::install_provider();
    Catcher::start(CatcherOptions::default()).await.unwrap()
}

fn url(catcher: &Catcher, path: &str) -> String {
    format!("http://{}{path}", catcher.http_addr())
}

async fn get(catcher: &Catcher, path: &str) -> reqwest::Response {
    reqwest::get(url(catcher, path)).await.unwrap()
}

async fn get_json(catcher: &Catcher, path: &str) -> Value {
    get(catcher, path).await.json().await.unwrap()
}

#[tokio::test]
async fn a_mail_is_caught_as_it_was_sent() {
    let catcher = catcher().await;
    let mut client = Client::greeted(&catcher).await;
    let reply = client.mails("ada@example.test", "Subject: Hi\r\nMessage-ID: <1@x>\r\n\r\n..dots\r\nlast").await;
    assert_eq!(reply, "250 2.0.0 Caught as 1\r\n");
    assert!(client.says("QUIT\r\n").await.starts_with("221 "));
    assert_eq!(client.reply().await, "", "the server closes after QUIT");

    let mails = catcher.messages();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].sender, "news@example.test");
    assert_eq!(mails[0].recipients, ["ada@example.test"]);
    assert_eq!(mails[0].source.as_ref(), b"Subject: Hi\r\nMessage-ID: <1@x>\r\n\r\n.dots\r\nlast\r\n");
    catcher.stop().await;
}

#[tokio::test]
async fn a_pipelined_session_in_one_packet_is_answered_in_order() {
    let catcher = catcher().await;
    let mut client = Client::connect(&catcher).await;
    client
        .send(
            "EHLO test\r\nMAIL FROM:<a@example.test>\r\nRCPT TO:<nobody>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n\
             Subject: one\r\n\r\nQUIT\r\n.\r\n\
             MAIL FROM:<>\r\nRCPT TO:<c@example.test>\r\nDATA\r\nSubject: two\r\n\r\n.\r\nQUIT\r\n",
        )
        .await;
    let mut codes = Vec::new();
    loop {
        let reply = client.reply().await;
        if reply.is_empty() {
            break;
        }
        codes.push(reply[..3].to_owned());
    }
    assert_eq!(codes, ["250", "250", "501", "250", "354", "250", "250", "250", "354", "250", "221"]);
    let subjects: Vec<_> = catcher.messages().iter().map(|mail| mail.subject.clone()).collect();
    assert_eq!(subjects, ["two", "one"]);
}

#[tokio::test]
async fn commands_out_of_order_are_refused_and_change_nothing() {
    let catcher = catcher().await;
    let mut client = Client::connect(&catcher).await;
    assert!(client.says("MAIL FROM:<a@example.test>\r\n").await.starts_with("503 "));
    assert!(client.says("EHLO\r\n").await.starts_with("501 "));
    assert!(client.says("HELO test\r\n").await.starts_with("250 "));
    assert!(client.says("RCPT TO:<b@example.test>\r\n").await.starts_with("503 "));
    assert!(client.says("DATA\r\n").await.starts_with("503 "));
    assert!(client.says("MAIL FROM:<a@example.test>\r\n").await.starts_with("250 "));
    assert!(client.says("MAIL FROM:<a@example.test>\r\n").await.starts_with("503 "));
    assert!(client.says("DATA\r\n").await.starts_with("554 "));
    assert!(client.says("RSET\r\n").await.starts_with("250 "));
    assert!(client.says("RCPT TO:<b@example.test>\r\n").await.starts_with("503 "));
    assert!(client.says("BDAT 5\r\n").await.starts_with("502 "));
    assert!(client.says("NONSENSE\r\n").await.starts_with("500 "));
    assert!(client.says(&format!("NOOP {}\r\n", "x".repeat(9000))).await.starts_with("500 "));
    assert!(client.mails("b@example.test", "Subject: still fine").await.starts_with("250 "));
    assert_eq!(catcher.stats().received, 1);
}

#[tokio::test]
async fn a_client_that_is_only_wrong_is_sent_away() {
    let catcher = catcher().await;
    let mut client = Client::connect(&catcher).await;
    for _ in 0..20 {
        assert!(client.says("WHAT\r\n").await.starts_with("500 "));
    }
    assert!(client.reply().await.starts_with("421 "));
    assert_eq!(client.reply().await, "");
}

#[tokio::test]
async fn a_mail_without_its_final_dot_is_not_caught() {
    let catcher = catcher().await;
    let mut client = Client::greeted(&catcher).await;
    client.send("MAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\nSubject: x\r\n\r\nhalf\r\n").await;
    drop(client);
    let mut client = Client::greeted(&catcher).await;
    assert!(client.mails("b@example.test", "Subject: whole").await.starts_with("250 "));
    assert_eq!(catcher.messages().len(), 1);
}

#[tokio::test]
async fn a_mail_that_is_too_big_is_refused_and_the_session_goes_on() {
    let catcher = catcher().await;
    let mut client = Client::greeted(&catcher).await;
    let big = "x".repeat(1024 * 1024 - 2) + "\r\n";
    assert!(client.mails("b@example.test", &big.repeat(33)).await.starts_with("552 "));
    assert!(client.mails("b@example.test", "Subject: small").await.starts_with("250 "));
    assert_eq!(catcher.stats().received, 1);
}

#[tokio::test]
async fn a_long_mail_is_counted_whole_and_kept_in_part() {
    crate::crypto::install_provider();
    let limits = MailboxLimits { bytes_of_one: 1000, ..MailboxLimits::default() };
    let catcher = Catcher::start(CatcherOptions { limits, ..CatcherOptions::default() }).await.unwrap();
    let mut client = Client::greeted(&catcher).await;
    client.mails("b@example.test", &format!("Subject: long\r\n\r\n{}", "word ".repeat(2000))).await;
    let mail = &catcher.messages()[0];
    assert_eq!((mail.source.len(), mail.size, mail.is_truncated()), (1000, 10_019, true));
    assert!(get(&catcher, "/messages/1").await.text().await.unwrap().contains("Only the first 1.0 kB are kept"));
}

#[tokio::test]
async fn stopping_tells_waiting_clients_and_frees_the_ports() {
    let catcher = catcher().await;
    let (smtp, http) = (catcher.smtp_addr(), catcher.http_addr());
    let mut client = Client::greeted(&catcher).await;
    catcher.stop().await;
    assert!(client.reply().await.starts_with("421 "));
    drop(client);
    let options = CatcherOptions { smtp_addr: smtp, http_addr: http, ..CatcherOptions::default() };
    Catcher::start(options).await.unwrap().stop().await;
}

#[tokio::test]
async fn a_dropped_catcher_stops_by_itself() {
    let catcher = catcher().await;
    let ports = [catcher.smtp_addr(), catcher.http_addr()];
    drop(catcher);
    let closed = async {
        for port in ports {
            while TcpStream::connect(port).await.is_ok() {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), closed).await.expect("both ports are closed");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let catcher = catcher().await;
    let options = CatcherOptions { smtp_addr: catcher.smtp_addr(), ..CatcherOptions::default() };
    let error = Catcher::start(options).await.err().unwrap();
    assert!(error.to_string().contains(&catcher.smtp_addr().to_string()), "{error}");
}

#[tokio::test]
async fn hostile_mail_is_shown_as_text() {
    let catcher = catcher().await;
    let mut client = Client::greeted(&catcher).await;
    let mail = "From: \"<script>alert(1)</script>\" <a@example.test>\r\n\
        Subject: <script>alert(1)</script>\"'><img src=x onerror=alert(1)>\r\n\
        List-Unsubscribe: <https://example.test/\"><script>alert(1)</script>>\r\n\
        Content-Type: text/html\r\n\r\n<script>alert(1)</script><a href=\"https://example.test\">x</a>";
    client.mails("b@example.test", mail).await;
    for path in ["/", "/?q=%3Cscript%3Ealert(1)%3C/script%3E", "/?q=%22%3E%3Cscript%3E", "/messages/1"] {
        let response = get(&catcher, path).await;
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"), "{path}: {policy}");
        let page = response.text().await.unwrap();
        assert!(!page.contains("<script") && !page.contains("<img"), "{path}: {page}");
    }
    let html = get(&catcher, "/messages/1/html").await;
    let policy = html.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("sandbox ") && !policy.contains("allow-scripts"), "{policy}");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    let raw = get(&catcher, "/messages/1/raw").await;
    assert_eq!(raw.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(raw.headers()["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn the_json_lists_filters_and_shows() {
    let catcher = catcher().await;
    let mut client = Client::greeted(&catcher).await;
    for n in 1..=3 {
        let mail = format!("Subject: Issue {n}\r\nMessage-ID: <{n}@x>\r\n\r\nHello {n}");
        client.mails(&format!("reader{n}@example.test"), &mail).await;
    }
    client.mails("reader1@example.test", "Subject: Issue 1\r\nMessage-ID: <1@x>\r\n\r\nagain").await;

    let numbers = |list: &Value| -> Vec<u64> {
        list["data"].as_array().unwrap().iter().map(|mail| mail["number"].as_u64().unwrap()).collect()
    };
    assert_eq!(numbers(&get_json(&catcher, "/api/messages").await), [4, 3, 2, 1]);
    assert_eq!(numbers(&get_json(&catcher, "/api/messages?to=READER1").await), [4, 1]);
    assert_eq!(numbers(&get_json(&catcher, "/api/messages?subject=issue%202").await), [2]);
    assert_eq!(numbers(&get_json(&catcher, "/api/messages?messageId=%3C3@x%3E").await), [3]);
    let page = get_json(&catcher, "/api/messages?limit=1&offset=2").await;
    assert_eq!((numbers(&page), &page["total"]), (vec![2], &json!(4)));
    assert_eq!(get_json(&catcher, "/api/stats").await, json!({"received": 4, "stored": 4, "duplicates": 1}));

    let mail = get_json(&catcher, "/api/messages/2").await;
    assert_eq!(mail["recipients"], json!(["reader2@example.test"]));
    assert_eq!(mail["messageId"], "2@x");
    assert_eq!(mail["text"], "Hello 2\r\n");
    assert_eq!(mail["html"], Value::Null);
    assert_eq!(mail["headers"][0], json!({"name": "Subject", "value": "Issue 2"}));

    for (path, status) in [
        ("/api/messages/99", 404),
        ("/api/messages/x", 404),
        ("/api/nothing", 404),
        ("/api/messages?limit=0", 400),
        ("/api/messages?limit=many", 400),
        ("/api/messages?colour=red", 400),
    ] {
        let response = get(&catcher, path).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
    }
    assert_eq!(get(&catcher, "/messages/99").await.status().as_u16(), 404);
}

#[tokio::test]
async fn the_mailbox_can_be_emptied_but_not_by_another_site() {
    let catcher = catcher().await;
    let mut client = Client::greeted(&catcher).await;
    client.mails("b@example.test", "Subject: x").await;
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for request in [http.delete(url(&catcher, "/api/messages")), http.post(url(&catcher, "/clear"))] {
        let response = request.header("Sec-Fetch-Site", "cross-site").send().await.unwrap();
        assert_eq!(response.status().as_u16(), 403);
    }
    assert_eq!(catcher.stats().stored, 1);
    let cleared = http.post(url(&catcher, "/clear")).header("Sec-Fetch-Site", "same-origin").send().await.unwrap();
    assert_eq!((cleared.status().as_u16(), cleared.headers()["location"].to_str().unwrap()), (303, "/"));
    assert_eq!(catcher.stats().received, 0);
    client.mails("b@example.test", "Subject: x").await;
    assert_eq!(http.delete(url(&catcher, "/api/messages")).send().await.unwrap().status().as_u16(), 204);
    assert!(catcher.messages().is_empty());
}

#[tokio::test]
async fn the_page_searches_pages_and_refreshes() {
    let catcher = catcher().await;
    assert!(get(&catcher, "/").await.text().await.unwrap().contains("No mail yet"));
    let mut client = Client::greeted(&catcher).await;
    for n in 1..=51 {
        client.mails(&format!("reader{n}@example.test"), &format!("Subject: Issue {n}")).await;
    }
    let page = get(&catcher, "/").await.text().await.unwrap();
    assert!(page.contains("Issue 51") && !page.contains("Issue 1<"), "newest first, fifty a page");
    assert!(page.contains("1–50 of 51") && page.contains("href=\"/?page=2\""));
    assert!(!page.contains("http-equiv"));
    let page = get(&catcher, "/?page=2&refresh=on").await.text().await.unwrap();
    assert!(page.contains("Issue 1<") && page.contains("51–51 of 51") && page.contains("http-equiv=\"refresh\""));
    let page = get(&catcher, "/?q=reader33%40").await.text().await.unwrap();
    assert!(page.contains("Issue 33") && page.contains("1–1 of 1"));
    assert!(get(&catcher, "/?q=nobody").await.text().await.unwrap().contains("No message matches"));
    assert!(get(&catcher, "/?page=99999999999999999999").await.text().await.unwrap().contains("Issue 51"));
    assert!(get(&catcher, "/?page=9").await.text().await.unwrap().contains("This page is empty"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_sessions_at_once_lose_nothing() {
    let catcher = catcher().await;
    let addr = catcher.smtp_addr();
    let clients: Vec<_> = (0..64)
        .map(|client| {
            tokio::spawn(async move {
                let stream = TcpStream::connect(addr).await.unwrap();
                let mut client_side = Client { stream: BufReader::new(stream) };
                client_side.reply().await;
                client_side.says("EHLO test\r\n").await;
                for n in 0..20 {
                    let mail = format!("Subject: {client}\r\nMessage-ID: <{client}.{n}@x>");
                    assert!(client_side.mails("b@example.test", &mail).await.starts_with("250 "));
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let stats = catcher.stats();
    assert_eq!((stats.received, stats.stored, stats.duplicates), (1280, 1280, 0));
}
