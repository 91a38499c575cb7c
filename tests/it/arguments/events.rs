//! Where a REST caller wants events, JSON stands in them whatever line ends it has.

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::http::Client;
use crate::harness::messages::start_discovered;
use crate::harness::recorder::{Recorder, Reply, Speaks};
use crate::harness::rest::rest_as;

/// JSON takes each of these for space, and an event stream for the end of a line.
const LINE_ENDS: [&str; 3] = ["\n", "\r\n", "\r"];

#[tokio::test]
async fn a_result_in_an_event() {
    for end in LINE_ENDS {
        let (server, gateway) = behind("{\"type\":\"object\"}").await;
        let result =
            format!("{{\"content\":[{{\"type\":\"text\",{end}\"text\":\"a\"}}],{end}\"resultType\":\"complete\"}}");
        let said = result.clone();
        server.answers(move |call| Reply::Json(call.result(&said)));
        let accept = ["Accept: text/event-stream"];
        let answer = rest_as(&gateway, KEY, "POST /mcp/rec/tools/say?result=whole", &accept, b"{}").await;
        assert_eq!(answer.header("content-type"), Some("text/event-stream"), "{end:?}: {}", answer.text());
        assert_eq!(data(&answer.text(), "result"), unified(&result), "{end:?}: {:?}", answer.text());
    }
}

#[tokio::test]
async fn descriptions_in_an_event() {
    for end in LINE_ENDS {
        let (_server, gateway) = behind(&format!("{{\"type\":{end}\"object\"}}")).await;
        let mut client: Client = gateway.client().await;
        let head = format!(
            "GET /mcp/tools?format=mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\nAccept: text/event-stream\r\n\r\n"
        );
        client.send(head.as_bytes()).await.unwrap();
        client.head().await.unwrap();
        let chunk = client.chunk().await.unwrap().expect("a snapshot");
        let chunk = String::from_utf8(chunk).unwrap();
        let told: Result<serde_json::Value, _> = serde_json::from_str(&data(&chunk, "snapshot"));
        let name = told.as_ref().ok().map(|told| told["tools"][0]["name"].clone());
        assert_eq!(name, Some("rec__say".into()), "{end:?}: {chunk:?}");
    }
}

async fn behind(schema: &str) -> (Recorder, Gateway) {
    let tool = format!(r#"{{"name":"say","inputSchema":{schema}}}"#);
    let server = Recorder::start(Speaks::Modern, &[&tool]).await;
    let gateway = start_discovered(&format!("servers:\n  rec: {{url: \"{}\"}}", server.url())).await;
    (server, gateway)
}

/// The data of the first event of this name, as the standard reads it: CR, LF and CRLF each end a line.
fn data(stream: &str, name: &str) -> String {
    let stream = unified(stream);
    let event = stream.split("\n\n").find(|event| event.lines().any(|line| line == format!("event: {name}")));
    let event = event.unwrap_or_else(|| panic!("no event {name}: {stream:?}"));
    let lines: Vec<&str> = event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    lines.join("\n")
}

fn unified(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}
