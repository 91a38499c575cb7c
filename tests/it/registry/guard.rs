//! The outbound guard: what is registered over an API reaches public addresses and those that are allowed,
//! and never the gateway itself.

use crate::harness::gateway::{ADMIN_KEY, Gateway};
use crate::harness::recorder::{Recorder, Speaks, TOOL};
use crate::harness::rest::{OPEN, demand, rest, rest_as, servers};
use serde_json::{Value, json};

/// Registers at this URL over every surface; each refuses, in its own words.
async fn is_refused(gateway: &Gateway, url: &str, error: &str) {
    let before = servers(gateway).await;
    let whole = json!({"server_id": "x", "name": "x", "url": url});
    let add = json!({"config_data": json!({"mcpServers": {"x": {"url": url}}}).to_string()});
    let rpc = json!({"jsonrpc": "2.0", "id": 1, "method": "mcp.servers.register", "params": whole});
    let routeiq = json!({"detail": {"error": error, "message": "<string>", "request_id": "<string>"}});
    let cases = [
        ("POST /mcp/servers", &whole, 400, routeiq.clone()),
        ("POST /llmrouter/mcp/servers", &whole, 400, routeiq),
        ("POST /v1/mcp/server", &whole, 400, json!({"detail": {"error": "<string>"}})),
        ("POST /mcp/servers", &rpc, 400, json!({"error": {"code": -32602, "message": "<string>"}})),
        (
            "POST /mcp/servers/add",
            &add,
            200,
            json!({"added_servers": [], "failed_servers": [{"name": "x", "error": "<string>"}]}),
        ),
    ];
    for (line, body, status, wanted) in cases {
        let answer = rest(gateway, line, body).await;
        assert_eq!(answer.status, status, "{line} {url}: {}", answer.text());
        demand(&answer, status, &wanted);
    }
    let session = rest(gateway, "POST /sessions/create", &Value::Null).await.json();
    let header = format!("X-Session-ID: {}", session["session_id"].as_str().expect("a session"));
    let added = rest_as(gateway, ADMIN_KEY, "POST /mcp/servers/add", &[&header], add.to_string().as_bytes()).await;
    demand(
        &added,
        200,
        &json!({"added_servers": [], "failed_servers": [{"name": "x"}], "total_servers_in_session": 0}),
    );
    let id = session["session_id"].as_str().unwrap();
    demand(&rest(gateway, &format!("DELETE /sessions/{id}"), &Value::Null).await, 200, &json!({"success": true}));
    assert_eq!(servers(gateway).await, before, "{url}");
}

#[tokio::test]
async fn private_addresses_are_refused_however_they_are_spelled() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = Gateway::start("").await;
    let port = server.port;
    let hosts = [
        "127.0.0.1",
        "127.1.2.3",
        "[::1]",
        "169.254.169.254",
        "0.0.0.0",
        "[::]",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "localhost",
        "LOCALHOST",
    ];
    for host in hosts {
        is_refused(&gateway, &format!("http://{host}:{port}/mcp"), "ssrf_blocked").await;
    }
    assert!(server.requests().is_empty(), "something was sent: {:?}", server.requests());
}

/// What one reader takes for 127.0.0.1 and another for a name, or for no address at all.
#[tokio::test]
async fn addresses_that_are_written_oddly_reach_nothing() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = Gateway::start("").await;
    let port = server.port;
    let places = [
        "localhost.",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "①27.0.0.1",
        "127。0。0。1",
        "example.com@127.0.0.1",
        "127.0.0.1%2f",
        "[::1%25lo]",
    ];
    for place in places {
        for surface in ["POST /llmrouter/mcp/servers", "POST /v1/mcp/server"] {
            let body = json!({"server_id": "x", "name": "x", "url": format!("http://{place}:{port}/mcp")});
            let answer = rest(&gateway, surface, &body).await;
            assert_eq!(answer.status, 400, "{place}: {}", answer.text());
            assert_eq!(servers(&gateway).await, "[]", "{place}");
        }
    }
    for url in [
        "http://127.0.0.1\\@example.com/",
        "http://example.com#@127.0.0.1/",
        "http://127.0.0.1\n/",
        " http://127.0.0.1/",
        "//127.0.0.1/",
        "file:///etc/passwd",
        "unix:///run/x",
        "http:127.0.0.1",
    ] {
        let body = json!({"server_id": "x", "name": "x", "url": url});
        let answer = rest(&gateway, "POST /llmrouter/mcp/servers", &body).await;
        assert_eq!(answer.status, 400, "{url:?}: {}", answer.text());
        assert_eq!(servers(&gateway).await, "[]", "{url:?}");
    }
    assert!(server.requests().is_empty(), "something was sent: {:?}", server.requests());
}

#[tokio::test]
async fn what_is_allowed_works_and_the_gateway_itself_never() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = Gateway::start(OPEN).await;
    for (port, host) in [
        (gateway.port, "127.0.0.1"),
        (gateway.admin_port, "127.0.0.1"),
        (gateway.port, "localhost"),
        (gateway.admin_port, "localhost"),
        (gateway.admin_port, "[::ffff:127.0.0.1]"),
    ] {
        is_refused(&gateway, &format!("http://{host}:{port}/mcp"), "ssrf_blocked").await;
    }
    let body = json!({"server_id": "open", "name": "open", "url": server.url()});
    demand(&rest(&gateway, "POST /llmrouter/mcp/servers", &body).await, 200, &json!({"status": "registered"}));
    let body = json!({"server_id": "named", "name": "named", "url": format!("http://localhost:{}/mcp", server.port)});
    demand(&rest(&gateway, "POST /llmrouter/mcp/servers", &body).await, 200, &json!({"status": "registered"}));
    for id in ["open", "named"] {
        let said = rest(&gateway, &format!("POST /mcp/{id}/tools/say"), &json!({})).await;
        assert_eq!(said.status, 200, "{id}: {}", said.text());
    }
    assert_eq!(server.calls().len(), 2);
}

/// What was allowed and is no more is not reached any more.
#[tokio::test]
async fn a_range_that_is_closed_again() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let mut gateway = Gateway::start(OPEN).await;
    crate::harness::rest::register(&gateway, "rec", &server.url(), &json!({})).await;
    gateway.reconfigure("");
    gateway.restart().await;
    let before = server.requests().len();
    let said = rest(&gateway, "POST /mcp/rec/tools/say", &json!({})).await;
    assert!((400..600).contains(&said.status), "{}", said.text());
    assert_eq!(server.requests().len(), before, "it was reached");
}
