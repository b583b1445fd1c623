//! JSON bodies.

use super::fields::{FromFields, read_object};
use super::json;
use super::repeat::Repeat;
use crate::limits::{BODY_BYTES, BODY_TIME};
use crate::problem::Problem;
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures::future::LocalBoxFuture;
use futures::{Stream, StreamExt};
use muster_domain::model::problem::FieldProblems;
use std::ops::Deref;
use std::time::Duration;

/// A JSON body read as `T`, with every bad field named when it is not one.
///
/// Also knows whether the request may be a repeated one: hand [`Body::repeat`] to `write`.
pub struct Body<T> {
    /// What the body says.
    pub value: T,
    /// The `Idempotency-Key` and what it stands for.
    pub repeat: Repeat,
}

impl<T> Deref for Body<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: FromFields + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let payload = payload.take();
        Box::pin(async move {
            let bytes = read_body(&request, payload, BODY_BYTES).await?;
            let value = if bytes.is_empty() && T::MAY_BE_EMPTY {
                read_object(serde_json::Value::Object(serde_json::Map::new()), FieldProblems::default(), false)
            } else {
                if !bytes.is_empty() {
                    require_media_type(&request, &["application/json", "application/merge-patch+json"])?;
                }
                let (value, problems) = json::parse(&bytes)?;
                read_object(value, problems, false)
            }?;
            Ok(Self { value, repeat: Repeat::of(&request, &bytes)? })
        })
    }
}

/// Refuses bodies of another kind, and compressed ones: nothing here inflates them.
pub(crate) fn require_media_type(request: &HttpRequest, accepted: &[&'static str]) -> Result<(), Problem> {
    let refused = Problem::UnsupportedMediaType { expected: accepted.first().copied().unwrap_or("nothing") };
    let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    if text(header::CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(refused);
    }
    let mut parts = text(header::CONTENT_TYPE).unwrap_or_default().split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let utf8 = parts.all(|parameter| match parameter.to_ascii_lowercase().strip_prefix("charset=") {
        Some(charset) => matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"),
        None => true,
    });
    if accepted.contains(&media_type.as_str()) && utf8 { Ok(()) } else { Err(refused) }
}

/// The whole body, when it is not larger than `limit` bytes and arrives in time.
pub(crate) async fn read_body(request: &HttpRequest, payload: Payload, limit: usize) -> Result<Bytes, Problem> {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > limit) {
        return Err(Problem::PayloadTooLarge { limit });
    }
    within(BODY_TIME, collect(payload, limit)).await
}

async fn within<T>(time: Duration, body: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    tokio::time::timeout(time, body).await.map_err(|_| Problem::RequestTimeout)?
}

async fn collect(
    mut payload: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin,
    limit: usize,
) -> Result<Bytes, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::MalformedJson("the body did not arrive whole".to_owned()))?;
        if body.len() + chunk.len() > limit {
            return Err(Problem::PayloadTooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;

    #[tokio::test]
    async fn a_body_that_never_ends_arriving_is_given_up() {
        let stuck = stream::pending::<Result<Bytes, PayloadError>>();
        let outcome = within(Duration::from_millis(1), collect(stuck, 10)).await;
        assert!(matches!(outcome, Err(Problem::RequestTimeout)));
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_its_limit_and_no_further() {
        let chunks = |sizes: [usize; 2]| stream::iter(sizes.map(|size| Ok(Bytes::from(vec![b'x'; size]))));
        assert_eq!(collect(chunks([4, 6]), 10).await.unwrap().len(), 10);
        assert!(matches!(collect(chunks([4, 7]), 10).await, Err(Problem::PayloadTooLarge { limit: 10 })));
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_not_taken_for_a_whole_one() {
        let broken = stream::iter([Ok(Bytes::from_static(b"{}")), Err(PayloadError::Incomplete(None))]);
        assert!(matches!(collect(broken, 10).await, Err(Problem::MalformedJson(_))));
    }
}
