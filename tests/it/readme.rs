//! The README keeps its word: its REST snippets run as they are printed, and its tables are those of the code.

use crate::guides::CONFIGURATION;
use crate::harness::eventually;
use crate::harness::gateway::{ADMIN_KEY, Gateway, KEY, scratch};
use crate::harness::python::{self, python};
use crate::harness::recorder::{Recorded, Recorder, Reply, Speaks};
use crate::harness::rest::{get, post};
use crate::harness::subset::differs;
use serde_json::{Value, json};
use std::process::Command;
use tollbridge::conf::VARIABLES;

const README: &str = include_str!("../../README.md");
const FORECAST: &str = r#"{"name":"forecast","description":"The weather of a city","inputSchema":
    {"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}"#;

#[tokio::test]
async fn the_curl_commands_register_list_and_call() {
    let place = Place::start().await;
    let [snippet] = &snippets("sh")[..] else { panic!("one block of curl commands is wanted") };
    let home = scratch();
    std::fs::write(home.join(".curlrc"), "silent\nshow-error\nfail-with-body\n").unwrap();
    // Right after a registration the list may lack the tools, as the README says.
    let said = eventually("the tools are listed", 10, || async {
        let mut command = Command::new("bash");
        command.args(["-euc", snippet]).env("CURL_HOME", &home);
        let said = python::run(place.known_to(command)).await;
        said.contains(r#""name":"forecast""#).then_some(said)
    })
    .await;
    let demand = json!([
        {"status": "registered", "server_id": "weather"},
        {"tools": [{"name": "forecast", "inputSchema": {"required": ["city"]}}]},
        {"city": "Oslo", "celsius": -3},
    ]);
    let answers: Vec<Value> = serde_json::Deserializer::from_str(&said).into_iter().map(Result::unwrap).collect();
    assert_eq!((answers.len(), differs(&demand, &json!(answers))), (3, None), "{said}");
    std::fs::remove_dir_all(home).unwrap();
}

#[tokio::test]
async fn the_httpx_snippet_does_the_same() {
    let place = Place::start().await;
    let snippet = snippet("admin.post(");
    let said = eventually("the tools are listed", 10, || async {
        let mut command = python();
        command.args(["-c", &snippet]);
        let said = python::run(place.known_to(command)).await;
        (said.lines().count() > 1).then_some(said)
    })
    .await;
    assert_eq!(said, "forecast\n{'city': 'Oslo', 'celsius': -3}\n");
}

/// The model is a stub of ours; the SDK is OpenAI's.
#[tokio::test]
async fn the_openai_snippet_answers_with_what_the_tool_said() {
    let place = Place::start().await;
    place.register().await;
    let model = Recorder::start(Speaks::Modern, &[]).await;
    model.answers_to("", complete);
    let mut command = python();
    command.args(["-c", &snippet("OpenAI()")]);
    command.env("OPENAI_BASE_URL", format!("http://127.0.0.1:{}/v1", model.port)).env("OPENAI_API_KEY", "sk-stub");
    let said = python::run(place.known_to(command)).await;
    assert!(said.contains("the tool said") && said.contains("celsius"), "{said}");
    assert_eq!(model.requests().len(), 2, "the model was asked, and told what the tool said");
    assert_eq!(place.upstream.last_call().member("/params/name").as_deref(), Some("forecast"));
}

/// The least that a model does: it calls the one tool there is, and then says what that said.
fn complete(request: &Recorded) -> Reply {
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert!(request.head.starts_with("POST /v1/chat/completions "), "{}", request.head);
    let last = body["messages"].as_array().unwrap().last().unwrap();
    let message = if last["role"] == "tool" {
        json!({"role": "assistant", "content": format!("the tool said {}", last["content"])})
    } else {
        let tool = &body["tools"][0];
        assert_eq!(
            (&tool["type"], &tool["function"]["parameters"]["required"]),
            (&json!("function"), &json!(["city"]))
        );
        let function = json!({"name": tool["function"]["name"], "arguments": "{\"city\": \"Oslo\"}"});
        json!({"role": "assistant", "content": null,
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}]})
    };
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let completion = json!({"id": "c", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]});
    Reply::Json(completion.to_string().into_bytes())
}

