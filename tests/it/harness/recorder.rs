//! An upstream in the test's own process: a minimal MCP server of one era that keeps the exact bytes
//! of every request, and whose answers to calls are bytes that the test has written.

use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    Modern,
    Legacy,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub head: String,
    pub body: Vec<u8>,
}

/// What a call is answered with.
#[derive(Clone)]
pub enum Reply {
    /// `application/json` with a length.
    Json(Vec<u8>),
    /// `application/json` in chunks of this size.
    Chunked(Vec<u8>, usize),
    /// The same as [`Reply::Json`], after a pause.
    Late(Duration, Vec<u8>),
    /// `text/event-stream`: after each pause a chunk.
    Events(Vec<(Duration, Vec<u8>)>),
    /// So many progress events at this pace, each with the time it was sent at, then the result.
    Clock(usize, Duration),
    /// Any status, header lines (whole, with their ends) and body; the length is added.
    Status(&'static str, String, Vec<u8>),
    /// Bytes as they are, head and all.
    Raw(Vec<u8>),
    /// The same, and then the connection ends.
    Cut(Vec<u8>),
}

type Script = dyn Fn(&Recorded) -> Reply + Send + Sync;

struct Shared {
    speaks: Speaks,
    tools: String,
    scripts: Mutex<HashMap<&'static str, Arc<Script>>>,
    /// Methods whose next request each is lost with its connection.
    losses: Mutex<Vec<&'static str>>,
    /// Methods that are not answered.
    hanging: Mutex<Vec<&'static str>>,
    /// How long it waits between two connections that it accepts.
    accept_pause: Mutex<Duration>,
    /// The legacy revision; requests with another one are refused.
    version: Mutex<&'static str>,
    requests: Mutex<Vec<Recorded>>,
    born: Instant,
}

pub struct Recorder {
    pub port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

/// A tool as terse as can be.
pub const TOOL: &str = r#"{"name":"say","inputSchema":{"type":"object"}}"#;

impl Recorder {
    /// `tools` are the entries of its list, as they are sent.
    pub async fn start(speaks: Speaks, tools: &[&str]) -> Recorder {
        Recorder::start_at(0, speaks, tools).await
    }

    pub async fn start_at(port: u16, speaks: Speaks, tools: &[&str]) -> Recorder {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            speaks,
            tools: tools.join(","),
            scripts: Mutex::default(),
            losses: Mutex::default(),
            hanging: Mutex::default(),
            accept_pause: Mutex::default(),
            version: Mutex::new("2025-11-25"),
            requests: Mutex::default(),
            born: Instant::now(),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Recorder { port, shared, accepting }
    }

    /// How calls are answered from now on.
    pub fn answers(&self, script: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) {
        self.answers_to("tools/call", script);
    }

    /// The same for another method.
    pub fn answers_to(&self, method: &'static str, script: impl Fn(&Recorded) -> Reply + Send + Sync + 'static) {
        self.shared.scripts.lock().unwrap().insert(method, Arc::new(script));
    }

    /// One result for every request with this method.
    pub fn results(&self, method: &'static str, result: &'static str) {
        self.answers_to(method, move |request| Reply::Json(request.result(result)));
    }

    /// So many of the next requests with this method are not answered; their connections end.
    pub fn loses(&self, method: &'static str, times: usize) {
        self.shared.losses.lock().unwrap().extend(std::iter::repeat_n(method, times));
    }

    /// Requests with this method are not answered from now on.
    pub fn hangs(&self, method: &'static str) {
        self.shared.hanging.lock().unwrap().push(method);
    }

    /// Connections wait for being accepted, like at a server that is busy.
    pub fn accepts_every(&self, pause: Duration) {
        *self.shared.accept_pause.lock().unwrap() = pause;
    }

    /// What `initialize` settles on.
    pub fn settles_on(&self, version: &'static str) {
        *self.shared.version.lock().unwrap() = version;
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// Everything that came, the gateway's own questions too.
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The requests with this JSON-RPC method.
    pub fn of(&self, method: &str) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(|request| request.method() == method);
        requests
    }

    pub fn calls(&self) -> Vec<Recorded> {
        self.of("tools/call")
    }

