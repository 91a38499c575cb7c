//! The Rust SDK as the client, in both eras, through the gateway and before the servers of all SDKs.
//! As in `matrix`, the table says what must be seen, no more and no less.

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::peer::{Peer, Sdk};
use rmcp::model::*;
use rmcp::service::{NotificationContext, RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

#[derive(Clone, Copy, Debug)]
enum Expectation {
    Works,
    /// The server does not have it: it refuses, or has nothing to give.
    NotOffered,
}

const W: Expectation = Expectation::Works;
const N: Expectation = Expectation::NotOffered;
const MODERN: ProtocolVersion = ProtocolVersion::V_2026_07_28;
const LEGACY: ProtocolVersion = ProtocolVersion::V_2025_11_25;

const SERVERS: [(&str, Sdk, ProtocolVersion); 6] = [
    ("ts2", Sdk::TypeScriptV2, MODERN),
    ("py2", Sdk::PythonV2, MODERN),
    ("rust-modern", Sdk::RustModern, MODERN),
    ("ts1", Sdk::TypeScriptV1, LEGACY),
    ("py1", Sdk::PythonV1, LEGACY),
    ("rust-legacy", Sdk::RustLegacy, LEGACY),
];

const FEATURES: [(&str, [Expectation; SERVERS.len()]); 15] = [
    ("connect", [W, W, W, W, W, W]),
    ("tools/list", [W, W, W, W, W, W]),
    ("tools/call", [W, W, W, W, W, W]),
    ("tools/call:structured", [W, W, W, W, W, W]),
    ("tools/call:isError", [W, W, W, W, W, W]),
    ("tools/call:unknown", [W, W, W, W, W, W]),
    ("progress", [W, W, W, W, W, W]),
    // The Rust servers do not count what is cancelled.
    ("cancel:server", [W, W, N, W, W, N]),
    ("cancel", [W, W, W, W, W, W]),
    ("resources/list", [W, W, W, W, W, W]),
    ("resources/read", [W, W, W, W, W, W]),
    ("prompts/list", [W, W, W, W, W, W]),
    ("prompts/get", [W, W, W, W, W, W]),
    ("completion", [W, W, N, W, W, N]),
    ("ping", [N, N, N, W, W, W]),
];

#[tokio::test]
async fn a_modern_rust_client_can_do_what_the_table_says() {
    let preferred_versions = vec![MODERN];
    hold(MODERN, ClientLifecycleMode::Discover { preferred_versions }).await;
}

#[tokio::test]
async fn a_legacy_rust_client_can_do_what_the_table_says() {
    hold(LEGACY, ClientLifecycleMode::Initialize).await;
}

/// Runs the client against every server of its era, over both paths, and compares. The servers of
/// the other era are there as well: a client must not notice them.
async fn hold(version: ProtocolVersion, lifecycle: ClientLifecycleMode) {
    let starting = SERVERS.map(|(_, sdk, _)| tokio::task::spawn_blocking(move || Peer::start(sdk)));
    let (mut peers, mut listed) = (Vec::new(), String::new());
    for (peer, (id, ..)) in starting.into_iter().zip(SERVERS) {
        let peer = peer.await.expect("a server");
        listed += &format!("  {id}: {{url: \"{}\"}}\n", peer.url());
        peers.push(peer);
    }
    let gateway = Gateway::start(&format!("discovery: {{start_wait: 10s}}\nservers:\n{listed}")).await;

    let mut wrong = Vec::new();
    for (column, (id, sdk, _)) in SERVERS.into_iter().enumerate().filter(|(_, server)| server.2 == version) {
        for (path, prefix) in [("/mcp".to_owned(), format!("{id}__")), (format!("/mcp/{id}"), String::new())] {
            let native = (!matches!(sdk, Sdk::RustModern | Sdk::RustLegacy)).then_some(&peers[column]);
            let running = connect(&gateway.url(&path), version.clone(), lifecycle.clone()).await;
            let client = Client { running, prefix, native };
            for (feature, row) in FEATURES {
                let seen = timeout(Duration::from_secs(10), client.attempt(feature)).await;
                match (row[column], seen) {
                    (Expectation::Works, Ok(Ok((seen, wanted)))) if seen == wanted => {}
                    (Expectation::NotOffered, Ok(Err(ServiceError::McpError(error)))) if is_refusal(&error) => {}
                    (Expectation::NotOffered, Ok(Ok((Value::Null, _)))) => {}
                    (expected, seen) => wrong.push(format!("{id} {path} {feature}: {seen:?}, not {expected:?}")),
                }
            }
            client.running.cancel().await.expect("the client ends");
        }
    }
    assert!(wrong.is_empty(), "{version}:\n{}", wrong.join("\n"));
}

fn is_refusal(error: &ErrorData) -> bool {
    [ErrorCode::METHOD_NOT_FOUND, ErrorCode::INVALID_PARAMS].contains(&error.code)
}

type Running = RunningService<RoleClient, Listener>;

async fn connect(url: &str, version: ProtocolVersion, lifecycle: ClientLifecycleMode) -> Running {
    let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(KEY);
    let listener = Listener(ClientConfig::default().with_protocol_version(version), Arc::default());
    let transport = StreamableHttpClientTransport::from_config(config);
    let running = listener.serve_with_lifecycle(transport, lifecycle).await;
    running.unwrap_or_else(|error| panic!("{url}: {error:?}"))
}

/// Introduces the client, and notes the progress that is reported to it.
struct Listener(ClientConfig, Arc<Mutex<Vec<f64>>>);

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        self.0.clone()
    }

    async fn on_progress(&self, progress: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        self.1.lock().expect("a list").push(progress.progress);
    }
}