#[test]
fn the_table_of_variables_is_that_of_the_code() {
    let rows = section("### Variables").lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let documented: Vec<(&str, &str)> = rows.filter_map(|row| row.split_once("` | ")).collect();
    assert_eq!(documented, VARIABLES);
}

/// Each key of the table stands in the configuration that has every key.
#[test]
fn the_keys_that_are_explained_exist() {
    let every = include_str!("../../conf/gateway.yaml");
    let rows = section("### Configuration").lines().filter_map(|line| line.strip_prefix("| `"));
    let keys: Vec<&str> = rows.filter_map(|row| Some(row.split_once('`')?.0)).collect();
    assert_eq!(keys, ["registry", "outbound", "surfaces", "validation", "access_groups", "search"]);
    for key in keys {
        assert!(every.lines().any(|line| line == format!("{key}:")), "conf/gateway.yaml has no {key}");
    }
}

/// Each promise names a test that there is.
#[test]
fn what_is_promised_is_tested() {
    let rows =
        section("### What Tollbridge promises").lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let named = rows.filter_map(|row| row.rsplit(" | ").next()).flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let named: Vec<&str> = named.collect();
    assert!(named.len() > 15, "{named:?}");
    let tests = sources(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it")));
    for test in named {
        assert!(tests.contains(&format!("async fn {test}()")), "there is no test {test}");
    }
}

fn sources(directory: &std::path::Path) -> String {
    let mut text = String::new();
    for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        text += &if entry.is_dir() { sources(&entry) } else { std::fs::read_to_string(&entry).unwrap() };
    }
    text
}

/// A gateway without servers, and a server that waits to be registered.
struct Place {
    upstream: Recorder,
    gateway: Gateway,
}

impl Place {
    async fn start() -> Place {
        let upstream = Recorder::start(Speaks::Modern, &[&FORECAST.replace('\n', "")]).await;
        upstream.answers(|call| {
            let said = json!({"city": call.member("/params/arguments/city"), "celsius": -3});
            let content = json!([{"type": "text", "text": said.to_string()}]);
            let result = json!({"content": content, "structuredContent": said, "resultType": "complete"});
            Reply::Json(call.result(&result.to_string()))
        });
        Place { upstream, gateway: Gateway::start(CONFIGURATION).await }
    }

    /// What the README's readers have in their environment.
    fn known_to(&self, mut command: Command) -> Command {
        let variables = [
            ("GATEWAY", self.gateway.url("")),
            ("ADMIN_KEY", ADMIN_KEY.to_owned()),
            ("KEY", KEY.to_owned()),
            ("SERVER_URL", self.upstream.url()),
            ("NO_PROXY", "127.0.0.1".to_owned()),
        ];
        command.envs(variables);
        command
    }

    async fn register(&self) {
        let server = json!({"server_id": "weather", "url": self.upstream.url()});
        assert_eq!(post(&self.gateway, "/mcp/servers", ADMIN_KEY, &server).await.status, 200);
        eventually("its tools are known", 10, || async {
            get(&self.gateway, "/mcp/weather/tools", KEY).await.text().contains("forecast").then_some(())
        })
        .await;
    }
}

/// From a heading to the next of its rank or above.
fn section(heading: &str) -> &'static str {
    let rank = heading.split(' ').next().unwrap().len();
    let rest = README.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no section {heading}")).1;
    let ends = (2..=rank).filter_map(|rank| rest.find(&format!("\n{} ", "#".repeat(rank))));
    rest.split_at(ends.min().unwrap_or(rest.len())).0
}

/// The blocks of the REST section in this language.
fn snippets(language: &str) -> Vec<String> {
    let blocks = section("## REST").split("\n```").skip(1).step_by(2);
    blocks.filter_map(|block| Some(block.strip_prefix(language)?.strip_prefix('\n')?.to_owned())).collect()
}

/// The one in Python in which this stands.
fn snippet(with: &str) -> String {
    let found = snippets("python").into_iter().find(|snippet| snippet.contains(with));
    found.unwrap_or_else(|| panic!("no snippet has {with}"))
}