    /// The calls that came since this was last asked.
    pub fn take_calls(&self) -> Vec<Recorded> {
        let is_call = |request: &mut Recorded| request.method() == "tools/call";
        self.shared.requests.lock().unwrap().extract_if(.., is_call).collect()
    }

    pub fn last_call(&self) -> Recorded {
        self.calls().pop().expect("a call arrived")
    }

    /// Nanoseconds on the clock of [`Reply::Clock`].
    pub fn now(&self) -> u64 {
        nanoseconds(self.shared.born)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Recorded {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.split("\r\n").filter_map(|line| line.split_once(':'));
        let mut named = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim())
    }

    pub fn verb(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn method(&self) -> String {
        let method = self.message().and_then(|message| message.method);
        method.unwrap_or_default().into_owned()
    }

    fn message(&self) -> Option<Message<'_>> {
        serde_json::from_slice(&self.body).ok()
    }

    /// A string in the body, by JSON pointer.
    pub fn member(&self, pointer: &str) -> Option<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        body.pointer(pointer)?.as_str().map(str::to_owned)
    }

    /// An answer to this request with this result; its id is as it was sent.
    pub fn result(&self, result: &str) -> Vec<u8> {
        self.answer("result", result)
    }

    pub fn error(&self, error: &str) -> Vec<u8> {
        self.answer("error", error)
    }

    fn answer(&self, member: &str, value: &str) -> Vec<u8> {
        let id = self.message().and_then(|message| message.id).map_or("null", RawValue::get);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"{member}":{value}}}"#).into_bytes()
    }
}

/// What is read of a message; the rest may be JSON that no type holds.
#[derive(serde::Deserialize)]
struct Message<'m> {
    #[serde(borrow)]
    id: Option<&'m RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'m, str>>,
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        // Ends with its connection; whatever cut it short is the test's own doing.
        let pause = *shared.accept_pause.lock().unwrap();
        tokio::spawn(async move { serve(stream, &shared).await.ok() });
        tokio::time::sleep(pause).await;
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut ahead = Vec::new();
    loop {
        let request = read(&mut stream, &mut ahead).await?;
        shared.requests.lock().unwrap().push(request.clone());
        if shared.loses(&request.method()) {
            return Ok(());
        }
        if shared.hangs(&request.method()) {
            std::future::pending::<()>().await;
        }
        let reply = shared.reply(&request);
        write(&mut stream, reply, &request, shared).await?;
    }
}

/// One request; the gateway always sends a length.
pub(super) async fn read(stream: &mut TcpStream, ahead: &mut Vec<u8>) -> Result<Recorded> {
    let (mut end, mut length) = (None, 0);
    loop {
        if end.is_none() {
            end = ahead.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
            let head = String::from_utf8_lossy(&ahead[..end.unwrap_or_default()]).to_lowercase();
            let declared = head.split("content-length:").nth(1).and_then(|rest| rest.lines().next());
            length = declared.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        }
        if let Some(end) = end.filter(|end| ahead.len() >= end + length) {
            let whole: Vec<u8> = ahead.drain(..end + length).collect();
            let (head, body) = whole.split_at(end);
            let head = String::from_utf8_lossy(head).into_owned();
            return Ok(Recorded { head, body: body.to_vec() });
        }
        let mut buffer = vec![0; 64 * 1024];
        match stream.read(&mut buffer).await? {
            0 => return Err(Error::new(ErrorKind::UnexpectedEof, "closed")),
            read => ahead.extend_from_slice(&buffer[..read]),
        }
    }
}

impl Shared {
    fn loses(&self, method: &str) -> bool {
        let mut losses = self.losses.lock().unwrap();
        let at = losses.iter().position(|lost| *lost == method);
        at.map(|at| losses.swap_remove(at)).is_some()
    }

    fn hangs(&self, method: &str) -> bool {
        self.hanging.lock().unwrap().contains(&method)
    }

