//! The head of a request: read strictly where it says how long the request is and whom it is for, because
//! whoever is before the gateway may read it differently.

use crate::framing::{Chunk, Framing, Malformed, decimal};
use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use httparse::{ParserConfig, Status};
use memchr::memmem;
use std::mem::MaybeUninit;
use tollbridge_filters::headers::field;

/// What `limits.head_bytes` and `limits.head_fields` can be at most, and some more: what is within is refused
/// in words.
pub(super) const BYTES_MAX: usize = 1024 * 1024 + 16 * 1024;
const FIELDS_MAX: usize = 1024;

/// A request before its body.
pub(super) struct Head {
    pub(super) parts: Parts,
    pub(super) body: Framing,
    /// Whether another request may follow, as far as the client is concerned.
    pub(super) keeps: bool,
}

/// Why a head is not served.
#[derive(Debug)]
pub(super) enum Bad {
    TooLarge,
    Malformed(Malformed),
}

impl From<Malformed> for Bad {
    fn from(malformed: Malformed) -> Bad {
        Bad::Malformed(malformed)
    }
}

const NONE: Bad = Bad::Malformed(Malformed("it is no head of HTTP/1.1"));

impl Head {
    /// Takes a head out of what has come; `None` where it is not whole yet.
    pub(super) fn take(input: &mut BytesMut) -> Result<Option<Head>, Bad> {
        let mut places = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut parsed = httparse::Request::new(&mut []);
        let read = ParserConfig::default().parse_request_with_uninit_headers(&mut parsed, input, &mut places);
        let end = match read {
            Ok(Status::Complete(end)) => end,
            Ok(Status::Partial) if input.len() <= BYTES_MAX => return Ok(None),
            Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => return Err(Bad::TooLarge),
            Err(_) => return Err(NONE),
        };
        // It lives as long as a stream may; the buffer behind it must not.
        let bytes = Bytes::copy_from_slice(input.get(..end).unwrap_or_default());
        let start = input.as_ptr().addr();
        let slice = |part: &[u8]| {
            let at = part.as_ptr().addr() - start;
            bytes.slice(at..at + part.len())
        };
        let target = parsed.path.unwrap_or_default().as_bytes();
        let mut parts = Request::new(()).into_parts().0;
        parts.method = Method::from_bytes(parsed.method.unwrap_or_default().as_bytes()).map_err(|_| NONE)?;
        parts.version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
        parts.uri = Uri::from_maybe_shared(slice(target)).map_err(|_| NONE)?;
        parts.headers = HeaderMap::with_capacity(parsed.headers.len());
        for one in parsed.headers.iter() {
            let value = HeaderValue::from_maybe_shared(slice(one.value)).map_err(|_| NONE)?;
            parts.headers.append(name(one.name.as_bytes()).ok_or(NONE)?, value);
        }
        input.advance(end);
        Head::of(parts).map(Some)
    }

    fn of(mut parts: Parts) -> Result<Head, Bad> {
        check_authority(&parts)?;
        let (body, is_sure) = framing(&parts)?;
        if !is_sure {
            parts.headers.remove(CONTENT_LENGTH);
        }
        let keeps = is_sure && keeps(&parts);
        Ok(Head { parts, body, keeps })
    }
}

/// Whether the end of a head may be among what has come since so many bytes were there.
pub(super) fn may_end(input: &[u8], seen: usize) -> bool {
    let new = input.get(seen.saturating_sub(3)..).unwrap_or(input);
    seen == 0 || memmem::find(new, b"\n\r\n").is_some() || memmem::find(new, b"\n\n").is_some()
}

/// The fields that every MCP request has are not copied.
fn name(bytes: &[u8]) -> Option<HeaderName> {
    let known = [&field::PROTOCOL_VERSION, &field::METHOD, &field::NAME, &field::SESSION_ID];
    let is_mcp = bytes.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"mcp-"));
    let same = |known: &&HeaderName| known.as_str().as_bytes().eq_ignore_ascii_case(bytes);
    match known.into_iter().filter(|_| is_mcp).find(same) {
        Some(known) => Some(known.clone()),
        None => HeaderName::from_bytes(bytes).ok(),
    }
}

/// One authority, without a user in it, wherever it stands (RFC 9112, 3.2).
fn check_authority(parts: &Parts) -> Result<(), Malformed> {
    let mut hosts = parts.headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
    let (host, another) = (hosts.next(), hosts.next());
    let target = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    if another.is_some() || host.zip(target).is_some_and(|(host, target)| host != target) {
        return Err(Malformed("it names two hosts"));
    }
    if host.or(target).is_some_and(|authority| authority.contains(&b'@')) {
        return Err(Malformed("its host has a user"));
    }
    Ok(())
}

/// How the body ends, and whether that can be read in one way only. Chunks win over a length, and then the
/// connection ends (RFC 9112, 6.1).
fn framing(parts: &Parts) -> Result<(Framing, bool), Malformed> {
    let mut codings = parts.headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok((Framing::Sized(length(&parts.headers)?), true));
    };
    if parts.version < Version::HTTP_11 {
        return Err(Malformed("HTTP/1.0 has no transfer codings"));
    }
    if codings.next().is_some() || !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
        return Err(Malformed("its transfer coding is not chunked"));
    }
    Ok((Framing::Chunked(Chunk::Size), !parts.headers.contains_key(CONTENT_LENGTH)))
}

/// The same length may be said more than once (RFC 9110, 8.6).
fn length(headers: &HeaderMap) -> Result<u64, Malformed> {
    let values = headers.get_all(CONTENT_LENGTH).iter();
    let mut lengths = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let Some(first) = lengths.next() else { return Ok(0) };
    let first = decimal(first.trim_ascii())?;
    for other in lengths {
        if decimal(other.trim_ascii())? != first {
            return Err(Malformed("it has two lengths"));
        }
    }
    Ok(first)
}

/// RFC 9112, 9.3.
fn keeps(parts: &Parts) -> bool {
    let values = parts.headers.get_all(CONNECTION);
    let options = || values.iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let says = |option: &[u8]| options().any(|one| one.trim_ascii().eq_ignore_ascii_case(option));
    !says(b"close") && (parts.version > Version::HTTP_10 || says(b"keep-alive"))
}
