//! Tools in the words of model APIs: each name is one that those APIs take, and a call by that name reaches
//! the tool that it was made of, wherever the call comes.

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::messages::{call, start_discovered};
use crate::harness::recorder::{Recorder, Speaks};
use crate::harness::rest::{get, post};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What servers call their tools, and models cannot. Two of them differ only in what cannot stay.
const NAMES: [&str; 8] = [
    "plain",
    "stub.echo",
    "stub echo",
    "größer als",
    "工具",
    "a/b",
    "..",
    "a-name-that-is-longer-than-the-sixty-four-characters-that-model-apis-take",
];

const FORMATS: [&str; 2] = ["openai", "anthropic"];

#[tokio::test]
async fn a_call_by_its_function_name_reaches_the_tool() {
    let fleet = Fleet::start().await;
    for format in FORMATS {
        let names = fleet.names(&format!("/mcp/tools?format={format}"), format, 2 * NAMES.len()).await;
        let mut reached = BTreeSet::new();
        for name in &names {
            let body = json!({"name": name, "arguments": {"n": 1}});
            let answer = post(&fleet.gateway, "/mcp/tools/call", KEY, &body).await;
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            let over_rest = fleet.reached();
            let answer = call(&mut fleet.gateway.client().await, "/mcp", name, r#"{"n":1}"#).await.unwrap();
            assert_eq!((answer.status, answer.error_code()), (200, None), "{name}: {}", answer.text());
            assert_eq!(fleet.reached(), over_rest, "{name} means the same tool in MCP and over REST");
            reached.insert(over_rest);
        }
        let servers = ["north", "south"];
        let tools = servers.into_iter().flat_map(|server| NAMES.map(|name| (server, name.to_owned())));
        assert_eq!(reached, tools.collect(), "every tool is reached, each by a name of its own ({format})");
    }
}

#[tokio::test]
async fn the_same_at_one_server() {
    let fleet = Fleet::start().await;
    for format in FORMATS {
        let names = fleet.names(&format!("/mcp/south/tools?format={format}"), format, NAMES.len()).await;
        let mut reached = BTreeSet::new();
        for name in &names {
            let answer = post(&fleet.gateway, &format!("/mcp/south/tools/{name}"), KEY, &json!({"n": 1})).await;
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            let over_rest = fleet.reached();
            let answer = call(&mut fleet.gateway.client().await, "/mcp/south", name, r#"{"n":1}"#).await.unwrap();
            assert_eq!((answer.status, answer.error_code()), (200, None), "{name}: {}", answer.text());
            assert_eq!(fleet.reached(), over_rest, "{name}");
            reached.insert(over_rest);
        }
        assert_eq!(reached, NAMES.map(|name| ("south", name.to_owned())).into(), "({format})");
    }
}

/// Descriptions and schemas are those of the server; a form that is not known is refused.
#[tokio::test]
async fn the_shapes_of_the_definitions() {
    let fleet = Fleet::start().await;
    let tool = |list: Value| list["tools"].as_array().unwrap().last().unwrap().clone();
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let openai = tool(get(&fleet.gateway, "/mcp/south/tools?format=openai", KEY).await.json());
    assert_eq!((&openai["type"], &openai["function"]["parameters"]), (&json!("function"), &schema), "{openai}");
    assert_eq!(openai["function"]["description"], "What 工具 does", "{openai}");
    let anthropic = tool(get(&fleet.gateway, "/mcp/south/tools?format=anthropic", KEY).await.json());
    assert_eq!((&anthropic["description"], &anthropic["input_schema"]), (&json!("What 工具 does"), &schema));
    let mcp = tool(get(&fleet.gateway, "/mcp/south/tools", KEY).await.json());
    assert_eq!((&mcp["name"], &mcp["inputSchema"]), (&json!("工具"), &schema), "{mcp}");
    for path in ["/mcp/tools?format=gemini", "/mcp/south/tools?format=gemini"] {
        let refused = get(&fleet.gateway, path, KEY).await;
        assert_eq!(refused.status, 400, "{path}: {}", refused.text());
        assert!(refused.text().contains("openai"), "it says what there is: {}", refused.text());
    }
}

/// Two servers with the same tools.
struct Fleet {
    north: Recorder,
    south: Recorder,
    gateway: Gateway,
}

impl Fleet {
    async fn start() -> Fleet {
        let tools = NAMES.map(|name| {
            let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
            json!({"name": name, "description": format!("What {name} does"), "inputSchema": schema}).to_string()
        });
        let tools = tools.each_ref().map(String::as_str);
        let (north, south) =
            (Recorder::start(Speaks::Modern, &tools).await, Recorder::start(Speaks::Modern, &tools).await);
        let gateway = start_discovered(&format!(
            "servers:\n  north: {{url: \"{}\"}}\n  south: {{url: \"{}\"}}",
            north.url(),
            south.url()
        ))
        .await;
        Fleet { north, south, gateway }
    }

    /// The names that are defined, all of them different and such as model APIs take.
    async fn names(&self, path: &str, format: &str, count: usize) -> BTreeSet<String> {
        let list = get(&self.gateway, path, KEY).await.json();
        let pointer = if format == "openai" { "/function/name" } else { "/name" };
        let tools = list["tools"].as_array().unwrap_or_else(|| panic!("no tools: {list}"));
        let name = |tool: &Value| tool.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let names: BTreeSet<String> = tools.iter().filter_map(name).collect();
        assert_eq!((tools.len(), names.len()), (count, count), "each tool has a name of its own: {names:?}");
        let is_taken = |name: &String| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            (1..=64).contains(&name.len()) && name.chars().all(allowed)
        };
        assert!(names.iter().all(is_taken), "{names:?}");
        names
    }

    /// The server and the name of the last call, of which there was one since this was asked.
    fn reached(&self) -> (&'static str, String) {
        let calls = |recorder: &Recorder| recorder.take_calls();
        let (north, south) = (calls(&self.north), calls(&self.south));
        let (server, call) = match (&north[..], &south[..]) {
            ([call], []) => ("north", call),
            ([], [call]) => ("south", call),
            _ => panic!("{} calls reached north, and {} south", north.len(), south.len()),
        };
        let name = call.member("/params/name").expect("a name");
        if name.is_ascii() {
            assert_eq!(call.header("mcp-name"), Some(name.as_str()), "the header says what the body says");
        }
        (server, name)
    }
}
