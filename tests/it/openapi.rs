//! The OpenAPI document: it is valid, a client that a generator made of it calls tools of several servers,
//! and it describes what its reader may call.

use crate::harness::gateway::{Gateway, KEY, OTHER_KEY};
use crate::harness::messages::start_discovered;
use crate::harness::peer::{Peer, Sdk};
use crate::harness::python;
use crate::harness::recorder::{Recorder, Reply, Speaks};
use crate::harness::rest::get;
use crate::harness::subset::differs;
use serde_json::{Value, json};

/// Names that are no identifiers, schemas with definitions, references and alternatives.
const ODD_TOOLS: [&str; 3] = [
    r##"{"name":"stub.echo","inputSchema":{"type":"object","properties":{"place":{"$ref":"#/$defs/place"}},
        "required":["place"],"$defs":{"place":{"type":"object","properties":{"street":{"type":"string"},
        "beside":{"$ref":"#/$defs/place"}},"required":["street"]}}}}"##,
    r#"{"name":"größer als","inputSchema":{"type":"object","properties":{"class":{"type":["integer","null"]},
        "self":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"number"}}]}}}}"#,
    r#"{"name":"no schema at all","inputSchema":true}"#,
];

#[tokio::test]
async fn a_generated_client_calls_the_tools_of_three_servers() {
    let fleet = Fleet::start().await;
    let calls = json!([
        {"tool": "ts/echo", "arguments": {"text": "größer", "nonce": "one"}},
        {"tool": "ts/add", "arguments": {"a": 1, "b": 2.5, "nonce": "two"}},
        {"tool": "py/echo", "arguments": {"text": "x"}},
        {"tool": "py/big", "arguments": {"bytes": 70_000, "nonce": "four"}},
        {"tool": "odd/stub.echo", "arguments": {"place": {"street": "a", "beside": {"street": "b"}}}},
        {"tool": "odd/größer als", "arguments": {"class": 7, "self": [1, 2.5]}},
        {"tool": "py/fail", "arguments": {}},
    ]);
    let answers = fleet.generate("/mcp/openapi.json", KEY, &calls).await;
    let demands = [
        json!({"status": 200, "type": "TsEchoOutput", "parsed": {"text": "größer"}}),
        json!({"status": 200, "type": "CallToolResult", "parsed": {"content": [{"type": "text", "text": "3.5"}]}}),
        json!({"status": 200, "type": "PyEchoOutput", "parsed": {"text": "x"}}),
        json!({"status": 200, "type": "CallToolResult"}),
        json!({"status": 200, "parsed": {"structuredContent": "<absent>",
            "content": [{"text": r#"{"place":{"street":"a","beside":{"street":"b"}}}"#}]}}),
        json!({"status": 200, "parsed": {"content": [{"text": r#"{"class":7,"self":[1,2.5]}"#}]}}),
        json!({"status": 422, "type": "Problem", "parsed": {"status": 422, "source": "upstream",
            "detail": "failed as asked", "result": {"isError": true}}}),
    ];
    assert_eq!(answers.len(), demands.len());
    for (demand, answer) in demands.iter().zip(&answers) {
        assert_eq!(differs(demand, answer), None, "{answer}");
    }
    let big = answers[3]["parsed"]["content"][0]["text"].as_str().map(str::len);
    assert_eq!(big, Some(70_000));
    assert_eq!(fleet.ts.stats().await["calls"], json!({"one": 1, "two": 1}), "each call arrived once");
    assert_eq!(fleet.py.stats().await["calls"], json!({"four": 1}));
}

#[tokio::test]
async fn a_client_of_one_server() {
    let fleet = Fleet::start().await;
    let calls = json!([{"tool": "ts/add", "arguments": {"a": 20, "b": 22}}]);
    let answers = fleet.generate("/mcp/ts/openapi.json", OTHER_KEY, &calls).await;
    let demand = json!({"status": 200, "parsed": {"content": [{"text": "42"}]}});
    assert_eq!(differs(&demand, &answers[0]), None, "{answers:?}");
    fleet.generate("/mcp/odd/openapi.json", KEY, &json!([])).await;
}

/// The answers that an option brings, and those with structured content that no schema announced.
#[tokio::test]
async fn what_is_answered_is_what_is_described() {
    let fleet = Fleet::start().await;
    fleet.odd.results("tools/call", r#"{"content":[{"type":"text","text":"t"}],"structuredContent":{"n":1}}"#);
    let whole = json!([{"tool": "py/echo", "arguments": {"text": "x"}, "result": "whole"}]);
    let demand = json!({"status": 200, "parsed": {"structuredContent": {"text": "x"}, "content": [{"type": "text"}]}});
    let answers = fleet.generate("/mcp/py/openapi.json", KEY, &whole).await;
    assert_eq!(differs(&demand, &answers[0]), None, "{answers:?}");
    let loose = json!([{"tool": "odd/no schema at all", "arguments": {}}]);
    let answers = fleet.generate("/mcp/odd/openapi.json", KEY, &loose).await;
    assert_eq!(differs(&json!({"status": 200, "parsed": {"n": 1}}), &answers[0]), None, "{answers:?}");
}

/// Listed and callable are the same: a document names no server that its reader's key does not open.
#[tokio::test]
async fn a_key_sees_the_tools_of_its_servers_only() {
    let fleet = Fleet::start().await;
    let servers = |document: Value| {
        let paths = document["paths"].as_object().cloned().unwrap_or_default();
        let mut servers: Vec<String> = paths.keys().map(|path| path.split('/').nth(2).unwrap().to_owned()).collect();
        servers.dedup();
        servers
    };
    let all = get(&fleet.gateway, "/mcp/openapi.json", KEY).await;
    assert_eq!((all.status, servers(all.json())), (200, vec!["odd".into(), "py".into(), "ts".into()]));
    let own = get(&fleet.gateway, "/mcp/openapi.json", OTHER_KEY).await;
    assert_eq!((own.status, servers(own.json())), (200, vec!["ts".into()]));
    let mut text = own.text();
    text.make_ascii_lowercase();
    assert!(!text.contains("py__") && !text.contains("odd__"), "schemas of others are there: {text}");

    let others = get(&fleet.gateway, "/mcp/py/openapi.json", OTHER_KEY).await;
    let unknown = get(&fleet.gateway, "/mcp/nobody/openapi.json", OTHER_KEY).await;
    assert_eq!((others.status, unknown.status), (404, 404));
    let said = |text: String| text.replace("nobody", "py").split("requestId").next().unwrap().to_owned();
    assert_eq!(said(others.text()), said(unknown.text()), "what is not to be seen is unknown");
}

struct Fleet {
    ts: Peer,
    py: Peer,
    odd: Recorder,
    gateway: Gateway,
}

impl Fleet {
    async fn start() -> Fleet {
        let (ts, py) = (Peer::start(Sdk::TypeScriptV2), Peer::start(Sdk::PythonV2));
        let odd = Recorder::start(Speaks::Modern, &ODD_TOOLS).await;
        odd.answers(|call| {
            let message: Value = serde_json::from_slice(&call.body).unwrap();
            let text = message["params"]["arguments"].to_string();
            Reply::Json(call.result(&json!({"content": [{"type": "text", "text": text}]}).to_string()))
        });
        let gateway = start_discovered(&format!(
            "keys:\n  - {{id: app, key: {KEY}}}\n  - {{id: narrow, key: {OTHER_KEY}, servers: [ts]}}\n\
             servers:\n  ts: {{url: \"{}\"}}\n  py: {{url: \"{}\"}}\n  odd: {{url: \"{}\"}}",
            ts.url(),
            py.url(),
            odd.url()
        ))
        .await;
        Fleet { ts, py, odd, gateway }
    }

    /// Validates a document, makes a client of it, and has it make these calls.
    async fn generate(&self, path: &str, key: &str, calls: &Value) -> Vec<Value> {
        let mut command = python::program("generated.py");
        command.args(["--document", &self.gateway.url(path), "--key", key, "--calls", &calls.to_string()]);
        let said = python::run(command).await;
        said.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}
