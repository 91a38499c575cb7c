//! Bodies and ids that are wrong: each surface says so in its own shape, nothing is stored, and no server
//! hears of it.

mod inner;
mod messages;
mod paths;

use crate::harness::gateway::{ADMIN_KEY, Gateway};
use crate::harness::http::Response;
use crate::harness::recorder::{Recorder, Speaks, TOOL};
use crate::harness::rest::{OPEN, register, rest, rest_as, servers};
use serde_json::{Value, json};

/// How a surface says no.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    /// FastAPI's, with pydantic's list of fields.
    Detail,
    /// FastAPI's, with a code.
    Code,
    /// `{"error": TEXT}`
    Text,
    /// RFC 9457
    Problem,
    Rpc,
}

impl Shape {
    /// What is not of this shape about an answer.
    fn check(self, answer: &Response, what: &str) {
        let (json, status) = (answer.json(), answer.status);
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        let detail = &json["detail"];
        let fits = match self {
            Shape::Detail => detail.as_array().is_some_and(|faults| {
                let is_fault =
                    |fault: &Value| is_text(&fault["type"]) && is_text(&fault["msg"]) && fault["loc"][0] == "body";
                !faults.is_empty() && faults.iter().all(is_fault)
            }),
            Shape::Code => is_text(&detail["error"]),
            Shape::Text => is_text(&json["error"]),
            Shape::Problem => {
                answer.header("content-type") == Some("application/problem+json")
                    && json["status"] == status
                    && is_text(&json["title"])
                    && is_text(detail)
            }
            Shape::Rpc => {
                json["jsonrpc"] == "2.0" && json["error"]["code"].is_i64() && is_text(&json["error"]["message"])
            }
        };
        assert!(fits, "{what}: {status} is not in the shape {self:?}: {}", answer.text());
    }

    /// Of a body that cannot be read, or has a field that is wrong.
    fn status(self) -> u16 {
        if self == Shape::Detail { 422 } else { 400 }
    }
}

/// A row that takes a body.
struct Row {
    shape: Shape,
    line: &'static str,
    /// One that would be taken.
    body: Value,
    required: Option<&'static str>,
    /// A field, and a value of a wrong type.
    wrong: (&'static str, Value),
}

fn rows(url: &str) -> Vec<Row> {
    let row =
        |shape, line, body, required: &'static str, wrong| Row { shape, line, body, required: Some(required), wrong };
    let server = || json!({"server_id": "fresh", "name": "fresh", "url": url});
    let call = |name: &str| json!({name: "kept__say", "arguments": {}});
    let add = json!({"config_data": json!({"mcpServers": {"fresh": {"url": url}}}).to_string()});
    vec![
        row(Shape::Detail, "POST /mcp/servers", server(), "url", ("name", json!(7))),
        row(Shape::Detail, "POST /mcp/tools/call", call("name"), "name", ("arguments", json!([]))),
        row(Shape::Detail, "POST /llmrouter/mcp/servers", server(), "name", ("tools", json!({"a": 1}))),
        row(Shape::Detail, "PUT /llmrouter/mcp/servers/kept", server(), "url", ("metadata", json!([]))),
        row(
            Shape::Detail,
            "POST /llmrouter/mcp/servers/kept/tools",
            json!({"name": "fresh"}),
            "name",
            ("input_schema", json!("x")),
        ),
        row(
            Shape::Detail,
            "POST /v1/llmrouter/mcp/tools/call",
            call("tool_name"),
            "tool_name",
            ("tool_name", json!({})),
        ),
        row(
            Shape::Detail,
            "POST /v1/mcp/server",
            json!({"server_id": "fresh", "server_name": "fresh", "url": url}),
            "url",
            ("url", json!(7)),
        ),
        row(
            Shape::Detail,
            "PUT /v1/mcp/server",
            json!({"server_id": "kept", "description": "another"}),
            "server_id",
            ("mcp_access_groups", json!("a")),
        ),
        row(
            Shape::Detail,
            "POST /v1/mcp/make_public",
            json!({"mcp_server_ids": ["kept"]}),
            "mcp_server_ids",
            ("mcp_server_ids", json!([7])),
        ),
        row(
            Shape::Code,
            "POST /mcp-rest/tools/call",
            json!({"server_id": "kept", "name": "say"}),
            "server_id",
            ("name", json!(true)),
        ),
        row(Shape::Text, "POST /mcp/search", json!({"query": "say"}), "query", ("query", json!(["say"]))),
        row(Shape::Text, "POST /mcp/execute", json!({"tool_name": "kept__say"}), "tool_name", ("args", json!("{}"))),
        row(Shape::Text, "POST /mcp/servers/add", add, "config_data", ("config_data", json!(7))),
        row(
            Shape::Text,
            "POST /mcp/servers/remove",
            json!({"server_name": "kept"}),
            "server_name",
            ("server_uuid", json!(1)),
        ),
        Row {
            shape: Shape::Text,
            line: "POST /sessions/create",
            body: json!({"metadata": {}}),
            required: None,
            wrong: ("metadata", json!([])),
        },
    ]
}

/// What was there, and must be there unchanged.
struct Place {
    gateway: Gateway,
    kept: Recorder,
    /// Where what must not be registered would be.
    fresh: Recorder,
    before: (String, String),
}

impl Place {
    async fn start() -> Place {
        let kept = Recorder::start(Speaks::Modern, &[TOOL]).await;
        let fresh = Recorder::start(Speaks::Modern, &[TOOL]).await;
        let gateway = Gateway::start(OPEN).await;
        register(&gateway, "kept", &kept.url(), &json!({"metadata": {"a": 1}})).await;
        let before = Place::stored(&gateway).await;
        assert!(before.0.contains("\"kept\""), "{}", before.0);
        Place { gateway, kept, fresh, before }
    }

