//! The demonstration's HTTP client: one request on one connection, HTTP/1.1, blocking. It reads what the
//! gateway writes (a length, chunks, or until the end) and gives out JSON-RPC messages when they arrive.

use super::request::Request;
use anyhow::Context;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(10);
const TEXT_BYTES_MAX: u64 = 1 << 20;

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: BufReader<Body>,
}

pub(super) fn send(gateway: SocketAddr, request: &Request) -> anyhow::Result<Answer> {
    let body = request.body.as_ref().map(Value::to_string).unwrap_or_default();
    let mut head = format!("{} /mcp HTTP/1.1\r\nHost: {gateway}\r\nConnection: close\r\n", request.verb);
    for (name, value) in &request.headers {
        head += &format!("{name}: {value}\r\n");
    }
    exchange(gateway, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
}

pub(super) fn get(server: SocketAddr, path: &str) -> anyhow::Result<Answer> {
    exchange(server, &format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n"))
}

fn exchange(server: SocketAddr, request: &str) -> anyhow::Result<Answer> {
    let mut connection = TcpStream::connect_timeout(&server, WAIT)?;
    connection.set_read_timeout(Some(WAIT))?;
    connection.set_write_timeout(Some(WAIT))?;
    connection.set_nodelay(true)?;
    connection.write_all(request.as_bytes())?;
    read_answer(BufReader::new(connection))
}

fn read_answer(mut connection: BufReader<TcpStream>) -> anyhow::Result<Answer> {
    let first = line(&mut connection)?;
    let status = first.split(' ').nth(1).with_context(|| format!("no HTTP answer: {first:?}"))?.parse()?;
    let mut headers = HeaderMap::new();
    loop {
        let field = line(&mut connection)?;
        let Some((name, value)) = field.split_once(':') else {
            break;
        };
        headers.append(name.parse::<HeaderName>()?, value.trim().parse::<HeaderValue>()?);
    }
    let left = Left::of(status, &headers)?;
    Ok(Answer { status, headers, body: BufReader::new(Body { connection, left }) })
}

/// Without its line end; empty at the end of the input as well.
fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.take(TEXT_BYTES_MAX).read_line(&mut line)?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Shows each message of the body as soon as it is there: many in an event stream, otherwise one
    /// or none.
    pub(super) fn each_message(&mut self, mut show: impl FnMut(Value) -> io::Result<()>) -> anyhow::Result<()> {
        let kind = self.header("content-type").to_owned();
        if !kind.starts_with("text/event-stream") {
            let mut text = String::new();
            self.body.by_ref().take(TEXT_BYTES_MAX).read_to_string(&mut text)?;
            return match kind.as_str() {
                _ if text.is_empty() => Ok(()),
                "application/json" => Ok(show(json(&text)?)?),
                _ => Ok(show(Value::from(text))?),
            };
        }
        for line in self.body.by_ref().lines() {
            // MCP servers write a message as one line of `data`; what is empty is there to be resumed from.
            match line?.strip_prefix("data:").map(str::trim) {
                Some(data) if !data.is_empty() => show(json(data)?)?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn json(text: &str) -> anyhow::Result<Value> {
    serde_json::from_str(text).with_context(|| format!("the body is not JSON: {text:.200}"))
}

struct Body {
    connection: BufReader<TcpStream>,
    left: Left,
}

enum Left {
    Bytes(u64),
    /// So many bytes of this chunk, then others.
    Chunks(u64),
    UntilClosed,
}

impl Left {
    fn of(status: StatusCode, headers: &HeaderMap) -> anyhow::Result<Left> {
        if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            return Ok(Left::Chunks(0));
        }
        match headers.get("content-length") {
            Some(length) => Ok(Left::Bytes(length.to_str()?.parse()?)),
            None if status == StatusCode::NO_CONTENT => Ok(Left::Bytes(0)),
            None => Ok(Left::UntilClosed),
        }
    }
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if matches!(self.left, Left::Chunks(0)) {
            self.left = match next_chunk(&mut self.connection)? {
                0 => Left::Bytes(0),
                size => Left::Chunks(size),
            };
        }
        let left = match &mut self.left {
            Left::UntilClosed => return self.connection.read(into),
            Left::Bytes(left) | Left::Chunks(left) => left,
        };
        let read = self.connection.by_ref().take(*left).read(into)?;
        if read == 0 && *left > 0 && !into.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer is cut off"));
        }
        *left -= read as u64;
        if *left == 0 && matches!(self.left, Left::Chunks(_)) {
            line(&mut self.connection)?;
        }
        Ok(read)
    }
}

fn next_chunk(connection: &mut BufReader<TcpStream>) -> io::Result<u64> {
    let size = line(connection)?;
    let size = size.split(';').next().unwrap_or_default().trim();
    u64::from_str_radix(size, 16).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "no chunk size"))
}
