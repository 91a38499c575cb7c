//! Where the body of a message of HTTP/1.1 ends (RFC 9112, 6): read strictly, because a reader that is lenient
//! here and another that is not see two different messages. No I/O: bytes in, pieces of the body out.

use bytes::{Bytes, BytesMut};
use memchr::memchr;

/// A chunk's size with its extensions.
const SIZE_LINE_MAX: usize = 256;

/// All trailers of a message. They are not handed on.
const TRAILERS_MAX: usize = 8 * 1024;

/// What is no message of HTTP/1.1, or one that two readers may read differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// What is left of a body.
#[derive(Debug, PartialEq, Eq)]
pub enum Framing {
    Sized(u64),
    Chunked(Chunk),
    /// Neither length nor chunks: it ends with the connection, or broke off.
    UntilClosed,
}

/// Where in a chunked body the next byte stands.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunk {
    Size,
    Data(u64),
    /// The line end behind the data.
    DataEnd,
    /// So many bytes of them were read.
    Trailers(usize),
    Over,
    /// What is wrong once stays wrong.
    Broken(Malformed),
}

/// What can be taken of what has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    Data(Bytes),
    /// Nothing, before more comes.
    More,
    End,
}

impl Framing {
    /// The next piece; what is behind the body stays in the buffer.
    pub fn take(&mut self, buffer: &mut BytesMut) -> Result<Piece, Malformed> {
        match self {
            Framing::Sized(0) => Ok(Piece::End),
            Framing::Chunked(chunk) => chunk.take(buffer),
            _ if buffer.is_empty() => Ok(Piece::More),
            Framing::Sized(left) => Ok(Piece::Data(up_to(buffer, left))),
            Framing::UntilClosed => Ok(Piece::Data(buffer.split().freeze())),
        }
    }

    /// Whether nothing of the body is left behind what was taken, as far as that has come.
    pub fn ends_here(&mut self, buffer: &mut BytesMut) -> Result<bool, Malformed> {
        if let Framing::Chunked(chunk) = self {
            chunk.advance(buffer)?;
        }
        Ok(self.is_over())
    }

    pub fn is_over(&self) -> bool {
        matches!(self, Framing::Sized(0) | Framing::Chunked(Chunk::Over))
    }
}

impl Chunk {
    fn take(&mut self, buffer: &mut BytesMut) -> Result<Piece, Malformed> {
        self.advance(buffer)?;
        match self {
            Chunk::Data(left) if !buffer.is_empty() => Ok(Piece::Data(up_to(buffer, left))),
            Chunk::Over => Ok(Piece::End),
            _ => Ok(Piece::More),
        }
    }

    /// As far as it goes without data.
    fn advance(&mut self, buffer: &mut BytesMut) -> Result<(), Malformed> {
        let advanced = self.step(buffer);
        if let Err(malformed) = advanced {
            *self = Chunk::Broken(malformed);
        }
        advanced
    }

    fn step(&mut self, buffer: &mut BytesMut) -> Result<(), Malformed> {
        loop {
            let next = match self {
                Chunk::Size => match line(buffer, SIZE_LINE_MAX)? {
                    None => return Ok(()),
                    Some(line) => match size(&line)? {
                        0 => Chunk::Trailers(0),
                        size => Chunk::Data(size),
                    },
                },
                Chunk::Data(0) => Chunk::DataEnd,
                Chunk::Data(_) | Chunk::Over => return Ok(()),
                Chunk::Broken(malformed) => return Err(*malformed),
                Chunk::DataEnd if buffer.len() < 2 && b"\r\n".starts_with(buffer) => return Ok(()),
                Chunk::DataEnd if buffer.starts_with(b"\r\n") => {
                    let _ = buffer.split_to(2);
                    Chunk::Size
                }
                Chunk::DataEnd => return Err(Malformed("a chunk is longer than it says")),
                Chunk::Trailers(bytes) => match line(buffer, TRAILERS_MAX.saturating_sub(*bytes))? {
                    None => return Ok(()),
                    Some(line) if line.is_empty() => Chunk::Over,
                    Some(line) if is_field(&line) => Chunk::Trailers(*bytes + line.len() + 2),
                    Some(_) => return Err(Malformed("a trailer is no field")),
                },
            };
            *self = next;
        }
    }
}

fn up_to(buffer: &mut BytesMut, left: &mut u64) -> Bytes {
    let most = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
    *left -= most as u64;
    buffer.split_to(most).freeze()
}

/// A line without its end, which must be CR LF; `None` where it is not whole yet.
fn line(buffer: &mut BytesMut, bytes_max: usize) -> Result<Option<BytesMut>, Malformed> {
    let end = memchr(b'\n', buffer);
    if end.map_or(buffer.len(), |end| end + 1) > bytes_max {
        return Err(Malformed("a chunk's size or the trailers are too long"));
    }
    let Some(end) = end else { return Ok(None) };
    let mut line = buffer.split_to(end + 1);
    match line.strip_suffix(b"\r\n") {
        Some(text) if memchr(b'\r', text).is_none() => {
            line.truncate(end - 1);
            Ok(Some(line))
        }
        _ => Err(Malformed("a line between chunks does not end as it must")),
    }
}

/// The size of a chunk; what extensions say is nobody's business.
fn size(line: &[u8]) -> Result<u64, Malformed> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, rest) = line.split_at(digits);
    let behind = rest.trim_ascii_start();
    let text = std::str::from_utf8(digits).unwrap_or_default();
    // 15 digits are beyond every body, and within 64 bits.
    match u64::from_str_radix(text, 16) {
        Ok(size) if digits.len() < 16 && (rest.is_empty() || behind.starts_with(b";")) => Ok(size),
        _ => Err(Malformed("a chunk's size is none")),
    }
}

fn is_field(line: &[u8]) -> bool {
    let Some(colon) = memchr(b':', line) else { return false };
    let (name, value) = line.split_at(colon);
    let is_text = |byte: &u8| matches!(byte, b'\t' | 0x20..=0x7e | 0x80..);
    http::HeaderName::from_bytes(name).is_ok() && value.iter().all(is_text)
}

pub fn decimal(text: &[u8]) -> Result<u64, Malformed> {
    let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).ok_or(Malformed("its length is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last line that fits leaves no room for another one, the line that ends them included.
    #[test]
    fn trailers_have_a_bound_however_long_the_last_one_is() {
        for bytes in TRAILERS_MAX - 8..TRAILERS_MAX + 8 {
            let trailer = format!("X: {}\r\n", "y".repeat(bytes - 5));
            for behind in ["\r\n", "Z: z\r\n\r\n", &"Z: z\r\n".repeat(10_000)] {
                let mut body = Framing::Chunked(Chunk::Size);
                let taken = body.take(&mut BytesMut::from(format!("0\r\n{trailer}{behind}").as_str()));
                let fits = bytes + behind.len() <= TRAILERS_MAX;
                assert_eq!(taken.is_ok(), fits, "a trailer of {bytes} bytes, and {} behind it", behind.len());
            }
        }
    }
}
