//! What ends with a session, and what a session never begins.

use super::Place;
use crate::harness::gateway::{ADMIN_KEY, KEY};
use crate::harness::rest::demand;
use serde_json::{Value, json};

#[tokio::test]
async fn what_ends_with_a_session_and_what_does_not() {
    let mut place = Place::start().await;
    let (first, _) = place.create(KEY).await;
    let (second, _) = place.create(KEY).await;
    for session in [&first, &second] {
        place.add(KEY, session).await;
    }
    // The same name twice in one session is one too many.
    let again = place.ask(KEY, Some(&first), "POST /mcp/servers/add", &place.addition()).await;
    demand(&again, 200, &json!({"added_servers": [], "failed_servers": [{"name": "hidden"}]}));

    // What the file has can leave the session, and stays for everybody else.
    let removed = place.ask(KEY, Some(&first), "POST /mcp/servers/remove", &json!({"server_name": "fixed"})).await;
    demand(&removed, 200, &json!({"success": true, "removed_server": "fixed", "session_id": first}));
    assert!(place.outside(KEY).await.contains("fixed"));

    let dropped = place.ask(KEY, None, &format!("DELETE /sessions/{first}"), &Value::Null).await;
    demand(&dropped, 200, &json!({"success": true, "deleted_session_id": first}));
    for is_restarted in [false, true] {
        if is_restarted {
            place.gateway.restart().await;
        }
        let gone = place.ask(KEY, Some(&first), "POST /mcp/execute", &json!({"tool_name": "say"})).await;
        demand(&gone, 200, &json!({"status": "error"}));
        let other = place.ask(KEY, None, &format!("GET /sessions/{second}"), &Value::Null).await;
        demand(&other, 200, &json!({"connections": [{"name": "hidden"}, {"name": "fixed"}]}));
        let listed = place.ask(KEY, None, "GET /sessions", &Value::Null).await;
        demand(&listed, 200, &json!({"total": 1}));
    }
}

#[tokio::test]
async fn no_process_is_started() {
    let place = Place::start().await;
    let (session, _) = place.create(KEY).await;
    let marker = place.gateway.registry().with_file_name("started");
    let touch = json!({"command": "touch", "args": [marker]});
    let config = json!({"mcpServers": {"tool": touch, "npx": {"command": "npx", "args": ["-y", "x"], "transport": "stdio"}, "hidden": {"url": place.hidden.url()}}});
    let body = json!({"config_data": config.to_string()});
    for (key, session) in [(KEY, Some(session.as_str())), (ADMIN_KEY, None)] {
        let answer = place.ask(key, session, "POST /mcp/servers/add", &body).await;
        let refused = "<holds no process is ever started from an API>";
        let wanted = json!({
            "success": true,
            "added_servers": [{"name": "hidden"}],
            "failed_servers": [{"name": "tool", "error": refused}, {"name": "npx", "error": refused}],
        });
        demand(&answer, 200, &wanted);
    }
    assert!(!marker.exists(), "a command was started");
    // What everybody sees is changed by operators only.
    let refused = place.ask(KEY, None, "POST /mcp/servers/add", &body).await;
    demand(&refused, 403, &json!({"error": "<string>"}));
    let refused = place.ask(KEY, None, "POST /mcp/servers/remove", &json!({"server_name": "global"})).await;
    demand(&refused, 403, &json!({"error": "<string>"}));
}