    fn reply(&self, request: &Recorded) -> Reply {
        let version = *self.version.lock().unwrap();
        let declared = request.header("mcp-protocol-version");
        if self.speaks == Speaks::Legacy && declared.is_some_and(|declared| declared != version) {
            return Reply::Status("400 Bad Request", String::new(), Vec::new());
        }
        let script = self.scripts.lock().unwrap().get(request.method().as_str()).map(Arc::clone);
        if let Some(script) = script {
            return script(request);
        }
        let json = |result: &str| Reply::Json(request.result(result));
        let tools = &self.tools;
        match (self.speaks, request.method().as_str()) {
            (_, "tools/call") => json(r#"{"content":[],"resultType":"complete"}"#),
            (_, "tools/list") => json(&format!(r#"{{"tools":[{tools}],"resultType":"complete"}}"#)),
            (Speaks::Modern, "server/discover") => json(
                r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"public"}"#,
            ),
            (Speaks::Legacy, "initialize") => {
                let session = format!("Mcp-Session-Id: session-{}\r\n", self.requests.lock().unwrap().len());
                let info = r#""serverInfo":{"name":"recorder","version":"1"}"#;
                let result = format!(r#"{{"protocolVersion":"{version}","capabilities":{{"tools":{{}}}},{info}}}"#);
                Reply::Status("200 OK", format!("Content-Type: application/json\r\n{session}"), request.result(&result))
            }
            (Speaks::Legacy, "ping") => json("{}"),
            (Speaks::Legacy, _) if request.verb() == "DELETE" => Reply::Status("200 OK", String::new(), Vec::new()),
            (_, method) if method.starts_with("notifications/") => {
                Reply::Status("202 Accepted", String::new(), Vec::new())
            }
            _ => {
                let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"Method not found"}}"#;
                let json = "Content-Type: application/json\r\n".to_owned();
                Reply::Status("404 Not Found", json, error.into())
            }
        }
    }
}

async fn write(stream: &mut TcpStream, reply: Reply, request: &Recorded, shared: &Shared) -> Result<()> {
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let chunked = |media| format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nTransfer-Encoding: chunked\r\n\r\n");
    match reply {
        Reply::Late(pause, body) => {
            tokio::time::sleep(pause).await;
            return Box::pin(write(stream, Reply::Json(body), request, shared)).await;
        }
        Reply::Raw(bytes) => return stream.write_all(&bytes).await,
        Reply::Cut(bytes) => {
            stream.write_all(&bytes).await?;
            return Err(Error::other("cut as the test asked"));
        }
        Reply::Json(body) => {
            let json = "Content-Type: application/json\r\n".to_owned();
            let reply = Reply::Status("200 OK", json, body);
            return Box::pin(write(stream, reply, request, shared)).await;
        }
        Reply::Status(status, lines, body) => {
            let head = format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {}\r\n\r\n", body.len());
            return stream.write_all(&[head.as_bytes(), &body].concat()).await;
        }
        Reply::Chunked(body, size) => {
            stream.write_all(chunked("application/json").as_bytes()).await?;
            for piece in body.chunks(size) {
                stream.write_all(&chunk(piece)).await?;
            }
        }
        Reply::Events(events) => {
            stream.write_all(chunked("text/event-stream").as_bytes()).await?;
            for (pause, event) in events {
                tokio::time::sleep(pause).await;
                stream.write_all(&chunk(&event)).await?;
            }
        }
        Reply::Clock(events, pace) => {
            stream.write_all(chunked("text/event-stream").as_bytes()).await?;
            let mut pace = tokio::time::interval(pace);
            pace.tick().await;
            for _ in 0..events {
                pace.tick().await;
                let params = format!(r#"{{"progressToken":1,"progress":{}}}"#, nanoseconds(shared.born));
                let message = format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#);
                stream.write_all(&chunk(&event(message.as_bytes()))).await?;
            }
            // What the end costs everybody must not fall on the last of them.
            pace.tick().await;
            let result = request.result(r#"{"content":[],"resultType":"complete"}"#);
            stream.write_all(&chunk(&event(&result))).await?;
        }
    }
    stream.write_all(b"0\r\n\r\n").await
}

/// A message as an event.
pub fn event(message: &[u8]) -> Vec<u8> {
    [b"event: message\ndata: ".as_slice(), message, b"\n\n"].concat()
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).expect("less than 500 years")
}
