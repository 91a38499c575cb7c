//! What the stub answers: bytes for each JSON-RPC request, by method.
//!
//! It owns the wording of both MCP eras and the raw echo of ids; it does no I/O.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::clock;

pub const STREAM_HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n";
pub const LAST_CHUNK: &str = "0\r\n\r\n";
const EMPTY_LIST: &str = r#"{"resultType":"complete","ttlMs":3600000,"cacheScope":"public","tools":[]}"#;

const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":3600000,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"bench-stub","version":"1"}}}"#;
const FILLER: &str = "The toll is paid, the bridge is open, go on.";

/// How a call of `echo` is answered; both are allowed to a server.
#[derive(Clone, Copy)]
pub enum Form {
    EventStream,
    Json,
}

/// What a stub is like.
pub struct Character {
    pub form: Form,
    /// The result of `tools/list`.
    pub tools: String,
    /// Sessions opened; nothing else is kept of them.
    pub sessions: AtomicU64,
}

pub enum Answer {
    /// Progress at a pace, then the result.
    Stream(Call),
    /// One event of progress, then nothing more.
    QuietCall(Call),
    /// Nothing at all.
    QuietSession,
    Whole(String),
}

/// A tool call as far as its answer needs it: pieces of JSON, byte for byte as they came.
pub struct Call {
    id: String,
    nonce: String,
    progress_token: String,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Params<'a>,
}

#[derive(Default, Deserialize)]
struct Params<'a> {
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    arguments: Arguments<'a>,
    #[serde(borrow, default, rename = "_meta")]
    meta: Meta<'a>,
    #[serde(borrow, rename = "protocolVersion")]
    protocol_version: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Arguments<'a> {
    #[serde(borrow)]
    nonce: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "progressToken")]
    progress_token: Option<&'a RawValue>,
}

pub fn to_post(body: &[u8], character: &Character) -> Answer {
    let Ok(request) = serde_json::from_slice::<Request>(body) else {
        let error = r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"send one JSON-RPC request"}}"#;
        return Answer::Whole(json("400 Bad Request", "", error));
    };
    let Some(id) = request.id.map(RawValue::get) else {
        return Answer::Whole(empty("202 Accepted"));
    };
    match &*request.method {
        "tools/call" => call(id, &request.params, character.form),
        "tools/list" => result(id, "", &character.tools),
        "resources/list" | "resources/templates/list" | "prompts/list" => result(id, "", EMPTY_LIST),
        "server/discover" => result(id, "", DISCOVERED),
        "initialize" => initialized(id, request.params.protocol_version, &character.sessions),
        "ping" => result(id, "", "{}"),
        _ => error(id, "404 Not Found", -32601, "unknown method: use tools/call"),
    }
}

/// What is asked without a body: the stream of a session, its end, or nothing that is served here.
pub fn to_other(method: &str, wants_events: bool) -> Answer {
    match method {
        "GET" if wants_events => Answer::QuietSession,
        "DELETE" => Answer::Whole(empty("200 OK")),
        _ => Answer::Whole(empty("405 Method Not Allowed")),
    }
}

/// `event` as one chunk of a chunked body.
pub fn chunk(event: &str) -> String {
    format!("{:x}\r\n{event}\r\n", event.len())
}

impl Call {
    /// A progress event that says when it was sent.
    pub fn progress(&self, step: u32) -> String {
        let (token, sent_ns) = (&self.progress_token, clock::now_ns());
        event(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{step},"message":"sent_ns={sent_ns};"}}}}"#
        ))
    }

    pub fn result(&self) -> String {
        event(&self.response())
    }

    fn response(&self) -> String {
        let Self { id, nonce, .. } = self;
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","content":[{{"type":"text","text":{nonce}}},{{"type":"text","text":"{FILLER}"}}],"isError":false,"_meta":{{"io.modelcontextprotocol/serverInfo":{{"name":"bench-stub","version":"1"}}}}}}}}"#
        )
    }
}

fn call(id: &str, params: &Params, form: Form) -> Answer {
    let raw = |value: Option<&RawValue>, default: &str| value.map_or(default, RawValue::get).to_owned();
    let call = Call {
        id: id.to_owned(),
        nonce: raw(params.arguments.nonce, r#""""#),
        progress_token: raw(params.meta.progress_token, id),
    };
    match (&*params.name, form) {
        ("stream", _) => Answer::Stream(call),
        ("quiet", _) => Answer::QuietCall(call),
        ("echo", Form::Json) => Answer::Whole(json("200 OK", "", &call.response())),
        ("echo", Form::EventStream) => Answer::Whole(format!("{STREAM_HEAD}{}{LAST_CHUNK}", chunk(&call.result()))),
        _ => error(id, "200 OK", -32602, "unknown tool: use echo, stream or quiet"),
    }
}

/// The answer to a legacy client. What the session is named later is not looked at.
fn initialized(id: &str, version: Option<&RawValue>, sessions: &AtomicU64) -> Answer {
    let session = sessions.fetch_add(1, Ordering::Relaxed);
    let version = version.map_or(r#""2025-11-25""#, RawValue::get);
    let text = format!(
        r#"{{"protocolVersion":{version},"capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"bench-stub","version":"1"}}}}"#
    );
    result(id, &format!("Mcp-Session-Id: bench-session-{session}\r\n"), &text)
}

fn result(id: &str, headers: &str, result: &str) -> Answer {
    Answer::Whole(json("200 OK", headers, &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)))
}

fn error(id: &str, status: &str, code: i32, message: &str) -> Answer {
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{message}"}}}}"#);
    Answer::Whole(json(status, "", &body))
}

fn event(data: &str) -> String {
    format!("event: message\ndata: {data}\n\n")
}

fn json(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

fn empty(status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")
}
