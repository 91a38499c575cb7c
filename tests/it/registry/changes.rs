//! Changes that must not happen, and changes that everybody sees at once.

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::messages::{call, list};
use crate::harness::recorder::{Recorder, Speaks, TOOL};
use crate::harness::rest::{OPEN, demand, register, rest, servers};
use crate::harness::subset::differs;
use serde_json::{Value, json};

#[tokio::test]
async fn servers_of_the_file_are_read_only_and_say_so() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let url = server.url();
    let gateway = Gateway::start(&format!("{OPEN}servers:\n  fixed: {{url: \"{url}\", alias: nailed}}")).await;
    let before = servers(&gateway).await;
    let whole = |id: &str| json!({"server_id": id, "name": id, "url": url});
    let rpc = |method: &str, params: Value| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let cases = [
        ("PUT /llmrouter/mcp/servers/fixed", whole("fixed")),
        ("DELETE /llmrouter/mcp/servers/fixed", Value::Null),
        ("POST /llmrouter/mcp/servers/fixed/tools", json!({"name": "more"})),
        ("POST /llmrouter/mcp/servers", whole("fixed")),
        ("POST /llmrouter/mcp/servers", whole("Fixed")),
        ("POST /mcp/servers", whole("nailed")),
        ("DELETE /mcp/servers/nailed", Value::Null),
        ("PUT /v1/mcp/server", json!({"server_id": "fixed", "description": "another"})),
        ("POST /v1/mcp/server", whole("fixed")),
        ("DELETE /v1/mcp/server/fixed", Value::Null),
        ("POST /mcp/servers", rpc("mcp.servers.register", whole("fixed"))),
        ("POST /mcp", rpc("mcp/servers/unregister", json!({"server_id": "fixed"}))),
        ("POST /mcp/servers/remove", json!({"server_name": "fixed"})),
    ];
    for (line, body) in cases {
        let answer = rest(&gateway, line, &body).await;
        let text = answer.text();
        assert_eq!(answer.status, 403, "{line} {body}: {text}");
        assert!(text.contains("configuration file"), "{line} {body}: {text}");
        assert_eq!(servers(&gateway).await, before, "{line} {body}");
    }
    let config = json!({"mcpServers": {"fixed": {"url": url}}}).to_string();
    let added = rest(&gateway, "POST /mcp/servers/add", &json!({"config_data": config})).await;
    demand(&added, 200, &json!({"added_servers": [], "failed_servers": [{"error": "<holds configuration file>"}]}));
    assert_eq!(servers(&gateway).await, before);
    let told = rest(&gateway, "GET /llmrouter/mcp/servers/fixed", &Value::Null).await;
    demand(&told, 200, &json!({"origin": "file"}));
}

#[tokio::test]
async fn a_put_that_fails_changes_nothing() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let other = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway =
        Gateway::start(&format!("{OPEN}servers:\n  fixed: {{url: \"{}\", alias: nailed}}", other.url())).await;
    register(&gateway, "one", &server.url(), &json!({"alias": "uno", "metadata": {"a": 1}})).await;
    register(&gateway, "two", &other.url(), &json!({"alias": "due"})).await;
    let before = servers(&gateway).await;
    let faults = [
        json!({"url": "http://169.254.169.254/latest"}),
        json!({"url": "http://10.0.0.1/mcp"}),
        json!({"url": "ftp://127.0.0.1/mcp"}),
        json!({"url": "no url"}),
        json!({"url": ""}),
        json!({"url": format!("http://127.0.0.1:{}/mcp", gateway.port)}),
        json!({"url": "http://${HOME}/mcp"}),
        json!({"alias": "two"}),
        json!({"alias": "due"}),
        json!({"alias": "fixed"}),
        json!({"alias": "nailed"}),
        json!({"alias": "servers"}),
        json!({"alias": "a/b"}),
        json!({"transport": "stdio"}),
        json!({"transport": "pigeon"}),
        json!({"auth_type": "magic"}),
        json!({"command": "sh", "args": ["-c", "true"]}),
        json!({"no_such_field": 1}),
        json!({"description": 7}),
    ];
    let surfaces = [
        ("PUT /llmrouter/mcp/servers/one", json!({"name": "One", "url": other.url()})),
        ("PUT /v1/mcp/server", json!({"server_id": "one", "server_name": "One", "url": other.url()})),
    ];
    for fault in faults {
        for (line, body) in &surfaces {
            let mut body = body.clone();
            body.as_object_mut().unwrap().extend(fault.as_object().unwrap().clone());
            let answer = rest(&gateway, line, &body).await;
            assert!((400..500).contains(&answer.status), "{line} {body}: {} {}", answer.status, answer.text());
            assert_eq!(servers(&gateway).await, before, "{line} {body}: {}", answer.text());
        }
    }
    let missing = rest(&gateway, "PUT /llmrouter/mcp/servers/three", &json!({"name": "x", "url": other.url()})).await;
    assert_eq!(missing.status, 404, "{}", missing.text());
    assert_eq!(servers(&gateway).await, before);
    let said = call(&mut gateway.client().await, "/mcp", "one__say", "{}").await.unwrap();
    assert_eq!((said.status, server.calls().len(), other.calls().len()), (200, 1, 0), "{}", said.text());
}

/// Whoever was told that a server is gone, or there, finds it so.
#[tokio::test]
async fn a_change_that_was_acknowledged_is_seen_in_native_lists() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = Gateway::start(OPEN).await;
    let mut client = gateway.client().await;
    let unregister = [
        "DELETE /llmrouter/mcp/servers/one",
        "DELETE /v1/mcp/server/one",
        "DELETE /mcp/servers/one",
        "POST /mcp/servers/remove",
        "POST /mcp/servers",
    ];
    for line in unregister {
        register(&gateway, "one", &server.url(), &json!({})).await;
        let listed = list(&mut client, "/mcp", KEY, "tools/list").await;
        assert_eq!(differs(&json!({"tools": [{"name": "one__say"}]}), &listed), None, "{listed}");
        let body = match line {
            "POST /mcp/servers/remove" => json!({"server_name": "one"}),
            "POST /mcp/servers" => {
                json!({"jsonrpc": "2.0", "id": 1, "method": "mcp.servers.unregister", "params": {"server_id": "one"}})
            }
            _ => Value::Null,
        };
        let gone = rest(&gateway, line, &body).await;
        assert!(matches!(gone.status, 200 | 202), "{line}: {} {}", gone.status, gone.text());
        let listed = list(&mut client, "/mcp", KEY, "tools/list").await;
        assert_eq!(listed["tools"], json!([]), "{line}: {listed}");
        let calls = server.calls().len();
        let refused = call(&mut client, "/mcp", "one__say", "{}").await.unwrap();
        assert_eq!((refused.error_code(), server.calls().len()), (Some(-32602), calls), "{line}: {}", refused.text());
    }
}
