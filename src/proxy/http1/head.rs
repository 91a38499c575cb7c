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
use std::ops::Range;
use std::sync::Arc;
use tollbridge_filters::headers::field;

/// What `limits.head_bytes` and `limits.head_fields` can be at most, and some more: what is within is refused
/// in words.
pub(super) const BYTES_MAX: usize = 1024 * 1024 + 16 * 1024;
const FIELDS_MAX: usize = 1024;

/// How long a head may be that is known again.
const KNOWN_BYTES_MAX: usize = 4 * 1024;

/// A request before its body.
pub(super) struct Head {
    pub(super) read: Arc<Reading>,
    pub(super) body: Framing,
}

/// What a head says, but for the length of the body. Clients of MCP send the same one with each call of a
/// connection: whoever has read it once need not read it again.
pub(super) struct Reading {
    /// As it was read: `Content-Length` counts among its fields, and is that of the first time.
    pub(super) parts: Parts,
    /// Whether another request may follow, as far as the client is concerned.
    pub(super) keeps: bool,
    /// As it came; empty where it is not to be known again.
    text: Bytes,
    /// Where in it the length stands.
    digits: Option<Range<usize>>,
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
    pub(super) fn take(input: &mut BytesMut, last: Option<&Arc<Reading>>) -> Result<Option<Head>, Bad> {
        if let Some((last, (end, length))) = last.and_then(|last| Some((last, last.again(input)?))) {
            input.advance(end);
            return Ok(Some(Head { read: Arc::clone(last), body: Framing::Sized(length) }));
        }
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
        let text = Bytes::copy_from_slice(input.get(..end).unwrap_or_default());
        let start = input.as_ptr().addr();
        let place = |part: &[u8]| {
            let at = part.as_ptr().addr() - start;
            at..at + part.len()
        };
        let slice = |part: &[u8]| text.slice(place(part));
        let target = parsed.path.unwrap_or_default().as_bytes();
        let mut parts = Request::new(()).into_parts().0;
        parts.method = Method::from_bytes(parsed.method.unwrap_or_default().as_bytes()).map_err(|_| NONE)?;
        parts.version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
        parts.uri = Uri::from_maybe_shared(slice(target)).map_err(|_| NONE)?;
        parts.headers = HeaderMap::with_capacity(parsed.headers.len());
        let mut declared = Declared::default();
        for one in parsed.headers.iter() {
            if one.name.eq_ignore_ascii_case(CONTENT_LENGTH.as_str()) {
                declared.take(one.value, place(one.value))?;
            }
            let value = HeaderValue::from_maybe_shared(slice(one.value)).map_err(|_| NONE)?;
            parts.headers.append(name(one.name.as_bytes()).ok_or(NONE)?, value);
        }
        input.advance(end);
        Head::of(parts, declared, text).map(Some)
    }

    fn of(mut parts: Parts, declared: Declared, text: Bytes) -> Result<Head, Bad> {
        check_authority(&parts)?;
        let (body, is_sure) = framing(&parts, &declared)?;
        if !is_sure {
            parts.headers.remove(CONTENT_LENGTH);
        }
        let keeps = is_sure && keeps(&parts);
        let is_known = matches!(body, Framing::Sized(_)) && declared.is_plain() && text.len() <= KNOWN_BYTES_MAX;
        let text = if is_known { text } else { Bytes::new() };
        Ok(Head { read: Arc::new(Reading { parts, keeps, text, digits: declared.digits }), body })
    }
}

impl Reading {
    /// Whether it may be known again.
    pub(super) fn is_known(&self) -> bool {
        !self.text.is_empty()
    }

    /// Where this same head ends at the beginning of what has come, and the length that it says now.
    fn again(&self, input: &[u8]) -> Option<(usize, u64)> {
        let digits = self.digits.clone().unwrap_or(self.text.len()..self.text.len());
        let (before, behind) = (self.text.get(..digits.start)?, self.text.get(digits.end..)?);
        let rest = input.strip_prefix(before).filter(|_| self.is_known())?;
        if self.digits.is_none() {
            return Some((before.len(), 0));
        }
        let (digits, rest) = rest.split_at(rest.iter().take_while(|byte| byte.is_ascii_digit()).count());
        let rest = rest.strip_prefix(behind)?;
        Some((input.len() - rest.len(), decimal(digits).ok()?))
    }
}

/// What fields say of the body's length. The same may be said more than once (RFC 9110, 8.6).
#[derive(Default)]
struct Declared {
    bytes: Option<u64>,
    /// Where it stands, if it is said once.
    digits: Option<Range<usize>>,
}

impl Declared {
    fn take(&mut self, value: &[u8], place: Range<usize>) -> Result<(), Malformed> {
        let is_first = self.bytes.is_none();
        for one in value.split(|byte| *byte == b',') {
            let bytes = decimal(one.trim_ascii())?;
            if self.bytes.replace(bytes).is_some_and(|other| other != bytes) {
                return Err(Malformed("it has two lengths"));
            }
        }
        let is_one = is_first && value.iter().all(u8::is_ascii_digit);
        self.digits = is_one.then_some(place);
        Ok(())
    }

    /// Nothing, or one number.
    fn is_plain(&self) -> bool {
        self.bytes.is_some() == self.digits.is_some()
    }
}

/// Takes away empty lines, which may be before a request (RFC 9112, 2.2). Gives how many bytes there were.
pub(super) fn skip_empty_lines(input: &mut BytesMut) -> usize {
    let mut rest: &[u8] = input;
    while let Some(behind) = rest.strip_prefix(b"\r\n").or(rest.strip_prefix(b"\n")) {
        rest = behind;
    }
    let bytes = input.len() - rest.len();
    input.advance(bytes);
    bytes
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
    if another.is_some() || host.zip(target).is_some_and(|(host, target)| !host.eq_ignore_ascii_case(target)) {
        return Err(Malformed("it names two hosts"));
    }
    if host.is_none() && parts.version > Version::HTTP_10 {
        return Err(Malformed("it names no host"));
    }
    if host.or(target).is_some_and(|authority| authority.contains(&b'@')) {
        return Err(Malformed("its host has a user"));
    }
    Ok(())
}

/// How the body ends, and whether that can be read in one way only. Chunks win over a length, and then the
/// connection ends (RFC 9112, 6.1).
fn framing(parts: &Parts, declared: &Declared) -> Result<(Framing, bool), Malformed> {
    let mut codings = parts.headers.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else {
        return Ok((Framing::Sized(declared.bytes.unwrap_or(0)), true));
    };
    if parts.version < Version::HTTP_11 {
        return Err(Malformed("HTTP/1.0 has no transfer codings"));
    }
    if codings.next().is_some() || !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
        return Err(Malformed("its transfer coding is not chunked"));
    }
    Ok((Framing::Chunked(Chunk::Size), declared.bytes.is_none()))
}

/// RFC 9112, 9.3.
fn keeps(parts: &Parts) -> bool {
    let values = parts.headers.get_all(CONNECTION);
    let options = || values.iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let says = |option: &[u8]| options().any(|one| one.trim_ascii().eq_ignore_ascii_case(option));
    !says(b"close") && (parts.version > Version::HTTP_10 || says(b"keep-alive"))
}
