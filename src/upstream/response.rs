//! The head of an answer, and its fields as places in it.

use crate::framing::{Chunk, Framing, Malformed, decimal};
use bytes::{Buf, Bytes, BytesMut};
use http::HeaderValue;
use httparse::{ParserConfig, Response, Status};
use pingora::http::ResponseHeader;
use std::mem::MaybeUninit;
use std::ops::Range;

/// An answer's head may be this long, and have so many fields.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const FIELDS_MAX: usize = 100;

#[derive(Debug)]
pub struct ResponseHead {
    pub status: u16,
    /// HTTP/1.0 knows neither chunks nor kept connections.
    pub(super) is_old: bool,
    bytes: Bytes,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    name: Range<usize>,
    value: Range<usize>,
}

impl ResponseHead {
    /// Takes a head out of what has come; `None` where it is not whole yet.
    pub(super) fn take(buffer: &mut BytesMut) -> Result<Option<ResponseHead>, Malformed> {
        let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
        let mut parsed = Response::new(&mut []);
        let start = buffer.as_ptr().addr();
        let read = ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, buffer, &mut fields);
        let end = match read {
            Ok(Status::Complete(end)) if end <= HEAD_BYTES_MAX => end,
            Ok(Status::Partial) if buffer.len() <= HEAD_BYTES_MAX => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Malformed("its head is too large")),
            Err(_) => return Err(Malformed("its head is not one of HTTP/1.1")),
        };
        let place = |part: &[u8]| {
            let at = part.as_ptr().addr() - start;
            at..at + part.len()
        };
        let field =
            |field: &httparse::Header<'_>| Field { name: place(field.name.as_bytes()), value: place(field.value) };
        let fields = parsed.headers.iter().map(field).collect();
        let (status, is_old) = (parsed.code.unwrap_or_default(), parsed.version == Some(0));
        // It lives as long as a stream may; the buffer behind it must not.
        let bytes = Bytes::copy_from_slice(buffer.get(..end).unwrap_or_default());
        buffer.advance(end);
        Ok(Some(ResponseHead { status, is_old, bytes, fields }))
    }

    /// One that Pingora has read.
    pub(super) fn of(head: &ResponseHeader) -> ResponseHead {
        let mut bytes = BytesMut::new();
        let mut put = |part: &[u8]| {
            let at = bytes.len();
            bytes.extend_from_slice(part);
            at..bytes.len()
        };
        let field = |(name, value): (&http::HeaderName, &HeaderValue)| Field {
            name: put(name.as_str().as_bytes()),
            value: put(value.as_bytes()),
        };
        let fields = head.headers.iter().map(field).collect();
        let is_old = head.version < http::Version::HTTP_11;
        ResponseHead { status: head.status.as_u16(), is_old, bytes: bytes.freeze(), fields }
    }

    /// How its body ends.
    pub(super) fn framing(&self) -> Result<Framing, Malformed> {
        if has_no_body(self.status) {
            return Ok(Framing::Sized(0));
        }
        let mut codings = self.all("transfer-encoding");
        let mut lengths = self.all("content-length");
        match (codings.next(), lengths.next()) {
            (Some(_), Some(_)) => Err(Malformed("it has both a length and a transfer coding")),
            (Some(_), None) if self.is_old => Err(Malformed("HTTP/1.0 has no transfer codings")),
            (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none() => {
                Ok(Framing::Chunked(Chunk::Size))
            }
            (Some(_), None) => Err(Malformed("its transfer coding is not chunked")),
            (None, Some(length)) if lengths.next().is_none() => Ok(Framing::Sized(decimal(length)?)),
            (None, Some(_)) => Err(Malformed("it has two lengths")),
            (None, None) => Ok(Framing::UntilClosed),
        }
    }

    /// Nobody asked to switch protocols, so 101 is an answer, if a wrong one. Other interim answers (RFC
    /// 9110, 15.2) say nothing that we could use.
    pub(super) fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }

    /// The first value of a field, as it came.
    pub fn value(&self, name: impl AsRef<str>) -> Option<HeaderValue> {
        let place = self.places(name.as_ref()).next()?;
        HeaderValue::from_maybe_shared(self.bytes.slice(place)).ok()
    }

    /// The same, where it is text.
    pub fn text(&self, name: impl AsRef<str>) -> Option<&str> {
        let place = self.places(name.as_ref()).next()?;
        std::str::from_utf8(self.bytes.get(place)?).ok()
    }

    /// Every value of a field.
    pub(super) fn all<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        self.places(name).filter_map(|place| self.bytes.get(place))
    }

    fn places<'h>(&'h self, name: &'h str) -> impl Iterator<Item = Range<usize>> {
        let is_meant = |field: &&Field| {
            let known = self.bytes.get(field.name.clone()).unwrap_or_default();
            known.eq_ignore_ascii_case(name.as_bytes())
        };
        self.fields.iter().filter(is_meant).map(|field| field.value.clone())
    }
}

fn has_no_body(status: u16) -> bool {
    matches!(status, 101 | 204 | 304)
}
