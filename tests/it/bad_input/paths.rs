//! Ids in paths and in bodies that are no ids: what climbs, what hides, what is a word of ours.

use super::{Place, Shape};
use crate::harness::gateway::ADMIN_KEY;
use crate::harness::rest::{rest, rest_as};
use serde_json::{Value, json};

/// Every row with an id in its path, and the shape of its surface.
const PATHS: [(Shape, &str); 16] = [
    (Shape::Code, "GET /mcp/servers/ID"),
    (Shape::Code, "DELETE /mcp/servers/ID"),
    (Shape::Code, "GET /llmrouter/mcp/servers/ID"),
    (Shape::Code, "PUT /llmrouter/mcp/servers/ID"),
    (Shape::Code, "DELETE /llmrouter/mcp/servers/ID"),
    (Shape::Code, "POST /llmrouter/mcp/servers/ID/tools"),
    (Shape::Code, "GET /llmrouter/mcp/tools/ID"),
    (Shape::Code, "GET /v1/llmrouter/mcp/server/ID/health"),
    (Shape::Code, "GET /v1/mcp/server/ID"),
    (Shape::Code, "DELETE /v1/mcp/server/ID"),
    (Shape::Text, "GET /v0.1/servers/ID/versions"),
    (Shape::Problem, "GET /mcp/ID/tools"),
    (Shape::Problem, "GET /mcp/ID/openapi.json"),
    (Shape::Problem, "POST /mcp/ID/tools/say"),
    (Shape::Text, "GET /sessions/ID"),
    (Shape::Text, "DELETE /sessions/ID"),
];

const IDS: [&str; 12] = [
    "..",
    ".",
    "../kept",
    "x/../kept",
    "%2e%2e",
    "%2E%2e%2fkept",
    "%6bept",
    "..;",
    "kept;x",
    "kept%00",
    "..%5ckept",
    "%252e%252e",
];

#[tokio::test]
async fn an_id_in_a_path_is_taken_as_it_stands() {
    let place = Place::start().await;
    let body = |line: &str| match line {
        line if line.starts_with("PUT") => json!({"name": "x", "url": place.fresh.url()}).to_string(),
        line if line.contains("/servers/ID/tools") => json!({"name": "x"}).to_string(),
        line if line.starts_with("POST") => "{}".to_owned(),
        _ => String::new(),
    };
    for (shape, line) in PATHS {
        for id in IDS {
            let what = line.replace("ID", id);
            let answer = place.ask(&what, body(line).as_bytes(), &what).await;
            assert!(matches!(answer.status, 400 | 404), "{what}: {} {}", answer.status, answer.text());
            shape.check(&answer, &what);
        }
    }
}

/// Such an id could be reached by no path, or by another's.
#[tokio::test]
async fn an_id_in_a_body_is_an_id() {
    let mut place = Place::start().await;
    let long = "x".repeat(129);
    let ids = [
        "../x", "%2e%2e", "a/b", "a b", "é", "x\u{0}", "", " ", &long, "servers", "MCP", "v0.1", "search", "..", ".",
        "...",
    ];
    let mut taken = Vec::new();
    for id in ids {
        let url = "http://127.0.0.1:9/mcp";
        let cases = [
            ("POST /mcp/servers", json!({"server_id": id, "url": url})),
            ("POST /llmrouter/mcp/servers", json!({"server_id": id, "name": "fresh", "url": url})),
            ("POST /v1/mcp/server", json!({"server_id": id, "server_name": "fresh", "url": url})),
            ("POST /v1/mcp/server", json!({"server_id": "fresh", "alias": id, "url": url})),
            ("PUT /v1/mcp/server", json!({"server_id": "kept", "alias": id})),
        ];
        for (line, body) in cases {
            let answer = rest(&place.gateway, line, &body).await;
            if answer.status == 400 {
                Shape::Code.check(&answer, line);
                assert_eq!(Place::stored(&place.gateway).await, place.before, "{line} with {id:?}");
            } else {
                taken.push(format!("{line} with {body}: {} {}", answer.status, answer.text()));
                place = Place::start().await;
            }
        }
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
}

/// What was kept is still what it was after all of it: it answers.
#[tokio::test]
async fn a_name_that_reads_like_a_path_is_only_a_name() {
    let place = Place::start().await;
    for name in ["../kept", "kept/../other", "<script>"] {
        let config = json!({"mcpServers": {name: {"url": place.kept.url()}}}).to_string();
        let body = json!({"config_data": config}).to_string();
        let added = rest_as(&place.gateway, ADMIN_KEY, "POST /mcp/servers/add", &[], body.as_bytes()).await.json();
        assert_eq!(added["added_servers"][0]["name"], name, "{added}");
        let removed = rest(&place.gateway, "POST /mcp/servers/remove", &json!({"server_name": name})).await;
        assert_eq!(removed.json()["removed_server"], name, "{}", removed.text());
        assert_eq!(Place::stored(&place.gateway).await, place.before);
    }
    let told = rest(&place.gateway, "GET /mcp/servers/kept", &Value::Null).await;
    assert_eq!(told.json()["metadata"], json!({"a": 1}), "{}", told.text());
}
