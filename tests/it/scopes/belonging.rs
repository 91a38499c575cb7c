//! Whose a session is, and how long.

use super::Place;
use crate::harness::gateway::{ADMIN_KEY, KEY, OTHER_KEY};
use crate::harness::rest::demand;
use serde_json::{Value, json};

#[tokio::test]
async fn a_session_belongs_to_whoever_made_it() {
    let place = Place::start().await;
    let (session, created) = place.create(KEY).await;
    place.add(KEY, &session).await;
    let own = place.ask(KEY, None, "GET /sessions", &Value::Null).await;
    demand(
        &own,
        200,
        &json!({"total": 1, "sessions": [{"session_id": session, "connections_count": 2, "tools_count": 2}]}),
    );
    let told = place.ask(KEY, None, &format!("GET /sessions/{session}"), &Value::Null).await;
    demand(
        &told,
        200,
        &json!({"active": true, "total_tools": 2, "connections": [{"name": "hidden", "transport": "http"}]}),
    );
    assert_eq!(told.json()["expires_at"], created["expires_at"]);
    assert_eq!(seconds(&created["expires_at"]) - seconds(&created["created_at"]), 3600, "{created}");

    // To everybody else it is one that does not exist.
    let unknown = "00000000-0000-4000-8000-000000000000";
    for (key, session) in
        [(OTHER_KEY, session.as_str()), (ADMIN_KEY, session.as_str()), (KEY, unknown), (KEY, "../x"), (KEY, "")]
    {
        let listed = place.ask(key, None, "GET /sessions", &Value::Null).await;
        assert_eq!(listed.json()["total"], if key == KEY { 1 } else { 0 }, "{}", listed.text());
        let empty =
            |name: &str| json!({name: if name == "servers" { json!({}) } else { json!([]) }, "session_id": session});
        let add = place.addition();
        let cases = [
            ("GET /mcp/servers", Value::Null, 200, empty("servers")),
            ("GET /mcp/tools", Value::Null, 200, empty("tools")),
            ("POST /mcp/search", json!({"query": "say"}), 200, json!({"status": "error"})),
            ("POST /mcp/execute", json!({"tool_name": "fixed__say"}), 200, json!({"status": "error"})),
            ("POST /mcp/servers/add", add, 404, json!({"error": "<string>"})),
            ("POST /mcp/servers/remove", json!({"server_name": "hidden"}), 404, json!({"error": "<string>"})),
            ("POST /mcp/servers/remove", json!({"server_name": "fixed"}), 404, json!({"error": "<string>"})),
        ];
        for (line, body, status, wanted) in cases {
            let answer = place.ask(key, Some(session), line, &body).await;
            assert_eq!(answer.status, status, "{session:?} {line}: {}", answer.text());
            demand(&answer, status, &wanted);
            if line == "GET /mcp/servers" {
                assert_eq!(answer.json()["servers"], json!({}), "{session:?}");
            }
        }
        if !session.is_empty() && !session.contains('/') {
            for verb in ["GET", "DELETE"] {
                let answer = place.ask(key, None, &format!("{verb} /sessions/{session}"), &Value::Null).await;
                demand(&answer, 404, &json!({"error": "<holds not found>"}));
            }
        }
    }
    assert!(place.hidden.take_calls().is_empty());
    let still = place.ask(KEY, None, &format!("GET /sessions/{session}"), &Value::Null).await;
    demand(&still, 200, &json!({"connections": [{"name": "hidden"}, {"name": "fixed"}]}));
}

/// Of a time as in 2026-11-21T20:00:00Z, since some day long ago.
fn seconds(time: &Value) -> i64 {
    let text = time.as_str().expect("a time");
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().expect("a number");
    days(number(0, 4), number(5, 7), number(8, 10)) * 86_400
        + number(11, 13) * 3_600
        + number(14, 16) * 60
        + number(17, 19)
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day
}
