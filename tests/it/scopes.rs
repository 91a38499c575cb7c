//! Application sessions (`X-Session-ID`): sets of servers that belong to whoever made them.

mod belonging;
mod ending;

use crate::harness::gateway::{ADMIN_KEY, Gateway, KEY, OTHER_KEY};
use crate::harness::http::Response;
use crate::harness::messages::{list, modern, request};
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL};
use crate::harness::rest::{OPEN, demand, register, rest_as};
use serde_json::{Value, json};

/// A gateway with a server of the file and one that was registered, and a server that nobody knows yet.
struct Place {
    gateway: Gateway,
    hidden: Recorder,
    _fixed: Recorder,
}

impl Place {
    async fn start() -> Place {
        let start = || Recorder::start(Speaks::Modern, &[TOOL]);
        let (fixed, hidden) = (start().await, start().await);
        let gateway = Gateway::start(&format!("{OPEN}servers:\n  fixed: {{url: \"{}\"}}", fixed.url())).await;
        register(&gateway, "global", &fixed.url(), &json!({})).await;
        hidden.answers(|call| {
            Reply::Json(call.result(r#"{"content":[{"type":"text","text":"hidden"}],"resultType":"complete"}"#))
        });
        Place { gateway, hidden, _fixed: fixed }
    }

    /// With a key, and in a session if there is one.
    async fn ask(&self, key: &str, session: Option<&str>, line: &str, body: &Value) -> Response {
        let header = session.map(|session| format!("X-Session-ID: {session}"));
        let headers: Vec<&str> = header.iter().map(String::as_str).chain(["X-MCP-Compat: oliverye"]).collect();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        rest_as(&self.gateway, key, line, &headers, body.as_bytes()).await
    }

    async fn create(&self, key: &str) -> (String, Value) {
        let created = self.ask(key, None, "POST /sessions/create", &json!({"metadata": {"owner": "a"}})).await;
        demand(&created, 200, &json!({"success": true, "servers_loaded": 1, "metadata": {"owner": "a"}}));
        let created = created.json();
        (created["session_id"].as_str().expect("an id").to_owned(), created)
    }

    /// The configuration of the server that nobody knows.
    fn addition(&self) -> Value {
        json!({"config_data": json!({"mcpServers": {"hidden": {"url": self.hidden.url()}}}).to_string()})
    }

    async fn add(&self, key: &str, session: &str) {
        let added = self.ask(key, Some(session), "POST /mcp/servers/add", &self.addition()).await;
        let wanted =
            json!({"success": true, "session_id": session, "total_servers_in_session": 2, "failed_servers": []});
        demand(&added, 200, &wanted);
        assert_eq!(added.json()["added_servers"][0]["tools_count"], 1, "{}", added.text());
    }

    /// Every list that somebody sees outside.
    async fn outside(&self, key: &str) -> String {
        let mut text = String::new();
        for path in [
            "/mcp/servers",
            "/mcp/servers?view=map",
            "/mcp/tools",
            "/llmrouter/mcp/servers",
            "/llmrouter/mcp/tools/list",
            "/v1/mcp/server",
            "/v1/mcp/server/health",
            "/v1/mcp/registry.json",
            "/v0.1/servers",
            "/mcp-rest/tools/list",
            "/mcp/openapi.json",
            "/mcp/fixed/openapi.json",
        ] {
            text += &self.ask(key, None, &format!("GET {path}"), &Value::Null).await.text();
        }
        let found = self.ask(key, None, "POST /mcp/search", &json!({"query": "say hidden"})).await;
        text + &found.text() + &list(&mut self.gateway.client().await, "/mcp", key, "tools/list").await.to_string()
    }
}

#[tokio::test]
async fn a_server_that_was_added_in_a_session_is_of_that_session_alone() {
    let mut place = Place::start().await;
    let (session, _) = place.create(KEY).await;
    let before = place.outside(KEY).await;
    assert!(!before.contains("hidden\""), "{before}");
    place.add(KEY, &session).await;
    let execute = json!({"tool_name": "say", "args": {}});
    let qualified = json!({"tool_name": "hidden__say"});
    for is_restarted in [false, true] {
        if is_restarted {
            place.gateway.restart().await;
        }
        let what = format!("restarted: {is_restarted}");
        for key in [KEY, OTHER_KEY, ADMIN_KEY] {
            let outside = place.outside(key).await;
            assert!(
                !outside.contains("hidden") && !outside.contains(&place.hidden.port.to_string()),
                "{what}: {outside}"
            );
        }
        let inside = place.ask(KEY, Some(&session), "GET /mcp/servers", &Value::Null).await.json();
        let mut names: Vec<&Value> =
            inside["servers"].as_object().unwrap().values().map(|server| &server["name"]).collect();
        names.sort_by_key(|name| name.to_string());
        assert_eq!(names, ["fixed", "hidden"], "no fallback to what everybody has; {what}: {inside}");
        assert_eq!(inside["session_id"], session.as_str());
        let uuids: Vec<&String> = inside["servers"].as_object().unwrap().keys().collect();
        assert!(uuids.iter().all(|uuid| uuid.len() == 36), "{inside}");

        place.hidden.take_calls();
        crate::harness::eventually("its tools are known", 5, || async {
            let listed = place.ask(KEY, Some(&session), "GET /mcp/tools", &Value::Null).await.json();
            (listed["total"] == 2).then_some(())
        })
        .await;
        let ambiguous = place.ask(KEY, Some(&session), "POST /mcp/execute", &execute).await;
        demand(&ambiguous, 200, &json!({"status": "error", "result": {"error": "<holds ambiguous>"}}));
        let found = place.ask(KEY, Some(&session), "POST /mcp/search", &json!({"query": "say"})).await;
        demand(
            &found,
            200,
            &json!({"status": "completed", "result": [{"mcp_server": "hidden", "tool_name": "hidden__say"}]}),
        );
        let candidate = ambiguous.json()["result"]["error"].to_string();
        let own = candidate.split([' ', ',', '"']).find(|word| word.starts_with("set-")).map(str::to_owned);
        for name in own.iter().map(String::as_str).chain(["hidden.say", "hidden__say"]) {
            let said = place.ask(KEY, Some(&session), "POST /mcp/execute", &json!({"tool_name": name})).await;
            demand(
                &said,
                200,
                &json!({"status": "completed", "result": {"success": true, "server": "hidden", "content": "hidden"}}),
            );
        }
        // Its own id, which nobody is told outside, opens nothing there.
        let id = own.as_deref().and_then(|name| name.split("__").next()).expect("a name of its own");
        place.hidden.take_calls();
        for key in [KEY, OTHER_KEY, ADMIN_KEY] {
            for line in [
                format!("GET /mcp/servers/{id}"),
                format!("DELETE /mcp/servers/{id}"),
                format!("GET /v1/mcp/server/{id}"),
                format!("GET /mcp/{id}/tools"),
                format!("POST /mcp/{id}/tools/say"),
            ] {
                let refused = rest_as(&place.gateway, key, &line, &[], b"{}").await;
                assert!(matches!(refused.status, 403 | 404), "{line}: {} {}", refused.status, refused.text());
            }
            // Its owner alone gets there over MCP: the owner's registry leads there.
            let native = call_as(&place.gateway, key, &format!("/mcp/{id}")).await;
            let is_refused = native.status != 200 || native.error_code().is_some();
            assert_eq!(is_refused, key != KEY, "{}", native.text());
            place.hidden.take_calls();
        }
        for (key, session) in [(KEY, None), (OTHER_KEY, Some(session.as_str())), (ADMIN_KEY, Some(session.as_str()))] {
            let refused = place.ask(key, session, "POST /mcp/execute", &qualified).await;
            demand(&refused, 200, &json!({"status": "error", "result": {"error": "<string>"}}));
        }
        assert!(place.hidden.take_calls().is_empty(), "{what}");
    }
}

/// A native call of the tool at one server.
async fn call_as(gateway: &Gateway, key: &str, path: &str) -> Response {
    let body = request("1", "tools/call", r#""name":"say","arguments":{},"#);
    let headers = modern(key, "tools/call", Some("say"));
    gateway.client().await.post(path, &headers, body.as_bytes()).await.expect("an answer")
}

/// What a key adds for itself is not measured by the servers that it was given; and each session has its
/// own answers.
#[tokio::test]
async fn a_limited_key_adds_servers_of_its_own() {
    let hidden = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let keys = format!("keys:\n  - {{id: app, key: {KEY}, servers: [\"a*\"]}}");
    let gateway = Gateway::start(&format!("{OPEN}{keys}\nservers: {{}}")).await;
    let ask = async |line: &str, headers: &[&str], body: &Value| {
        rest_as(&gateway, KEY, line, headers, body.to_string().as_bytes()).await
    };
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let created = ask("POST /sessions/create", &[], &json!({})).await.json();
        sessions.push(format!("X-Session-ID: {}", created["session_id"].as_str().unwrap()));
    }
    let [one, two] = sessions.as_slice() else { panic!("two sessions") };
    let config = json!({"mcpServers": {"mine": {"url": hidden.url()}}}).to_string();
    let body = json!({"config_data": config});
    let added = ask("POST /mcp/servers/add", &[one, "Idempotency-Key: k"], &body).await.json();
    assert_eq!(added["added_servers"][0]["tools_count"], 1, "{added}");
    assert_eq!(ask("POST /mcp/servers/add", &[two, "Idempotency-Key: k"], &body).await.status, 422);
    for (line, body) in [
        ("POST /mcp/execute", json!({"tool_name": "say"})),
        ("POST /mcp/mine/tools/say", json!({})),
        ("POST /mcp-rest/tools/call", json!({"server_id": "mine", "name": "say"})),
        ("POST /llmrouter/mcp/tools/call", json!({"server_id": "mine", "tool_name": "say"})),
    ] {
        let called = ask(line, &[one], &body).await;
        assert_eq!((called.status, hidden.take_calls().len()), (200, 1), "{line}: {}", called.text());
        ask(line, &[two], &body).await;
        assert_eq!(hidden.take_calls().len(), 0, "{line} in another session");
    }
}
