//! A small HTTP/1.1 client: one connection, every byte of it visible.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nothing in the tests takes longer without a reason.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Client {
    stream: TcpStream,
    /// Read but not used yet.
    ahead: Vec<u8>,
}

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The JSON-RPC message: the body, or the data of the last event.
    pub fn json(&self) -> serde_json::Value {
        let text = self.text();
        let last = text.lines().filter_map(|line| line.strip_prefix("data: ")).rfind(|data| !data.is_empty());
        let message = last.unwrap_or(&text);
        serde_json::from_str(message).unwrap_or_else(|error| panic!("no JSON ({error}): {} {text}", self.status))
    }

    pub fn error_code(&self) -> Option<i64> {
        self.json()["error"]["code"].as_i64()
    }
}

impl Client {
    pub async fn connect(port: u16) -> Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Client { stream, ahead: Vec::new() })
    }

    pub async fn get(&mut self, path: &str) -> Result<Response> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").as_bytes()).await?;
        self.response().await
    }

    /// Posts a body with its length. `headers` are whole lines without their ends.
    pub async fn post(&mut self, path: &str, headers: &[String], body: &[u8]) -> Result<Response> {
        self.send(&[head("POST", path, headers, Some(body.len())), body.to_vec()].concat()).await?;
        self.response().await
    }

    /// A body with any verb; `line` as in `PUT /v1/mcp/server`.
    pub async fn ask(&mut self, line: &str, headers: &[String], body: &[u8]) -> Result<Response> {
        let (verb, path) = line.split_once(' ').expect("a verb and a path");
        self.send(&[head(verb, path, headers, Some(body.len())), body.to_vec()].concat()).await?;
        self.response().await
    }

    /// Posts a body in chunks of this size.
    pub async fn post_chunked(&mut self, path: &str, headers: &[String], body: &[u8], size: usize) -> Result<Response> {
        self.send(&head("POST", path, headers, None)).await?;
        for chunk in body.chunks(size) {
            self.send(&[format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()).await?;
        }
        self.send(b"0\r\n\r\n").await?;
        self.response().await
    }

    pub async fn request(&mut self, verb: &str, path: &str, headers: &[String]) -> Result<Response> {
        self.send(&head(verb, path, headers, Some(0))).await?;
        self.response().await
    }

    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await
    }

    pub async fn response(&mut self) -> Result<Response> {
        let mut response = self.head().await?;
        let chunked = response.header("transfer-encoding").is_some();
        if chunked {
            while let Some(chunk) = self.chunk().await? {
                response.body.extend(chunk);
            }
        } else {
            let length = response.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            response.body = self.take(length).await?;
        }
        Ok(response)
    }

    /// The head alone; interim responses are passed over.
    pub async fn head(&mut self) -> Result<Response> {
        loop {
            let head = self.until(b"\r\n\r\n").await?;
            let head = String::from_utf8_lossy(&head).into_owned();
            let mut lines = head.trim_end().split("\r\n");
            let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
            let status = status.ok_or_else(|| Error::new(ErrorKind::InvalidData, head.clone()))?;
            let headers = lines.filter_map(|line| line.split_once(':'));
            let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
            if status != 100 {
                return Ok(Response { status, headers, body: Vec::new() });
            }
        }
    }

    /// One chunk of a chunked body; `None` at its proper end.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let size = self.until(b"\r\n").await?;
        let size = String::from_utf8_lossy(&size).trim().to_owned();
        let size = usize::from_str_radix(&size, 16).map_err(|_| Error::new(ErrorKind::InvalidData, size))?;
        let chunk = self.take(size).await?;
        self.take(2).await?;
        Ok((size > 0).then_some(chunk))
    }

    /// Whether the other side closes within the time.
    pub async fn closes(&mut self, within: Duration) -> bool {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(within, self.stream.read_to_end(&mut rest)).await;
        read.is_ok()
    }

    /// Everything up to and with this.
    pub async fn until(&mut self, end: &[u8]) -> Result<Vec<u8>> {
        loop {
            if let Some(at) = self.ahead.windows(end.len()).position(|window| window == end) {
                return Ok(self.ahead.drain(..at + end.len()).collect());
            }
            self.more().await?;
        }
    }

    pub async fn take(&mut self, bytes: usize) -> Result<Vec<u8>> {
        while self.ahead.len() < bytes {
            self.more().await?;
        }
        Ok(self.ahead.drain(..bytes).collect())
    }

    async fn more(&mut self) -> Result<()> {
        self.ahead.reserve(64 * 1024);
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.ahead)).await;
        match read.map_err(|_| Error::new(ErrorKind::TimedOut, "nothing came"))?? {
            0 => Err(Error::new(ErrorKind::UnexpectedEof, "closed")),
            _ => Ok(()),
        }
    }
}

/// Sends bytes as they are; gives everything that comes until the connection ends or falls silent.
pub async fn exchange(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let mut answer = Vec::new();
    let write = async {
        let _ = writing.write_all(bytes).await;
    };
    let read = async {
        let _ = tokio::time::timeout(Duration::from_secs(3), reading.read_to_end(&mut answer)).await;
    };
    tokio::join!(write, read);
    String::from_utf8_lossy(&answer).into_owned()
}

fn head(verb: &str, path: &str, headers: &[String], length: Option<usize>) -> Vec<u8> {
    let framing = length.map_or("Transfer-Encoding: chunked".to_owned(), |bytes| format!("Content-Length: {bytes}"));
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let host = if lines.to_lowercase().contains("host:") { "" } else { "Host: 127.0.0.1\r\n" };
    format!("{verb} {path} HTTP/1.1\r\n{host}{framing}\r\n{lines}\r\n").into_bytes()
}
