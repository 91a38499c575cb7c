//! What the files are played on: a gateway before servers of each kind. Three are in its file: `main`
//! (modern), `old` (legacy), `rest` (the REST dialect). `fresh` and `other` are for registrations, and
//! `never` for those that are refused: it is asked nothing, not even by the gateway itself.

use super::golden::Golden;
use super::words::Words;
use crate::harness::eventually;
use crate::harness::gateway::{ADMIN_KEY, Gateway, KEY, OTHER_KEY};
use crate::harness::http::{Client, Response};
use crate::harness::messages::start_discovered;
use crate::harness::recorder::{Recorded, Recorder, Reply, Speaks, event};
use std::fmt::Write;
use std::time::Duration;

pub struct Stage {
    gateway: Gateway,
    servers: Vec<(&'static str, Recorder)>,
    words: Words,
}

/// What frames a message, and says nothing about it.
const FRAMING: [&str; 6] = ["host", "content-length", "transfer-encoding", "connection", "date", "keep-alive"];

impl Stage {
    pub async fn set(configuration: &str) -> Stage {
        let servers = vec![
            ("modern", modern().await),
            ("legacy", legacy().await),
            ("rest", rest().await),
            ("fresh", fresh("greet", "Say hello to somebody").await),
            ("other", fresh("part", "Say goodbye").await),
            ("never", fresh("never", "Never to be seen").await),
        ];
        let url = |name: &str| servers.iter().find(|(known, _)| *known == name).map(|(_, server)| server.url());
        let url = |name: &str| url(name).expect("a server");
        // Nothing is asked of a server but for the sake of a request.
        let text = format!(
            "outbound: {{allow: [\"127.0.0.0/8\"]}}\ndiscovery: {{interval: 1h}}\n{configuration}\nservers:\n  \
             main: {{url: \"{}\", name: The main server, description: Of this era, access_groups: [green, blue], health: {{interval: 1h}}}}\n  \
             old: {{url: \"{}\", health: {{interval: 1h}}}}\n  rest: {{url: \"{}\", health: {{interval: 1h}}}}",
            url("modern"),
            url("legacy"),
            url("rest")
        );
        let gateway = start_discovered(&text).await;
        let mut words = Words::default();
        for (name, server) in &servers {
            words.know(name, &server.port.to_string());
        }
        for (word, key) in [("user key", KEY), ("other key", OTHER_KEY), ("admin key", ADMIN_KEY)] {
            words.know(word, key);
        }
        Stage { gateway, servers, words }
    }

    /// What came of a file's request, as a file has it.
    pub async fn play(&mut self, golden: &Golden) -> String {
        let before: Vec<usize> = self.servers.iter().map(|(_, server)| server.requests().len()).collect();
        let reply = self.ask(golden).await;
        // One that the caller chose is to come back as it was.
        let is_chosen = |id: &&str| golden.headers.iter().any(|line| line.ends_with(id));
        let request_id = reply.header("x-request-id").filter(|id| !is_chosen(id)).map(str::to_owned);
        let mut came = String::new();
        for ((name, server), before) in self.servers.iter().zip(before) {
            let shows_looks = golden.looks.as_deref() == Some(*name) || *name == "never";
            if golden.looks.as_deref() == Some(*name) {
                eventually("the last question of a look", 5, || async { server.of("initialize").pop() }).await;
            }
            let is_shown = |request: &Recorded| shows_looks || !is_look(request, *name == "legacy");
            for request in server.requests().into_iter().skip(before).filter(is_shown) {
                let _ = writeln!(came, "-- upstream {name}\n{}", shown(&request));
            }
        }
        if came.is_empty() {
            came.push_str("-- upstream nothing\n");
        }
        let _ = writeln!(came, "-- reply\n{}", replied(&reply));
        self.words.told(&came, request_id.as_deref())
    }

