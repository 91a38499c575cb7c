//! The answer as it goes over the wire: its head, and where its body ends.

use crate::proxy::caller::{Head, Length};
use bytes::{BufMut, Bytes, BytesMut};
use http::{Method, StatusCode, Version};
use pingora::protocols::http::date::get_cached_date;
use std::io;

/// Up to this size a piece is copied behind what waits before it, so that both are one write.
pub(super) const JOINED_BYTES_MAX: usize = 16 * 1024;

/// What of the answer's body is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// Not even the head is written.
    All,
    Sized(usize),
    Chunked,
    /// It ends with the connection.
    UntilClosed,
}

impl Rest {
    /// Writes the head, and says what is to follow it.
    pub(super) fn begin(output: &mut BytesMut, head: &Head, asked: (&Method, Version), keeps: bool) -> Rest {
        let (method, version) = asked;
        let status = StatusCode::from_u16(head.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        output.put_slice(b"HTTP/1.1 ");
        output.put_slice(status.as_str().as_bytes());
        output.put_u8(b' ');
        output.put_slice(status.canonical_reason().unwrap_or_default().as_bytes());
        put(output, "date", get_cached_date().as_bytes());
        for (name, value) in &head.fields {
            put(output, name.as_str(), value.as_bytes());
        }
        let rest = match head.length {
            Length::Known(bytes) => {
                put(output, "content-length", itoa::Buffer::new().format(bytes).as_bytes());
                Rest::Sized(bytes)
            }
            Length::Unknown if version < Version::HTTP_11 => Rest::UntilClosed,
            Length::Unknown => {
                put(output, "transfer-encoding", b"chunked");
                Rest::Chunked
            }
        };
        match keeps {
            false => put(output, "connection", b"close"),
            true if version < Version::HTTP_11 => put(output, "connection", b"keep-alive"),
            true => {}
        }
        output.put_slice(b"\r\n\r\n");
        if *method == Method::HEAD { Rest::Sized(0) } else { rest }
    }

    /// What goes before a piece and behind it.
    pub(super) fn frame(&mut self, output: &mut BytesMut, piece: &Bytes) -> io::Result<&'static [u8]> {
        match self {
            Rest::Sized(left) if piece.len() <= *left => {
                *left -= piece.len();
                Ok(b"")
            }
            Rest::UntilClosed => Ok(b""),
            Rest::Chunked => {
                put_hex(output, piece.len());
                Ok(b"\r\n")
            }
            Rest::All | Rest::Sized(_) => Err(io::Error::other("the answer is longer than it says")),
        }
    }

    /// Whether nothing is to come any more; the end of chunks is written.
    pub(super) fn end(&mut self, output: &mut BytesMut) -> bool {
        if *self == Rest::Chunked {
            output.put_slice(b"0\r\n\r\n");
            *self = Rest::Sized(0);
        }
        *self == Rest::Sized(0)
    }
}

/// A field under its name as it is usually written, behind the line before it.
fn put(output: &mut BytesMut, name: &str, value: &[u8]) {
    output.put_slice(b"\r\n");
    let mut is_first = true;
    for byte in name.bytes() {
        output.put_u8(if is_first { byte.to_ascii_uppercase() } else { byte });
        is_first = byte == b'-';
    }
    output.put_slice(b": ");
    output.put_slice(value);
}

/// A chunk's size and the end of its line.
fn put_hex(output: &mut BytesMut, number: usize) {
    let digits = (usize::BITS - number.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        let digit = (number >> (4 * place)) & 0xf;
        output.put_u8(b"0123456789abcdef".get(digit).copied().unwrap_or(b'0'));
    }
    output.put_slice(b"\r\n");
}
