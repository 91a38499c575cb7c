//! Reading a request's body: after authentication, within its limit, its time and the budget that
//! all bodies share.

use super::caller::Caller;
use crate::conf::Limits;
use crate::limits::Share;
use bytes::{Bytes, BytesMut};
use http::Version;
use http::header::EXPECT;
use pingora::prelude::fast_timeout::fast_timeout;
use pingora::{ErrorType, Result};
use tollbridge_filters::rejection::Rejection;

/// The body, or why there is none. `Err` is a connection that broke.
pub(super) async fn read(
    caller: &mut Caller<'_>,
    limits: &Limits,
    share: &mut Share,
) -> Result<std::result::Result<Bytes, Rejection>> {
    let too_large = Rejection::BodyTooLarge { bytes_max: limits.body_bytes };
    if caller.declared().is_some_and(|bytes| bytes > limits.body_bytes as u64) {
        return Ok(Err(too_large));
    }
    // RFC 9110, 10.1.1: a client of HTTP/1.0 does not know interim answers.
    let knows_interim = caller.head().version > Version::HTTP_10;
    let expects = caller.head().headers.get(EXPECT);
    if knows_interim && expects.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        caller.go_on().await?;
    }
    let collected = collect(caller, limits.body_bytes, share);
    match fast_timeout(limits.body_timeout, collected).await {
        // Nothing can be read behind it; it can be answered all the same.
        Ok(Err(error)) if *error.etype() == ErrorType::InvalidHTTPHeader => Ok(Err(Rejection::BodyMalformed)),
        Ok(collected) => collected,
        Err(_) => Ok(Err(Rejection::BodyTooSlow)),
    }
}

async fn collect(
    caller: &mut Caller<'_>,
    bytes_max: usize,
    share: &mut Share,
) -> Result<std::result::Result<Bytes, Rejection>> {
    let Some(first) = caller.read().await? else {
        return Ok(Ok(Bytes::new()));
    };
    if !share.grow(first.len()) {
        return Ok(Err(Rejection::Overloaded));
    }
    // Most messages are one read; they are not copied.
    if !caller.has_body() && first.len() <= bytes_max {
        return Ok(Ok(first));
    }
    if first.len() > bytes_max {
        return Ok(Err(Rejection::BodyTooLarge { bytes_max }));
    }
    let mut body = BytesMut::from(first.as_ref());
    while let Some(chunk) = caller.read().await? {
        if body.len() + chunk.len() > bytes_max {
            return Ok(Err(Rejection::BodyTooLarge { bytes_max }));
        }
        if !share.grow(chunk.len()) {
            return Ok(Err(Rejection::Overloaded));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Ok(body.freeze()))
}
