//! Arguments go up and results come down as the very bytes that were sent, whatever JSON they are; what is
//! none is refused. Never does other text arrive.

mod events;
mod text;

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::http::{Client, Response};
use crate::harness::messages::start_discovered;
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL, event};
use crate::harness::scaled;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::time::Duration;
use text::{Chance, abyss, damaged, object};

/// A way to call a tool: what stands before and after the arguments in its body, with `SERVER` in the
/// place of the server.
struct Way {
    path: &'static str,
    front: &'static str,
    back: &'static str,
}

const fn way(path: &'static str, front: &'static str, back: &'static str) -> Way {
    Way { path, front, back }
}

const WAYS: [Way; 6] = [
    way("/llmrouter/mcp/tools/call", r#"{"tool_name":"SERVER__say","arguments": "#, "}"),
    way("/mcp/tools/call", r#"{"arguments":"#, r#" ,"name":"SERVER__say"}"#),
    way("/mcp-rest/tools/call", r#"{"server_id":"SERVER","name":"say","arguments":"#, "}"),
    way("/mcp/execute", r#"{"tool_name":"SERVER__say","args":"#, "}"),
    way("/mcp/SERVER/tools/say", "", ""),
    way(
        "/mcp/tools/call",
        r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"SERVER__say","arguments":"#,
        "}}",
    ),
];

impl Way {
    fn path(&self, server: &str) -> String {
        self.path.replace("SERVER", server)
    }

    fn body(&self, server: &str, arguments: &[u8]) -> Vec<u8> {
        let [front, back] = [self.front, self.back].map(|text| text.replace("SERVER", server));
        [front.as_bytes(), arguments, back.as_bytes()].concat()
    }

    fn is_plain(&self) -> bool {
        self.front.is_empty()
    }

    /// The arguments in a body as a reader of our own finds them; `None` where there are none.
    fn meant(&self, body: &[u8]) -> Option<String> {
        if self.is_plain() {
            return serde_json::from_slice::<&RawValue>(body).ok().map(|raw| raw.get().to_owned());
        }
        let call: Call<'_> = serde_json::from_slice(body).ok()?;
        let raw = call.arguments.or(call.args).or(call.params.and_then(|params| params.arguments));
        raw.map(|raw| raw.get().to_owned())
    }
}

#[derive(Deserialize)]
struct Call<'c> {
    #[serde(borrow)]
    arguments: Option<&'c RawValue>,
    #[serde(borrow)]
    args: Option<&'c RawValue>,
    #[serde(borrow)]
    params: Option<Params<'c>>,
}

#[derive(Deserialize)]
struct Params<'p> {
    #[serde(borrow)]
    arguments: Option<&'p RawValue>,
}

/// One server of each era, and nobody who validates.
struct Bench {
    gateway: Gateway,
    servers: [(&'static str, Recorder); 2],
    client: Client,
}

impl Bench {
    async fn start() -> Bench {
        let servers = [
            ("modern", Recorder::start(Speaks::Modern, &[TOOL]).await),
            ("legacy", Recorder::start(Speaks::Legacy, &[TOOL]).await),
        ];
        let lines: String =
            servers.iter().map(|(id, server)| format!("  {id}: {{url: \"{}\"}}\n", server.url())).collect();
        let gateway = start_discovered(&format!("validation: {{rest: off}}\nservers:\n{lines}")).await;
        let client = gateway.client().await;
        Bench { gateway, servers, client }
    }

    async fn call(&mut self, path: &str, body: &[u8]) -> Response {
        let headers = [format!("Authorization: Bearer {KEY}"), "Content-Type: application/json".to_owned()];
        let answer = self.client.post(path, &headers, body).await.expect("an answer");
        // A refused request may end its connection.
        if answer.header("x-mcp-outcome") != Some("success") {
            self.client = self.gateway.client().await;
        }
        answer
    }
}

#[tokio::test]
async fn the_server_gets_the_same_bytes_or_nothing() {
    let mut bench = Bench::start().await;
    for seed in 0..scaled(120, 3_000) {
        let chance = &mut Chance::new(seed as u64);
        let valid = object(chance).into_bytes();
        bench.try_arguments(&format!("seed {seed}"), &valid, Fate::Arrives).await;
        let text = damaged(chance);
        bench.try_arguments(&format!("seed {seed}, damaged"), &text, Fate::ArrivesOrNot).await;
    }
}

#[tokio::test]
async fn the_odd_ones() {
    use Fate::{Arrives, Refused};
    let mut bench = Bench::start().await;
    let cases: [(&str, Vec<u8>, Fate); 16] = [
        ("a number beyond 64 bits", br#"{"n":18446744073709551617}"#.to_vec(), Arrives),
        ("a number beyond doubles", br#"{"n":1e400}"#.to_vec(), Arrives),
        ("a key twice", br#"{"a":1,"a":2,"\u0061":3}"#.to_vec(), Arrives),
        ("a call in a string", br#"{"a":"},\"name\":\"other\",\"params\":{"}"#.to_vec(), Arrives),
        ("words of ours", br#"{"a":{"jsonrpc":"2.0","method":"x","params":[]}}"#.to_vec(), Arrives),
        ("nothing", b"{}".to_vec(), Arrives),
        ("a megabyte", format!(r#"{{"a":"{}"}}"#, "\u{e9}\\n".repeat(250_000)).into(), Arrives),
        ("depth 60", abyss(58), Arrives),
        ("depth 10 000", abyss(10_000), Refused),
        ("bytes that are no text", b"{\"a\":\"\xff\"}".to_vec(), Refused),
        ("a surrogate in UTF-8", b"{\"a\":\"\xed\xa0\x80\"}".to_vec(), Refused),
        // Readers take it for different texts.
        ("half of a surrogate pair", br#"{"a":"\ud800"}"#.to_vec(), Refused),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec(), Refused),
        ("an array", b"[]".to_vec(), Refused),
        ("a second object", b"{}{}".to_vec(), Refused),
        ("space that is none in JSON", "\u{a0}{}\u{2003}".into(), Refused),
    ];
    for (what, arguments, fate) in cases {
        bench.try_arguments(what, &arguments, fate).await;
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Arrives,
    Refused,
    /// As the bytes that they are, or not at all.
    ArrivesOrNot,
}

impl Bench {
    async fn try_arguments(&mut self, what: &str, arguments: &[u8], fate: Fate) {
        for at in 0..self.servers.len() {
            let server = self.servers[at].0;
            for way in &WAYS {
                let (path, body) = (way.path(server), way.body(server, arguments));
                let answer = self.call(&path, &body).await;
                let calls = self.servers[at].1.take_calls();
                let place = format!("{what} by {path} to {server}: {:?}", String::from_utf8_lossy(&body));
                let place: String = place.chars().take(600).collect();
                let succeeded = answer.header("x-mcp-outcome") == Some("success");
                assert_eq!(calls.len(), usize::from(succeeded), "{place}: {} {}", answer.status, answer.text());
                if fate != Fate::ArrivesOrNot {
                    assert_eq!(succeeded, fate == Fate::Arrives, "{place}: {} {}", answer.status, answer.text());
                }
                for call in calls {
                    let arrived: Call<'_> = serde_json::from_slice(&call.body).expect("what arrives is a call");
                    let arrived = arrived.params.and_then(|params| params.arguments).map(RawValue::get);
                    assert_eq!(arrived, way.meant(&body).as_deref(), "{place}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_caller_gets_the_bytes_of_the_result() {
    let mut bench = Bench::start().await;
    for seed in 0..scaled(60, 1_000) {
        let chance = &mut Chance::new(1_000_000 + seed as u64);
        let (structured, content) = (object(chance), format!("[{{\"type\": \"text\",\"text\":\"{seed}\\u00e9\"}} ]"));
        let result = format!(
            "{{ \"content\": {content},\"x\":{},\n\"structuredContent\":{structured} , \"resultType\":\"complete\"}}",
            object(chance)
        );
        for (at, as_events) in [(0, false), (0, true), (1, false), (1, true)] {
            // A line break within a message would be one within an event.
            let plain = |text: &str| if as_events { text.replace(['\r', '\n'], " ") } else { text.to_owned() };
            let (result, structured) = (plain(&result), plain(&structured));
            let said = result.clone();
            bench.servers[at].1.answers(move |call| match as_events {
                true => Reply::Events(vec![(Duration::ZERO, event(&call.result(&said)))]),
                false => Reply::Json(call.result(&said)),
            });
            let server = bench.servers[at].0;
            let call = format!(r#"{{"server_id":"{server}","name":"say"}}"#);
            let routeiq =
                format!(r#"{{"status":"success","tool_name":"say","server_id":"{server}","result":{content}}}"#);
            let cases = [
                (format!("/mcp/{server}/tools/say?result=whole"), "{}".to_owned(), result.clone()),
                (format!("/mcp/{server}/tools/say"), "{}".to_owned(), structured),
                ("/mcp-rest/tools/call".to_owned(), call.clone(), result.clone()),
                ("/llmrouter/mcp/tools/call".to_owned(), call, routeiq),
                (
                    "/mcp/tools/call".to_owned(),
                    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{server}__say"}}}}"#),
                    format!(r#"{{"jsonrpc":"2.0","id":7,"result":{result}}}"#),
                ),
            ];
            for (path, body, wanted) in cases {
                let answer = bench.call(&path, body.as_bytes()).await;
                assert_eq!((answer.status, answer.text()), (200, wanted), "seed {seed} at {path}, events: {as_events}");
            }
        }
    }
}