    async fn ask(&self, golden: &Golden) -> Response {
        let (target, body) = (self.words.meant(&golden.target), self.words.meant(&golden.body));
        let mut head = format!("{} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n", golden.verb);
        for line in &golden.headers {
            let _ = write!(head, "{}\r\n", self.words.meant(line));
        }
        if !body.is_empty() || matches!(golden.verb.as_str(), "POST" | "PUT") {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        let mut client = Client::connect(self.gateway.port).await.expect("the gateway accepts");
        client.send(format!("{head}\r\n{body}").as_bytes()).await.expect("the request is taken");
        let name = golden.path.display();
        let reply = async {
            match golden.events {
                _ if golden.verb == "HEAD" => client.head().await,
                None => client.response().await,
                Some(events) => first_events(&mut client, events).await,
            }
        };
        let reply = tokio::time::timeout(Duration::from_secs(20), reply).await;
        reply.unwrap_or_else(|_| panic!("{name}: no reply in time")).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

async fn first_events(client: &mut Client, events: usize) -> std::io::Result<Response> {
    let mut reply = client.head().await?;
    while reply.text().matches("\n\n").count() < events {
        match client.chunk().await? {
            Some(chunk) => reply.body.extend(chunk),
            None => break,
        }
    }
    Ok(reply)
}

/// Whether the gateway asks by itself, which it does when it likes. At a legacy server a session is
/// opened for a call; at the start it was looked at before.
fn is_look(request: &Recorded, is_legacy: bool) -> bool {
    let method = request.method();
    match method.as_str() {
        "server/discover" | "ping" => true,
        "" => request.verb() == "GET",
        "initialize" => !is_legacy,
        method => method.ends_with("/list"),
    }
}

fn shown(request: &Recorded) -> String {
    let mut lines = request.head.trim_end().split("\r\n");
    let target = lines.next().unwrap_or_default().trim_end_matches(" HTTP/1.1");
    let mut headers: Vec<String> = lines.filter_map(|line| line.split_once(':').map(|(n, v)| field(n, v))).collect();
    whole(target, &mut headers, &request.text())
}

fn replied(reply: &Response) -> String {
    let mut headers: Vec<String> = reply.headers.iter().map(|(name, value)| field(name, value)).collect();
    whole(&reply.status.to_string(), &mut headers, &reply.text())
}

fn field(name: &str, value: &str) -> String {
    // Sealed, so another one each time.
    let value = if name.eq_ignore_ascii_case("mcp-session-id") && value.len() > 64 { "<session id>" } else { value };
    format!("{}: {}", name.to_lowercase(), value.trim())
}

fn whole(first: &str, headers: &mut Vec<String>, body: &str) -> String {
    headers.retain(|line| !FRAMING.iter().any(|name| line.split(':').next() == Some(name)));
    headers.sort();
    let headers: String = headers.iter().map(|line| format!("\n{line}")).collect();
    let body = body.trim_end();
    if body.is_empty() { format!("{first}{headers}") } else { format!("{first}{headers}\n\n{body}") }
}

const TEXT: &str =
    r#"{"type":"object","properties":{"text":{"type":"string","description":"What to say"}},"required":["text"]}"#;

/// Each of its tools has another outcome.
async fn modern() -> Recorder {
    let echo = format!(r#"{{"name":"echo","title":"Echo","description":"Say a text again","inputSchema":{TEXT}}}"#);
    let tools = [
        echo.as_str(),
        r#"{"name":"structured","description":"Structured content","inputSchema":{"type":"object"},"outputSchema":{"type":"object"}}"#,
        r#"{"name":"fails","inputSchema":{"type":"object"}}"#,
        r#"{"name":"refuses","inputSchema":{"type":"object"}}"#,
        r#"{"name":"asks","inputSchema":{"type":"object"}}"#,
        r#"{"name":"counts","inputSchema":{"type":"object"}}"#,
    ];
    let server = Recorder::start(Speaks::Modern, &tools).await;
    server.results(
        "server/discover",
        r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{}},"ttlMs":0,"cacheScope":"public"}"#,
    );
    server.results(
        "resources/list",
        r#"{"resultType":"complete","resources":[{"uri":"stub://resource/demo","name":"demo"}]}"#,
    );
    server.results("resources/templates/list", r#"{"resultType":"complete","resourceTemplates":[]}"#);
    server.answers(answer);
    server
}

fn answer(call: &Recorded) -> Reply {
    let tool = call.member("/params/name").unwrap_or_default();
    let result = |result: &str| Reply::Json(call.result(result));
    match tool.as_str() {
        "structured" => result(
            r#"{"content":[{"type":"text","text":"18446744073709551617"}],"structuredContent":{"n":18446744073709551617, "e":1e400},"resultType":"complete"}"#,
        ),
        "fails" => {
            result(r#"{"content":[{"type":"text","text":"the disk is full"}],"isError":true,"resultType":"complete"}"#)
        }
        "refuses" => Reply::Json(call.error(r#"{"code":-32602,"message":"no such text","data":{"text":"gone"}}"#)),
        "asks" => result(
            r#"{"resultType":"input_required","inputRequests":{"who":{"method":"elicitation/create","params":{"mode":"form","message":"Who are you?","requestedSchema":{"type":"object","properties":{}}}}},"requestState":"s"}"#,
        ),
        "counts" => {
            // It says how far it is, whether it was asked to or not.
            let token = call.member("/params/_meta/progressToken").unwrap_or_default();
            let progress = |step: u8| {
                let params = format!(r#"{{"progressToken":{token:?},"progress":{step},"total":2}}"#);
                event(format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#).as_bytes())
            };
            let last = event(&call.result(r#"{"content":[{"type":"text","text":"two"}],"resultType":"complete"}"#));
            Reply::Events([progress(1), progress(2), last].map(|event| (Duration::ZERO, event)).into())
        }
        _ => result(
            r#"{"content":[{"type":"text","text":"hello"},{"type":"text","text":"again"}],"resultType":"complete"}"#,
        ),
    }
}

async fn legacy() -> Recorder {
    let server = Recorder::start(Speaks::Legacy, &[r#"{"name":"recall","inputSchema":{"type":"object"}}"#]).await;
    server.results("tools/call", r#"{"content":[{"type":"text","text":"I remember"}]}"#);
    server
}

/// RouteIQ's stub, as far as it is asked here.
async fn rest() -> Recorder {
    let server = Recorder::start(Speaks::Modern, &[]).await;
    let missing = || Reply::Status("404 Not Found", json(), br#"{"detail":"Not Found"}"#.to_vec());
    for method in ["server/discover", "initialize", "tools/list", "ping"] {
        server.answers_to(method, move |_| missing());
    }
    server.answers_to("", move |request| {
        let ok = |body: &str| Reply::Json(body.into());
        let target = request.head.split(' ').nth(1).unwrap_or_default();
        match (request.verb(), target) {
            ("GET", "/mcp/tools") => ok(
                r#"{"tools":[{"name":"stub.sum","description":"Add numbers","input_schema":{"type":"object"}},{"name":"stub.fail","input_schema":{"type":"object"}}]}"#,
            ),
            ("GET", "/mcp/resources") => ok(r#"{"resources":[]}"#),
            ("GET", _) => ok(r#"{"status":"healthy"}"#),
            ("POST", "/mcp/tools/call") if request.text().contains("stub.fail") => {
                Reply::Status("500 Internal Server Error", json(), br#"{"detail":"the stub fails"}"#.to_vec())
            }
            ("POST", "/mcp/tools/call") => ok(r#"{"status":"success","tool_name":"stub.sum","result":{"sum":3.0}}"#),
            _ => missing(),
        }
    });
    server
}

fn json() -> String {
    "Content-Type: application/json\r\n".to_owned()
}

async fn fresh(tool: &str, description: &str) -> Recorder {
    let tool = format!(r#"{{"name":"{tool}","description":"{description}","inputSchema":{TEXT}}}"#);
    Recorder::start(Speaks::Modern, &[&tool]).await
}