struct Client<'a> {
    running: Running,
    prefix: String,
    /// The server, where it counts what it sees and offers what `tests/peers/shared` says.
    native: Option<&'a Peer>,
}

impl Client<'_> {
    /// What is seen of a feature, beside what should be; null where there is nothing to see.
    async fn attempt(&self, feature: &str) -> Result<(Value, Value), ServiceError> {
        let client = &self.running;
        let named = |name: &str| format!("{}{name}", self.prefix);
        let rust = ("demo://readme", "# tools-20");
        let (uri, text) = self.native.map_or(rust, |_| ("test://static", "static text"));
        Ok(match feature {
            "connect" => {
                let info = client.peer_info().expect("what the server said of itself");
                (json!(info.protocol_version), json!(client.service().0.protocol_version))
            }
            "tools/list" => {
                let listed = client.list_all_tools().await?;
                let mut wanted = ["echo", "add", "count", "slow", "fail"].map(named).to_vec();
                wanted.retain(|name| !listed.iter().any(|tool| tool.name == *name));
                (json!(wanted), json!([]))
            }
            "tools/call" => {
                let seen = self.call("add", json!({"a": 2, "b": 3})).await?;
                (seen, json!(["5", null, false]))
            }
            "tools/call:structured" => {
                let seen = self.call("echo", json!({"text": "hi"})).await?;
                (seen, json!(["hi", {"text": "hi"}, false]))
            }
            "tools/call:isError" => {
                let seen = self.call("fail", json!({})).await?;
                (seen, json!(["failed as asked", null, true]))
            }
            "tools/call:unknown" => match self.call("nope", json!({})).await {
                Err(ServiceError::McpError(error)) => (json!(is_refusal(&error)), json!(true)),
                result => (result?[2].clone(), json!(true)),
            },
            "progress" => {
                client.service().1.lock().expect("a list").clear();
                self.call("count", json!({"n": 3})).await?;
                // Each notification is handled in a task of its own; the last may still be at it.
                sleep(Duration::from_millis(100)).await;
                (json!(client.service().1), json!([1.0, 2.0, 3.0]))
            }
            "cancel" => (json!(self.cancel().await?), json!(true)),
            "cancel:server" if self.native.is_none() => (Value::Null, Value::Null),
            "cancel:server" => {
                let before = self.cancelled().await;
                self.cancel().await?;
                let counted = async {
                    while self.cancelled().await == before {
                        sleep(Duration::from_millis(20)).await;
                    }
                };
                (json!(timeout(Duration::from_secs(2), counted).await.is_ok()), json!(true))
            }
            "resources/list" => {
                let listed = client.list_all_resources().await?;
                (json!(listed.iter().any(|resource| resource.uri == uri)), json!(true))
            }
            "resources/read" => {
                let read = json!(client.read_resource(ReadResourceRequestParams::new(uri)).await?);
                let seen = read["contents"][0]["text"].as_str().and_then(|seen| seen.get(..text.len()));
                (json!(seen), json!(text))
            }
            "prompts/list" => {
                let listed = client.list_all_prompts().await?;
                (json!(listed.iter().any(|prompt| prompt.name == named("greet"))), json!(true))
            }
            "prompts/get" => {
                let get = json!({"name": named("greet"), "arguments": {"name": "ada"}});
                let got = json!(client.get_prompt(read(get)).await?);
                (got["messages"][0]["content"]["text"].clone(), json!("Hello ada"))
            }
            "completion" => {
                let values = client.complete_prompt_simple(named("greet"), "name", "a").await?;
                let seen = json!(Some(values).filter(|values| !values.is_empty()));
                (seen, json!(["ada", "alan"]))
            }
            "ping" => {
                let ping: PingRequest = read(json!({"method": "ping"}));
                (json!(client.send_request(ping.into()).await?), json!({}))
            }
            other => panic!("{other} is not a feature"),
        })
    }

    /// Text, structure, and whether it is an error.
    async fn call(&self, tool: &str, arguments: Value) -> Result<Value, ServiceError> {
        let params = json!({"name": format!("{}{tool}", self.prefix), "arguments": arguments});
        let result = self.running.call_tool(read(params)).await?;
        let text = result.content[0].as_text().map(|text| &text.text);
        Ok(json!([text, result.structured_content, result.is_error == Some(true)]))
    }

    /// Cancels a call of 8 s after 300 ms: whether it ends at once.
    async fn cancel(&self) -> Result<bool, ServiceError> {
        let params = json!({"name": format!("{}slow", self.prefix), "arguments": {"ms": 8000}});
        let slow = CallToolRequest::new(read(params));
        let handle = self.running.send_cancellable_request(slow.into(), Default::default()).await?;
        sleep(Duration::from_millis(300)).await;
        let since = Instant::now();
        let cancelled = CancelledNotificationParam::new(Some(handle.id.clone()), Some("enough".to_owned()));
        self.running.notify_cancelled(cancelled).await?;
        let ended = handle.await_response().await;
        Ok(matches!(ended, Err(ServiceError::Cancelled { .. })) && since.elapsed() < Duration::from_secs(1))
    }

    /// How many calls the server saw cancelled.
    async fn cancelled(&self) -> Option<u64> {
        self.native?.stats().await["cancelled"].as_u64()
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("it is well-formed")
}
