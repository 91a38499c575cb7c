//! JSON-RPC messages at REST paths that are wrong.

use super::{Place, Shape};

#[tokio::test]
async fn messages_that_are_wrong() {
    let place = Place::start().await;
    let url = place.fresh.url();
    let rpc =
        |method: &str, params: &str| format!(r#"{{"jsonrpc":"2.0","id":"a","method":"{method}","params":{params}}}"#);
    let register = |params: String| rpc("mcp.servers.register", &params);
    let cases: [(&str, String, i64); 11] = [
        ("no name", register(format!(r#"{{"url":"{url}"}}"#)), -32602),
        ("no URL", register(r#"{"name":"fresh"}"#.to_owned()), -32602),
        ("an unknown field", register(format!(r#"{{"name":"fresh","url":"{url}","color":1}}"#)), -32602),
        ("a wrong type", register(format!(r#"{{"name":["fresh"],"url":"{url}"}}"#)), -32602),
        ("a field twice", register(format!(r#"{{"name":"fresh","name":"fresh","url":"{url}"}}"#)), -32600),
        ("an id with a path in it", register(format!(r#"{{"server_id":"../x","url":"{url}"}}"#)), -32602),
        ("params in an array", register("[]".to_owned()), -32602),
        ("nobody to unregister", rpc("mcp/servers/unregister", "{}"), -32602),
        ("a call of nothing", rpc("tools/call", "{}"), -32602),
        ("arguments in an array", rpc("tools/call", r#"{"name":"kept__say","arguments":[]}"#), -32602),
        ("an id that is none", r#"{"jsonrpc":"2.0","id":{},"method":"mcp.servers.list"}"#.to_owned(), -32600),
    ];
    for (what, body, code) in cases {
        for path in ["/mcp/servers", "/mcp/tools/call"] {
            let answer = place.ask(&format!("POST {path}"), body.as_bytes(), what).await;
            assert_eq!(answer.error_code(), Some(code), "{what} at {path}: {} {}", answer.status, answer.text());
            Shape::Rpc.check(&answer, what);
        }
    }
}
