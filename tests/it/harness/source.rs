//! Servers in the test's own process whose streams are numbered, so that what arrives can be compared
//! with what was sent. A resumable one keeps every event; another tells only who listens.

use super::recorder::{Recorded, read};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Result;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Legacy, with ids on its events.
    Resumable,
    /// Legacy, without.
    Forgetful,
    Modern,
}

pub struct Source {
    pub name: String,
    pub kind: Kind,
    pub port: u16,
    shared: Arc<Shared>,
    accepting: Mutex<JoinHandle<()>>,
}

struct Shared {
    name: String,
    kind: Kind,
    /// The sessions, each with how many events were sent in it. Modern: what everybody listens to.
    sessions: Mutex<HashMap<String, watch::Sender<u64>>>,
    opened: Mutex<u64>,
    connections: Mutex<JoinSet<()>>,
    answers: watch::Sender<Vec<Value>>,
    /// Bytes in each event beside its number.
    padding: usize,
}

impl Source {
    pub async fn start(name: &str, kind: Kind, padding: usize) -> Source {
        let listener = listen(0).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let sessions = Mutex::new(HashMap::from([(String::new(), watch::Sender::new(0))]));
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            kind,
            sessions,
            opened: Mutex::default(),
            connections: Mutex::default(),
            answers: watch::Sender::default(),
            padding,
        });
        let accepting = Mutex::new(tokio::spawn(accept(listener, Arc::clone(&shared))));
        Source { name: name.to_owned(), kind, port, shared, accepting }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    pub fn uri(&self) -> String {
        format!("test://{}", self.name)
    }

    /// One more event for every session, or for everybody who listens.
    pub fn emit(&self) {
        for sent in self.shared.sessions.lock().unwrap().values() {
            sent.send_modify(|sent| *sent += 1);
        }
    }

    /// How many events were sent in a session; `None`: there is no such session any more.
    pub fn sent(&self, session: &str) -> Option<u64> {
        self.shared.sessions.lock().unwrap().get(session).map(|sent| *sent.borrow())
    }

    pub fn sessions(&self) -> usize {
        self.shared.sessions.lock().unwrap().len() - 1
    }

    /// What clients answered to what this server asked.
    pub fn answers(&self) -> Vec<Value> {
        self.shared.answers.borrow().clone()
    }

    pub fn forget_sessions(&self) {
        self.shared.sessions.lock().unwrap().retain(|session, _| session.is_empty());
    }

    /// Its connections break.
    pub fn cut(&self) {
        self.shared.connections.lock().unwrap().abort_all();
    }

    /// It is away for a moment; its connections break.
    pub async fn restart(&self, away: Duration) {
        self.accepting.lock().unwrap().abort();
        self.cut();
        tokio::time::sleep(away).await;
        let bind = || async { listen(self.port).ok() };
        let listener = super::eventually("its port is free again", 10, bind).await;
        *self.accepting.lock().unwrap() = tokio::spawn(accept(listener, Arc::clone(&self.shared)));
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.accepting.lock().unwrap().abort();
        self.cut();
    }
}

/// What waits to be sent is held by the system of the server, which elsewhere is another one than the
/// gateway's: here it must not take from the same.
fn listen(port: u16) -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(64 * 1024)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    socket.listen(1024)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let serving = Arc::clone(&shared);
        let mut connections = shared.connections.lock().unwrap();
        // Ends with its connection.
        connections.spawn(async move { _ = serve(stream, &serving).await });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut ahead = Vec::new();
    loop {
        let request = read(&mut stream, &mut ahead).await?;
        match (request.verb(), request.method().as_str()) {
            ("GET", _) => return shared.standing(&mut stream, &request).await,
            (_, "subscriptions/listen") => return shared.listening(&mut stream, &request).await,
            (_, "tools/call") if request.member("/params/name").as_deref() == Some("ask") => {
                shared.ask(&mut stream, &request).await?;
            }
            _ => stream.write_all(&shared.answer(&request)).await?,
        }
    }
}

const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

async fn chunk(stream: &mut TcpStream, text: &str) -> Result<()> {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await
}

impl Shared {
    fn session(&self, request: &Recorded) -> Option<watch::Receiver<u64>> {
        let session = request.header("mcp-session-id")?;
        self.sessions.lock().unwrap().get(session).map(watch::Sender::subscribe)
    }

    /// From the beginning where it can resume, and from now on where it cannot.
    async fn standing(&self, stream: &mut TcpStream, request: &Recorded) -> Result<()> {
        let Some(mut sent) = self.session(request) else { return stream.write_all(&lost()).await };
        let session = request.header("mcp-session-id").unwrap_or_default();
        stream.write_all(EVENTS.as_bytes()).await?;
        let last = request.header("last-event-id").and_then(|id| id.parse().ok());
        let mut told = if self.kind == Kind::Resumable { last.unwrap_or(0) } else { *sent.borrow() };
        loop {
            let wanted = *sent.borrow_and_update();
            while told < wanted {
                told += 1;
                let data =
                    json!({"source": self.name, "session": session, "n": told, "padding": "x".repeat(self.padding)});
                let message = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": data}});
                let id = if self.kind == Kind::Resumable { format!("id: {told}\nretry: 50\n") } else { String::new() };
                chunk(stream, &format!("event: message\n{id}data: {message}\n\n")).await?;
            }
            if sent.changed().await.is_err() {
                return stream.write_all(b"0\r\n\r\n").await;
            }
        }
    }

