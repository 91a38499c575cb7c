//! What the guides of RouteIQ, LiteLLM and oliverye's gateway print, run against Tollbridge as it is printed.

use crate::harness::gateway::{ADMIN_KEY, Gateway, KEY};
use crate::harness::guide::{Variables, follow};
use crate::harness::recorder::{Recorded, Recorder, Reply, Speaks};
use serde_json::{Value, json};

/// Registrations come over the surfaces, and these servers are on loopback.
pub const CONFIGURATION: &str = "outbound: {allow: [\"127.0.0.0/8\"]}\nservers: {}";

/// RouteIQ's own validation sends arguments that the schema of its stub does not have.
pub const UNCHECKED: &str = "validation: {rest: warn}\noutbound: {allow: [\"127.0.0.0/8\"]}\nservers: {}";

#[tokio::test]
async fn routeiq() {
    let titles = run(include_str!("../fixtures/guides/routeiq.txt"), &[]).await;
    assert!(titles.len() >= 25, "{titles:?}");
}

#[tokio::test]
async fn litellm() {
    let titles = run(include_str!("../fixtures/guides/litellm.txt"), &[]).await;
    assert!(titles.len() >= 25, "{titles:?}");
}

#[tokio::test]
async fn oliverye() {
    let headers = [format!("Authorization: Bearer {ADMIN_KEY}"), "X-MCP-Compat: oliverye".to_owned()];
    let titles = run(include_str!("../fixtures/guides/oliverye.txt"), &headers).await;
    assert!(titles.len() >= 25, "{titles:?}");
}

async fn run(guide: &str, headers: &[String]) -> Vec<String> {
    let upstream = upstream().await;
    let gateway = Gateway::start(CONFIGURATION).await;
    follow(guide, headers, variables(&gateway, &upstream.url())).await
}

pub fn variables(gateway: &Gateway, stub_url: &str) -> Variables {
    let variables = [
        ("GATEWAY", gateway.url("")),
        ("KEY", KEY.into()),
        ("ADMIN_KEY", ADMIN_KEY.into()),
        ("STUB_URL", stub_url.into()),
    ];
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A server with every tool and resource that a guide speaks of; each tool gives its arguments back.
async fn upstream() -> Recorder {
    let tools = [
        ("search", "Search the web for pages"),
        ("fetch", "Fetch a page"),
        ("write", "Write a page"),
        ("store", "Store a page"),
        ("stub.echo", "Give the arguments back"),
        ("getPlaces", "Find places"),
        ("ping", "Answer"),
        ("order_status", "How an order stands"),
        ("search_web", "Search the web for information"),
    ];
    let schema = json!({"type": "object"});
    let tools = tools.map(|(name, description)| {
        json!({"name": name, "description": description, "inputSchema": schema}).to_string()
    });
    let upstream = Recorder::start(Speaks::Modern, &tools.each_ref().map(String::as_str)).await;
    upstream.results(
        "server/discover",
        r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"resources":{}},"ttlMs":0,"cacheScope":"public"}"#,
    );
    upstream.results(
        "resources/list",
        r#"{"resultType":"complete","resources":[{"uri":"documents","name":"documents"},{"uri":"images","name":"images"}]}"#,
    );
    upstream.results("resources/templates/list", r#"{"resultType":"complete","resourceTemplates":[]}"#);
    upstream.answers(echo);
    upstream
}

fn echo(call: &Recorded) -> Reply {
    let message: Value = serde_json::from_slice(&call.body).expect("a call is JSON");
    let said = json!({"echo": message["params"]["arguments"]}).to_string();
    let result = json!({"content": [{"type": "text", "text": said}], "resultType": "complete"});
    Reply::Json(call.result(&result.to_string()))
}

/// What the other tests here lean on: a title in a guide is a proof.
#[tokio::test]
#[should_panic(expected = "demands nothing of the body")]
async fn an_example_that_demands_nothing_fails() {
    follow("\n## A title\ncurl http://127.0.0.1\n-> 200\n", &[], Variables::new()).await;
}