    /// Servers, and application sessions.
    async fn stored(gateway: &Gateway) -> (String, String) {
        (servers(gateway).await, rest(gateway, "GET /sessions", &Value::Null).await.text())
    }

    /// Asks; whatever is asked leaves nothing.
    async fn ask(&self, line: &str, body: &[u8], what: &str) -> Response {
        let answer = rest_as(&self.gateway, ADMIN_KEY, line, &[], body).await;
        assert_eq!(Place::stored(&self.gateway).await, self.before, "{what}: {}", answer.text());
        assert_eq!(self.kept.take_calls().len(), 0, "{what}: {}", answer.text());
        assert!(self.fresh.requests().is_empty(), "{what}: {}", answer.text());
        answer
    }

    /// 5 MiB are refused at once, before they come.
    async fn declare_too_much(&self, line: &str, shape: Shape) {
        let head = format!(
            "{line} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            5 * 1024 * 1024
        );
        let mut client = self.gateway.client().await;
        client.send(head.as_bytes()).await.expect("the gateway reads");
        let answer = client.response().await.expect("an answer");
        assert_eq!(answer.status, 413, "{line}: {}", answer.text());
        let shape = if shape == Shape::Detail { Shape::Code } else { shape };
        shape.check(&answer, line);
    }
}

#[tokio::test]
async fn bodies_that_are_wrong() {
    let place = Place::start().await;
    for row in rows(&place.fresh.url()) {
        let Row { shape, line, body, required, wrong: (wrong, value) } = row;
        let with = |name: &str, value: &Value| {
            let mut body = body.clone();
            body[name] = value.clone();
            body.to_string().into_bytes()
        };
        let text = body.to_string();
        let mut cases = vec![
            ("an array", b"[{}]".to_vec(), shape.status()),
            ("a string", b"\"text\"".to_vec(), shape.status()),
            ("half of an object", text.as_bytes()[..text.len() - 1].to_vec(), shape.status()),
            ("no UTF-8", [&text.as_bytes()[..text.len() - 1], b",\"x\":\"\xff\xfe\"}"].concat(), shape.status()),
            ("an unknown field", with("no_such_field", &json!(1)), shape.status()),
            ("a wrong type", with(wrong, &value), shape.status()),
            (
                "a field twice",
                text.replacen('{', &format!("{{\"{wrong}\":null,\"{wrong}\":null,"), 1).into(),
                shape.status(),
            ),
        ];
        if let Some(required) = required {
            let mut body = body.clone();
            body.as_object_mut().unwrap().remove(required);
            cases.push(("a missing field", body.to_string().into(), shape.status()));
            cases.push(("no body", Vec::new(), shape.status()));
        }
        for (what, bytes, status) in cases {
            let what = format!("{line} with {what}");
            let answer = place.ask(line, &bytes, &what).await;
            assert_eq!(answer.status, status, "{what}: {}", answer.text());
            shape.check(&answer, &what);
        }
        place.declare_too_much(line, shape).await;
    }
}

/// Who calls a tool by our own face has nothing but the arguments in the body.
#[tokio::test]
async fn arguments_that_are_wrong_as_a_whole_body() {
    let place = Place::start().await;
    let line = "POST /mcp/kept/tools/say";
    for (what, bytes) in
        [("an array", b"[]".as_slice()), ("half of an object", b"{\"a\":"), ("no UTF-8", b"{\"a\":\"\xff\"}")]
    {
        let answer = place.ask(line, bytes, what).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        Shape::Problem.check(&answer, what);
    }
    place.declare_too_much(line, Shape::Problem).await;
    for query in ["result=half", "result="] {
        let answer = place.ask(&format!("POST /mcp/kept/tools/say?{query}"), b"{}", query).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
        Shape::Problem.check(&answer, query);
    }
}