    async fn listening(&self, stream: &mut TcpStream, request: &Recorded) -> Result<()> {
        let body: Value = serde_json::from_slice(&request.body)?;
        let (id, wanted) = (&body["id"], &body["params"]["notifications"]["resourceSubscriptions"]);
        let meta = json!({"io.modelcontextprotocol/subscriptionId": id});
        let mut sent = self.sessions.lock().unwrap()[""].subscribe();
        let mut told = *sent.borrow();
        stream.write_all(EVENTS.as_bytes()).await?;
        let granted = json!({"notifications": {"resourceSubscriptions": wanted}, "_meta": meta});
        let acknowledged =
            json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": granted});
        chunk(stream, &format!("event: message\ndata: {acknowledged}\n\n")).await?;
        loop {
            let now = *sent.borrow_and_update();
            while told < now {
                told += 1;
                let params = json!({"uri": format!("test://{}", self.name), "n": told, "_meta": meta});
                let message = json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": params});
                chunk(stream, &format!("event: message\ndata: {message}\n\n")).await?;
            }
            if sent.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Asks the client by the id in the arguments, and answers when the client has.
    async fn ask(&self, stream: &mut TcpStream, request: &Recorded) -> Result<()> {
        let body: Value = serde_json::from_slice(&request.body)?;
        let asked = &body["params"]["arguments"]["id"];
        stream.write_all(EVENTS.as_bytes()).await?;
        let params =
            json!({"message": self.name, "requestedSchema": {"type": "object"}, "_meta": {"progressToken": asked}});
        let question = json!({"jsonrpc": "2.0", "id": asked, "method": "elicitation/create", "params": params});
        chunk(stream, &format!("event: message\nid: q\ndata: {question}\n\n")).await?;
        // Servers write as they like: the answer has begun.
        chunk(stream, "event: message\nid: r\n").await?;
        let is_answer = |answer: &&Value| answer["id"] == *asked;
        let mut answers = self.answers.subscribe();
        let answers = answers.wait_for(|answers| answers.iter().any(|answer| is_answer(&answer))).await;
        let answers = answers.map_err(std::io::Error::other)?.clone();
        let answer = answers.iter().find(is_answer).map(|answer| answer["result"]["content"].clone());
        let result =
            json!({"jsonrpc": "2.0", "id": body["id"], "result": {"content": [], "structuredContent": answer}});
        chunk(stream, &format!("data: {result}\n\n")).await?;
        stream.write_all(b"0\r\n\r\n").await
    }

    fn answer(&self, request: &Recorded) -> Vec<u8> {
        let method = request.method();
        let is_legacy = self.kind != Kind::Modern;
        if is_legacy && method == "initialize" {
            return self.open(request);
        }
        if is_legacy && self.session(request).is_none() {
            return lost();
        }
        match method.as_str() {
            _ if request.verb() == "DELETE" => {
                self.sessions.lock().unwrap().remove(request.header("mcp-session-id").unwrap_or_default());
                status("200 OK", "", b"")
            }
            "server/discover" => self.json(
                request,
                json!({
                    "resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0, "cacheScope": "private",
                    "capabilities": {"tools": {}, "resources": {"subscribe": true}},
                }),
            ),
            "tools/list" => self.json(request, json!({"tools": [tool("say"), tool("ask")], "resultType": "complete"})),
            "resources/list" => {
                let uri = format!("test://{}", self.name);
                self.json(request, json!({"resources": [{"uri": uri, "name": uri}], "resultType": "complete"}))
            }
            "resources/templates/list" => {
                self.json(request, json!({"resourceTemplates": [], "resultType": "complete"}))
            }
            "tools/call" => self.json(request, json!({"content": [], "resultType": "complete"})),
            "ping" => self.json(request, json!({})),
            "" | "notifications/progress" | "notifications/cancelled" => {
                self.answers.send_modify(|answers| answers.extend(serde_json::from_slice::<Value>(&request.body)));
                status("202 Accepted", "", b"")
            }
            _ if method.starts_with("notifications/") => status("202 Accepted", "", b""),
            _ => status("404 Not Found", "", b""),
        }
    }

    fn open(&self, request: &Recorded) -> Vec<u8> {
        let mut opened = self.opened.lock().unwrap();
        *opened += 1;
        let session = format!("{}-{opened}", self.name);
        self.sessions.lock().unwrap().insert(session.clone(), watch::Sender::new(0));
        let result = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "logging": {}}, "serverInfo": {"name": self.name, "version": "1"}});
        let lines = format!("Content-Type: application/json\r\nMcp-Session-Id: {session}\r\n");
        status("200 OK", &lines, &request.result(&result.to_string()))
    }

    fn json(&self, request: &Recorded, result: Value) -> Vec<u8> {
        status("200 OK", "Content-Type: application/json\r\n", &request.result(&result.to_string()))
    }
}

fn tool(name: &str) -> Value {
    json!({"name": name, "inputSchema": {"type": "object"}})
}

fn lost() -> Vec<u8> {
    let error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"Session not found"}}"#;
    status("404 Not Found", "Content-Type: application/json\r\n", error.as_bytes())
}

fn status(status: &str, lines: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status}\r\n{lines}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

/// Sources as a gateway's configuration has them.
pub fn servers(sources: &[Source]) -> String {
    let line = |source: &Source| {
        let era = if source.kind == Kind::Modern { "modern" } else { "legacy" };
        format!("  {}: {{url: \"{}\", era: {era}}}\n", source.name, source.url())
    };
    format!("servers:\n{}", sources.iter().map(line).collect::<String>())
}
