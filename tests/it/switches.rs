//! Surfaces that are switched off: nothing answers at their paths, and nobody else gets these.

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::messages::{call, list};
use crate::harness::recorder::{Recorder, Speaks, TOOL};
use crate::harness::rest::{OPEN, rest, rest_as};
use serde_json::{Value, json};

/// Per switch what is served with it alone, and what it answers there.
const SURFACES: [(&str, &[(&str, u16)]); 5] = [
    (
        "routeiq",
        &[
            ("GET /mcp/resources", 200),
            ("GET /mcp/servers/rec", 200),
            ("POST /mcp/tools/call", 200),
            ("GET /mcp/transport", 200),
            ("GET /llmrouter/mcp/servers", 200),
            ("GET /v1/llmrouter/mcp/registry.json", 200),
            ("POST /llmrouter/mcp/tools/call", 200),
        ],
    ),
    (
        "litellm",
        &[
            ("GET /v1/mcp/server", 200),
            ("GET /v1/mcp/tools", 200),
            ("GET /v1/mcp/registry.json", 200),
            ("GET /mcp-rest/tools/list", 200),
            ("POST /mcp-rest/tools/call", 200),
            ("GET /mcp/oauth/callback", 501),
        ],
    ),
    (
        "oliverye",
        &[
            ("POST /mcp/execute", 200),
            ("POST /mcp/servers/remove", 404),
            ("GET /sessions", 200),
            ("POST /sessions/create", 200),
            ("GET /health", 200),
        ],
    ),
    ("registry_api", &[("GET /v0.1/servers", 200), ("GET /v0.1/servers/dev.tollbridge%2Frec/versions", 200)]),
    (
        "plain",
        &[
            ("GET /mcp/rec/tools", 200),
            ("GET /mcp/openapi.json", 200),
            ("GET /mcp/rec/openapi.json", 200),
            ("POST /mcp/rec/tools/say", 200),
        ],
    ),
];

fn body(line: &str) -> Value {
    match line {
        "POST /mcp-rest/tools/call" => json!({"server_id": "rec", "name": "say"}),
        line if line.ends_with("/mcp/tools/call") || line.ends_with("/execute") => json!({"tool_name": "rec__say"}),
        "POST /mcp/servers/remove" => json!({"server_name": "nobody"}),
        line if line.starts_with("POST") => json!({}),
        _ => Value::Null,
    }
}

#[tokio::test]
async fn each_can_be_switched_off_alone() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let mut faults = Vec::new();
    for off in [None].into_iter().chain(SURFACES.map(|(name, _)| Some(name))) {
        let switches = off.map_or(String::new(), |off| format!("surfaces: {{{off}: off}}\n"));
        let gateway = Gateway::start(&format!("{OPEN}{switches}servers:\n  rec: {{url: \"{}\"}}", server.url())).await;
        crate::harness::eventually("its tools are known", 10, || async {
            let listed = list(&mut gateway.client().await, "/mcp", KEY, "tools/list").await;
            (listed["tools"][0]["name"] == "rec__say").then_some(())
        })
        .await;
        server.take_calls();
        for (name, rows) in SURFACES {
            for (line, status) in rows {
                let answer = rest(&gateway, line, &body(line)).await;
                let is_off = off == Some(name);
                let wanted = if is_off { 404 } else { *status };
                let calls = server.take_calls().len();
                if answer.status != wanted || is_off && calls > 0 {
                    faults.push(format!("{off:?} is off, {line}, {calls} calls: {} {}", answer.status, answer.text()));
                }
            }
        }
        // MCP itself cannot be switched off.
        let said = call(&mut gateway.client().await, "/mcp", "rec__say", "{}").await.unwrap();
        assert_eq!(said.status, 200, "{off:?} is off: {}", said.text());
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

const ALL_OFF: &str = "surfaces: {routeiq: off, litellm: off, oliverye: off, registry_api: off, plain: off}\n";

#[tokio::test]
async fn words_stay_reserved() {
    for word in [
        "servers",
        "tools",
        "resources",
        "execute",
        "sse",
        "messages",
        "transport",
        "sessions",
        "oauth",
        "health",
        "v0.1",
        "llmrouter",
    ] {
        let text = format!("{ALL_OFF}servers:\n  {word:?}: {{url: \"http://127.0.0.1:9/mcp\"}}");
        let mut gateway = Gateway::launch(&text, (1, 1), &[]);
        let ended = crate::harness::eventually("it ends", 10, || std::future::ready(gateway.process.ended())).await;
        assert!(!ended.success() && gateway.log().contains("reserved"), "{word}: {}", gateway.log());
    }
    // With one surface on, what the others would have taken is not free for a registration.
    let gateway =
        Gateway::start(&format!("{OPEN}surfaces: {{routeiq: off, oliverye: off, registry_api: off, plain: off}}"))
            .await;
    for word in ["servers", "execute", "search", "sessions", "health", "v0.1"] {
        let body = json!({"server_id": word, "server_name": word, "url": "http://127.0.0.1:9/mcp"});
        let answer = rest(&gateway, "POST /v1/mcp/server", &body).await;
        assert_eq!(answer.status, 400, "{word}: {}", answer.text());
    }
    let rpc = json!({"jsonrpc": "2.0", "id": 1, "method": "mcp.servers.register", "params": {"name": "x", "url": "http://127.0.0.1:9/mcp"}});
    let answer = rest(&gateway, "POST /mcp", &rpc).await;
    assert_eq!(answer.error_code(), Some(-32601), "{}", answer.text());
    assert_eq!(rest(&gateway, "GET /v1/mcp/server", &Value::Null).await.text(), "[]");
}

/// An application behind a sidecar gets its own paths, also those that a surface would have had beside it,
/// and never those under `/mcp`.
#[tokio::test]
async fn the_application_gets_nothing_of_mcp() {
    let app = Recorder::start(Speaks::Modern, &[]).await;
    for switches in ["", ALL_OFF] {
        let gateway =
            Gateway::start(&format!("passthrough: http://127.0.0.1:{}\n{switches}servers: {{}}", app.port)).await;
        let before = app.requests().len();
        for line in [
            "GET /mcp/servers",
            "GET /mcp/tools",
            "POST /mcp/search",
            "POST /mcp/execute",
            "POST /mcp/servers/add",
            "GET /mcp/sse",
            "GET /mcp/x/tools",
            "POST /mcp/x/tools/y",
            "GET /mcp/openapi.json",
            "GET /mcp/no/such/path",
            "DELETE /mcp/servers/x",
            "POST /mcp/messages",
            "GET /mcp/oauth/callback",
            "GET /mcp/",
            "POST /mcp/x/y/z",
        ] {
            // Without a key: what passes needs none.
            let answer = rest_as(&gateway, "nobody-knows-this-key", line, &[], b"{}").await;
            assert!((400..500).contains(&answer.status), "{switches} {line}: {}", answer.text());
            assert_eq!(app.requests().len(), before, "{switches} {line} went to the application");
        }
        for line in ["GET /health", "GET /sessions", "POST /sessions/create", "GET /mcpx/servers", "GET /api/mcp/tools"]
        {
            let before = app.requests().len();
            let _ = rest_as(&gateway, "nobody-knows-this-key", line, &[], b"{}").await;
            assert_eq!(app.requests().len(), before + 1, "{switches} {line} is the application's");
        }
    }
}
