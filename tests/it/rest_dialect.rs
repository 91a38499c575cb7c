//! Servers that speak RouteIQ's REST dialect: their tools are as good as anybody's, over REST and over MCP
//! of both eras, and the gateway remembers how they speak.

use crate::guides::UNCHECKED;
use crate::harness::eventually;
use crate::harness::gateway::{ADMIN_KEY, Gateway, KEY};
use crate::harness::http::{Client, Response};
use crate::harness::messages::{call, initialize, legacy, legacy_call, legacy_request, list, modern, request};
use crate::harness::rest_stub::RestStub;
use crate::harness::subset::differs;
use serde_json::{Value, json};

/// JSON-RPC may be tried by each round of discovery, but not by each call.
const TRIALS_MAX: u64 = 2;
const CALLS: u64 = 20;

#[tokio::test]
async fn a_server_registered_over_rest() {
    let stub = RestStub::start(&[]);
    let gateway = Gateway::start(UNCHECKED).await;
    let registration = json!({"server_id": "stub", "name": "The stub", "url": stub.url()});
    let registered = rest(&gateway, "/llmrouter/mcp/servers", &registration).await;
    demand(&registered, 200, &json!({"status": "registered", "server_id": "stub"}));
    serves(&gateway, &stub, "/mcp").await;
}

#[tokio::test]
async fn a_server_of_the_configuration_that_refuses_the_method_and_lists_bare_names() {
    let stub = RestStub::start(&["--405", "--names"]);
    let gateway =
        Gateway::start(&format!("validation: {{rest: off}}\nservers:\n  stub: {{url: \"{}\"}}", stub.url())).await;
    serves(&gateway, &stub, "/mcp").await;
}

/// Below such a URL tools are called at `/mcp/tools/call`.
#[tokio::test]
async fn a_server_whose_url_does_not_end_in_mcp() {
    let stub = RestStub::start(&[]);
    let gateway = Gateway::start(&format!(
        "validation: {{rest: off}}\nservers:\n  stub: {{url: \"http://127.0.0.1:{}\"}}",
        stub.port
    ))
    .await;
    serves(&gateway, &stub, "").await;
}

/// `path` is what JSON-RPC is tried at.
async fn serves(gateway: &Gateway, stub: &RestStub, path: &str) {
    is_listed(gateway).await;
    let trial = format!("POST {}", if path.is_empty() { "/" } else { path });
    let trials = stub.count(&trial).await;
    over_rest(gateway).await;
    over_modern_mcp(gateway).await;
    over_legacy_mcp(gateway).await;
    let calls_before = stub.count("POST /mcp/tools/call").await;
    for call in 0..CALLS {
        let answer = rest(gateway, "/mcp/tools/call", &json!({"name": "stub.echo", "arguments": {"call": call}})).await;
        demand(&answer, 200, &json!({"result": {"echo": {"call": call}}}));
    }
    assert_eq!(stub.count("POST /mcp/tools/call").await, calls_before + CALLS, "each call reached the stub once");
    let more = stub.count(&trial).await - trials;
    assert!(more <= TRIALS_MAX, "JSON-RPC was tried {more} times more");
}

async fn is_listed(gateway: &Gateway) {
    let tools = json!({"tools": [
        {"name": "stub__stub.echo", "inputSchema": {"type": "object"}},
        {"name": "stub__stub.sum"},
        {"name": "stub__stub.fail"},
    ]});
    eventually("the tools are listed", 10, || async {
        let mut client = gateway.client().await;
        let listed = list(&mut client, "/mcp", KEY, "tools/list").await;
        differs(&tools, &listed).is_none().then_some(())
    })
    .await;
    let mut client = gateway.client().await;
    let resources = list(&mut client, "/mcp", KEY, "resources/list").await;
    assert_eq!(differs(&json!({"resources": [{"uri": "stub://resource/demo"}]}), &resources), None, "{resources}");

    let session = initialize(&mut client, "/mcp", KEY).await;
    let body = legacy_request("1", "tools/list", "{}");
    let listed = client.post("/mcp", &legacy(KEY, Some(&session)), body.as_bytes()).await.unwrap();
    demand(&listed, 200, &json!({"result": tools}));

    let headers = [format!("Authorization: Bearer {KEY}")];
    let listed = client.request("GET", "/llmrouter/mcp/tools", &headers).await.unwrap();
    demand(&listed, 200, &json!({"tools": [{"server_id": "stub", "tool": "stub.echo"}]}));
}

