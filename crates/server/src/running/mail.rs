//! Where mail goes in `up` and `demo`: to the server that is named, else into the catcher.

use crate::catcher::{Catcher, CatcherOptions};
use anyhow::Context;
use muster_adapters::smtp::SmtpConfig;
use secrecy::SecretString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Where mail goes.
pub enum Mail {
    /// To a mail server; it really goes out.
    Out(SmtpConfig),
    /// Into the catcher.
    Caught(Catcher),
}

impl Mail {
    /// The server that is named, else a catcher on these ports of the loopback, or on free ones where they are taken.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn choose(named: Option<SmtpConfig>, smtp_port: u16, page_port: u16) -> anyhow::Result<Self> {
        if let Some(config) = named {
            return Ok(Self::Out(config));
        }
        let options = CatcherOptions {
            smtp_addr: free_or_any(smtp_port),
            http_addr: free_or_any(page_port),
            ..CatcherOptions::default()
        };
        Ok(Self::Caught(Catcher::start(options).await?))
    }

    /// How to reach the server that takes the mail.
    ///
    /// # Errors
    /// Never for a catcher that runs.
    pub fn config(&self) -> anyhow::Result<SmtpConfig> {
        match self {
            Self::Out(config) => Ok(config.clone()),
            Self::Caught(catcher) => {
                let url = SecretString::from(format!("smtp://{}", catcher.smtp_addr()));
                SmtpConfig::parse(&url).context("the mail catcher's address")
            }
        }
    }

    /// The catcher, if mail is caught.
    pub fn catcher(&self) -> Option<&Catcher> {
        match self {
            Self::Out(_) => None,
            Self::Caught(catcher) => Some(catcher),
        }
    }

    /// Stops the catcher, if there is one.
    pub async fn stop(self) {
        if let Self::Caught(catcher) = self {
            catcher.stop().await;
        }
    }
}

fn free_or_any(port: u16) -> SocketAddr {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    // Free now, and in a moment when it is really taken: who comes between is told so.
    if TcpListener::bind(wanted).is_ok() { wanted } else { SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) }
}
