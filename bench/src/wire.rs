//! HTTP/1.1 on one connection, both sides: heads by httparse, bodies by length or by chunks.
//!
//! Only what a benchmark between known peers needs: no trailers, no upgrade, no `Expect`.

use std::io::{self, ErrorKind};

use bytes::{Buf, BytesMut};
use httparse::{Header, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BODY_BYTES_MAX: usize = 4 << 20;
const HEAD_BYTES_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 64;

pub struct Wire {
    stream: TcpStream,
    input: BytesMut,
}

#[derive(Clone, Copy)]
pub enum Framing {
    Chunked,
    Length(usize),
}

/// What a head says about its body and its connection.
pub struct Head {
    pub framing: Framing,
    pub last_on_connection: bool,
    /// The body is an event stream; of a request, the peer takes one as its answer.
    pub event_stream: bool,
    /// The MCP session that the message names.
    pub session: Option<String>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, input: BytesMut::with_capacity(4096) })
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The method and the head of the next request, or `None` when the peer has closed.
    pub async fn request(&mut self) -> io::Result<Option<(String, Head)>> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let mut request = httparse::Request::new(&mut headers);
            if let Status::Complete(length) = request.parse(&self.input).map_err(invalid)? {
                let method = request.method.unwrap_or_default().to_owned();
                let head = Head::from_headers(request.headers)?;
                self.input.advance(length);
                return Ok(Some((method, head)));
            }
            match self.read_head_bytes().await {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof && self.input.is_empty() => return Ok(None),
                result => result?,
            }
        }
    }

    /// The status and the head of the next response.
    pub async fn response(&mut self) -> io::Result<(u16, Head)> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let mut response = httparse::Response::new(&mut headers);
            if let Status::Complete(length) = response.parse(&self.input).map_err(invalid)? {
                let status = response.code.unwrap_or_default();
                let head = Head::from_headers(response.headers)?;
                self.input.advance(length);
                return Ok((status, head));
            }
            self.read_head_bytes().await?;
        }
    }

    /// Returns when the peer has closed the connection, whatever it sends before.
    pub async fn closed(&mut self) {
        while self.read().await.is_ok() {
            self.input.clear();
        }
    }

    /// The whole body that `framing` announces.
    pub async fn body(&mut self, framing: Framing) -> io::Result<BytesMut> {
        match framing {
            Framing::Length(length) => {
                self.read_until(length).await?;
                Ok(self.input.split_to(length))
            }
            Framing::Chunked => {
                let mut body = BytesMut::new();
                while let Some(chunk) = self.chunk().await? {
                    within(body.len() + chunk.len(), BODY_BYTES_MAX)?;
                    body.extend_from_slice(&chunk);
                }
                Ok(body)
            }
        }
    }

    /// The next chunk of a chunked body, or `None` after the last one.
    pub async fn chunk(&mut self) -> io::Result<Option<BytesMut>> {
        let size = loop {
            match httparse::parse_chunk_size(&self.input) {
                Ok(Status::Complete((start, size))) => {
                    self.input.advance(start);
                    break usize::try_from(size).map_err(invalid)?;
                }
                Ok(Status::Partial) => self.read_head_bytes().await?,
                Err(_) => return Err(invalid("a chunk has no valid size")),
            }
        };
        within(size, BODY_BYTES_MAX)?;
        self.read_until(size + 2).await?;
        let data = self.input.split_to(size);
        self.input.advance(2);
        Ok((size > 0).then_some(data))
    }

    async fn read_until(&mut self, length: usize) -> io::Result<()> {
        within(length, BODY_BYTES_MAX + 2)?;
        // Once for all that is still to come: a list of tools is some hundred KiB.
        self.input.reserve(length.saturating_sub(self.input.len()));
        while self.input.len() < length {
            self.read().await?;
        }
        Ok(())
    }

    async fn read_head_bytes(&mut self) -> io::Result<()> {
        within(self.input.len(), HEAD_BYTES_MAX)?;
        self.read().await
    }

    async fn read(&mut self) -> io::Result<()> {
        self.input.reserve(1024);
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(io::Error::new(ErrorKind::UnexpectedEof, "the peer closed the connection")),
            _ => Ok(()),
        }
    }
}

impl Head {
    fn from_headers(headers: &[Header]) -> io::Result<Self> {
        let framing = Framing::Length(0);
        let mut head = Self { framing, last_on_connection: false, event_stream: false, session: None };
        for Header { name, value } in headers {
            let value = str::from_utf8(value).map_err(invalid)?;
            if name.eq_ignore_ascii_case("content-length") {
                head.framing = Framing::Length(value.parse().map_err(invalid)?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                head.framing = Framing::Chunked;
            } else if name.eq_ignore_ascii_case("connection") {
                head.last_on_connection = value.eq_ignore_ascii_case("close");
            } else if name.eq_ignore_ascii_case("content-type") || name.eq_ignore_ascii_case("accept") {
                head.event_stream |= value.contains("text/event-stream");
            } else if name.eq_ignore_ascii_case("mcp-session-id") {
                head.session = Some(value.to_owned());
            }
        }
        Ok(head)
    }
}

fn within(length: usize, max: usize) -> io::Result<()> {
    if length > max {
        return Err(invalid(format!("the peer sent more than {max} bytes where a benchmark sends less")));
    }
    Ok(())
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
