//! Credentials of servers: kept, sent, and told to nobody.

use crate::harness::gateway::Gateway;
use crate::harness::recorder::{Recorder, Speaks, TOOL};
use crate::harness::rest::{OPEN, rest};
use serde_json::{Value, json};

/// Secrets go where they belong, and are told to nobody.
#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    const CANARY: &str = "canary-5ecret";
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let mut gateway = Gateway::start(OPEN).await;
    let cases = [
        (
            "POST /llmrouter/mcp/servers",
            "authorization",
            json!({"name": "bearer", "auth_type": "bearer_token", "metadata": {"auth_token": CANARY}}),
        ),
        (
            "POST /llmrouter/mcp/servers",
            "x-api-key",
            json!({"name": "key", "auth_type": "api_key", "metadata": {"api_key": CANARY}}),
        ),
        (
            "POST /v1/mcp/server",
            "authorization",
            json!({"server_id": "lite", "server_name": "lite", "auth_type": "bearer_token", "credentials": {"auth_value": CANARY}}),
        ),
        (
            "POST /v1/mcp/server",
            "x-static",
            json!({"server_id": "static", "server_name": "static", "static_headers": {"X-Static": CANARY}}),
        ),
        (
            "POST /mcp/servers/add",
            "x-added",
            json!({"config_data": json!({"mcpServers": {"added": {"url": server.url(), "headers": {"X-Added": CANARY}}}}).to_string()}),
        ),
    ];
    for (line, _, body) in &cases {
        let mut body = body.clone();
        if !line.ends_with("/add") {
            body["url"] = server.url().into();
        }
        let answer = rest(&gateway, line, &body).await;
        assert!(matches!(answer.status, 200 | 201), "{line}: {}", answer.text());
        assert!(!answer.text().contains(CANARY), "{line}: {}", answer.text());
    }
    for is_restarted in [false, true] {
        if is_restarted {
            gateway.restart().await;
        }
        for ((_, header, _), id) in cases.iter().zip(["bearer", "key", "lite", "static", "added"]) {
            let said = rest(&gateway, &format!("POST /mcp/{id}/tools/say"), &json!({})).await;
            assert_eq!(said.status, 200, "{id}: {}", said.text());
            let sent = server.last_call().header(header).map(str::to_owned);
            assert!(sent.as_deref().is_some_and(|sent| sent.ends_with(CANARY)), "{id}: {sent:?}");
        }
    }
    let shown = [
        "/mcp",
        "/mcp/servers",
        "/mcp/servers?view=map",
        "/mcp/servers/bearer",
        "/mcp/tools",
        "/llmrouter/mcp/servers",
        "/llmrouter/mcp/servers/bearer",
        "/llmrouter/mcp/servers/key",
        "/v1/llmrouter/mcp/server/health",
        "/v1/llmrouter/mcp/registry.json",
        "/v1/mcp/server",
        "/v1/mcp/server/lite",
        "/v1/mcp/server/static",
        "/v1/mcp/server/added",
        "/v1/mcp/registry.json",
        "/v1/mcp/tools",
        "/mcp-rest/tools/list",
        "/v0.1/servers",
        "/mcp/bearer/openapi.json",
        "/sessions",
        "/health",
    ];
    for path in shown {
        let told = rest(&gateway, &format!("GET {path}"), &Value::Null).await;
        assert_eq!(told.status, 200, "{path}: {}", told.text());
        assert!(!told.text().contains(CANARY), "{path}: {}", told.text());
    }
    let refused = rest(&gateway, "POST /llmrouter/mcp/servers", &json!({"name": "x", "url": "http://10.0.0.1/", "auth_type": "bearer_token", "metadata": {"auth_token": CANARY}})).await;
    assert!(refused.status == 400 && !refused.text().contains(CANARY), "{}", refused.text());
    for text in [gateway.log(), gateway.access_log(), gateway.metrics().await] {
        assert!(!text.contains(CANARY), "{text}");
    }
}
