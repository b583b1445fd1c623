//! The REST API as a client sees it.

use anyhow::{Context, bail};
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// No answer of the API takes longer, but for an import.
const PATIENCE: Duration = Duration::from_mins(2);

/// Somebody with a key.
pub(super) struct Client {
    base: String,
    key: SecretString,
    http: reqwest::Client,
}

/// One page of a list.
#[derive(Deserialize)]
struct Page<T> {
    data: Vec<T>,
    pagination: Pagination,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pagination {
    next_cursor: Option<String>,
}

impl Client {
    /// A client of the API at `base`.
    pub(super) fn new(base: &str, key: SecretString) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { base: base.to_owned(), key, http })
    }

    /// What is at that path below `/api`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.send(Method::GET, path, |request| request.timeout(PATIENCE)).await
    }

    /// Makes something.
    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> anyhow::Result<T> {
        self.send(Method::POST, path, |request| request.timeout(PATIENCE).json(body)).await
    }

    /// Replaces something.
    pub(super) async fn put<T: DeserializeOwned>(&self, path: &str, body: &Value) -> anyhow::Result<T> {
        self.send(Method::PUT, path, |request| request.timeout(PATIENCE).json(body)).await
    }

    /// Does something that needs no body.
    pub(super) async fn act<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.send(Method::POST, path, |request| request.timeout(PATIENCE)).await
    }

    /// Sends a body of that media type, however long it takes.
    pub(super) async fn stream<T: DeserializeOwned>(
        &self,
        path: &str,
        media_type: &str,
        body: reqwest::Body,
    ) -> anyhow::Result<T> {
        self.send(Method::POST, path, |request| request.header("Content-Type", media_type).body(body)).await
    }

    /// A whole list, page by page.
    pub(super) async fn list<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Vec<T>> {
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let request = |request: RequestBuilder| {
                let cursor: Option<String> = next.take();
                request
                    .timeout(PATIENCE)
                    .query(&[("limit", "100")])
                    .query(&cursor.map(|cursor| ("cursor", cursor)).as_slice())
            };
            let page: Page<T> = self.send(Method::GET, path, request).await?;
            all.extend(page.data);
            next = page.pagination.next_cursor;
            if next.is_none() {
                return Ok(all);
            }
        }
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> anyhow::Result<T> {
        let request = self.http.request(method.clone(), format!("{}/api{path}", self.base));
        let sent = fill(request).bearer_auth(self.key.expose_secret()).send().await;
        let answer = sent.with_context(|| format!("{method} {path} was not answered"))?;
        let status = answer.status();
        let body = answer.bytes().await.with_context(|| format!("the answer to {method} {path} broke off"))?;
        if !status.is_success() {
            bail!("{method} {path} was refused: {status} {}", String::from_utf8_lossy(&body));
        }
        serde_json::from_slice(&body).with_context(|| format!("the answer to {method} {path} is not what it should be"))
    }
}