async fn over_rest(gateway: &Gateway) {
    let at = "/llmrouter/mcp/tools/call";
    let sum = rest(gateway, at, &json!({"tool_name": "stub.sum", "arguments": {"values": [1, 2, 3.5]}})).await;
    demand(&sum, 200, &json!({"status": "success", "server_id": "stub", "result": {"sum": 6.5}}));
    let failed = rest(gateway, at, &json!({"tool_name": "stub.fail", "arguments": {}})).await;
    demand(&failed, 400, &json!({"detail": {"error": "tool_invocation_failed", "message": "<string>"}}));
    let unknown = rest(gateway, at, &json!({"tool_name": "stub.nonexistent", "arguments": {}})).await;
    demand(&unknown, 404, &json!({"detail": {"error": "tool_not_found", "message": "<string>"}}));
}

async fn over_modern_mcp(gateway: &Gateway) {
    let mut client = gateway.client().await;
    for (path, prefix) in [("/mcp", "stub__"), ("/mcp/stub", "")] {
        let echo = call(&mut client, path, &format!("{prefix}stub.echo"), r#"{"text":"hello"}"#).await.unwrap();
        demand(&echo, 200, &json!({"id": 1, "result": {"content": {"echo": {"text": "hello"}}}}));
        let failed = call(&mut client, path, &format!("{prefix}stub.fail"), "{}").await.unwrap();
        is_a_failure(&failed);
    }
    let unknown = call(&mut client, "/mcp", "stub__stub.nonexistent", "{}").await.unwrap();
    assert_eq!(unknown.error_code(), Some(-32602), "{}", unknown.text());

    let body = request("1", "resources/read", r#""uri":"stub://resource/demo","#);
    let headers = modern(KEY, "resources/read", Some("stub://resource/demo"));
    let read = client.post("/mcp", &headers, body.as_bytes()).await.unwrap();
    let contents = json!([{"uri": "stub://resource/demo", "text": "<holds what the stub has to say>"}]);
    demand(&read, 200, &json!({"result": {"contents": contents}}));
}

async fn over_legacy_mcp(gateway: &Gateway) {
    let mut client = gateway.client().await;
    let session = initialize(&mut client, "/mcp", KEY).await;
    let sum = call_in(&mut client, &session, "stub__stub.sum", r#"{"values":[1,2,3]}"#).await;
    demand(&sum, 200, &json!({"id": 1, "result": {"content": {"sum": 6}}}));
    is_a_failure(&call_in(&mut client, &session, "stub__stub.fail", "{}").await);
}

async fn call_in(client: &mut Client, session: &str, tool: &str, arguments: &str) -> Response {
    legacy_call(client, "/mcp", KEY, session, tool, arguments).await.expect("an answer")
}

/// A failed tool is a result that says so; what the server said of it is in its text.
fn is_a_failure(response: &Response) {
    let text = [json!({"type": "text", "text": "<holds stub.fail never works>"})];
    demand(response, 200, &json!({"id": 1, "result": {"isError": true, "content": text}}));
}

async fn rest(gateway: &Gateway, path: &str, body: &Value) -> Response {
    let headers = [format!("Authorization: Bearer {ADMIN_KEY}"), "Content-Type: application/json".to_owned()];
    gateway.client().await.post(path, &headers, body.to_string().as_bytes()).await.expect("an answer")
}

fn demand(response: &Response, status: u16, demand: &Value) {
    assert_eq!(response.status, status, "{}", response.text());
    assert_eq!(differs(demand, &response.json()), None, "{}", response.text());
}
