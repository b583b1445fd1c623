//! A mail catcher: an SMTP server that accepts everything and delivers nothing, with a page that shows what arrived.
//!
//! `muster up` and `muster demo` send to it, so that a whole campaign can be watched without a mailbox and without
//! risk that somebody gets mail. It never opens a connection of its own.

mod content;
mod envelope;
mod frame;
mod json;
mod mailbox;
mod message_page;
mod page;
mod receive;
mod smtp_server;
mod smtp_session;
mod web;

pub use mailbox::{CaughtMail, Found, Mailbox, MailboxLimits, MailboxStats, Search};

use crate::listening;
use anyhow::Context;
use smtp_server::SmtpServer;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Where the catcher listens, and how much it keeps.
#[derive(Debug, Clone, Copy)]
pub struct CatcherOptions {
    /// Where mail is accepted; port 0 picks a free one.
    pub smtp_addr: SocketAddr,
    /// Where the page and its JSON are served; port 0 picks a free one.
    pub http_addr: SocketAddr,
    /// What the mailbox keeps.
    pub limits: MailboxLimits,
}

impl Default for CatcherOptions {
    /// Free ports of the loopback interface, usual limits.
    fn default() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { smtp_addr: any, http_addr: any, limits: MailboxLimits::default() }
    }
}

/// A running catcher. Dropping it stops it without waiting; [`Catcher::stop`] stops it and waits.
pub struct Catcher {
    smtp_addr: SocketAddr,
    http_addr: SocketAddr,
    mailbox: Arc<Mailbox>,
    sessions: TaskTracker,
    web: actix_web::dev::ServerHandle,
    _guard: DropGuard,
    stop: CancellationToken,
}

impl Catcher {
    /// Listens on both addresses and serves until stopped. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When one of the addresses cannot be listened on; the error names it.
    pub async fn start(options: CatcherOptions) -> anyhow::Result<Self> {
        let mailbox = Arc::new(Mailbox::new(options.limits));
        let stop = CancellationToken::new();
        let sessions = TaskTracker::new();

        let smtp = tokio::net::TcpListener::bind(options.smtp_addr)
            .await
            .with_context(|| format!("the mail catcher cannot accept mail on {}", options.smtp_addr))?;
        let smtp_addr = smtp.local_addr()?;
        let http = listening::bind(options.http_addr)
            .with_context(|| format!("the mail catcher cannot serve its page on {}", options.http_addr))?;
        let http_addr = http.local_addr()?;

        let server = web::serve(http, Arc::clone(&mailbox), smtp_addr)?;
        let web = server.handle();
        // The server ends through its handle; what it could report then is of no use to anybody.
        drop(tokio::spawn(server));
        SmtpServer::new(Arc::clone(&mailbox), stop.clone(), sessions.clone()).spawn(smtp);

        let (stopped, page) = (stop.clone(), web.clone());
        drop(tokio::spawn(async move {
            stopped.cancelled().await;
            page.stop(false).await;
        }));
        let guard = stop.clone().drop_guard();
        Ok(Self { smtp_addr, http_addr, mailbox, sessions, web, _guard: guard, stop })
    }

    /// Where mail is accepted.
    pub const fn smtp_addr(&self) -> SocketAddr {
        self.smtp_addr
    }

    /// Where the page is served.
    pub const fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// What was counted so far.
    pub fn stats(&self) -> MailboxStats {
        self.mailbox.stats()
    }

    /// Everything still kept, newest first.
    pub fn messages(&self) -> Vec<Arc<CaughtMail>> {
        self.mailbox.messages()
    }

    /// The mailbox itself.
    pub const fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// Takes no more mail, lets sessions end what they are at (at most two seconds), closes the page.
    pub async fn stop(self) {
        self.stop.cancel();
        self.sessions.close();
        self.sessions.wait().await;
        self.web.stop(false).await;
    }
}

#[cfg(test)]
mod tests;
