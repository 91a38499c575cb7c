//! How the demonstration's tools, resource and prompt describe themselves.

use rmcp::model::{Prompt, PromptArgument, Resource, Tool};
use serde_json::{Map, Value, json};

pub(super) const README_URI: &str = "demo://readme";

pub(super) fn tools() -> Vec<Tool> {
    let said = json!({"text": {"type": "string"}});
    let echo = tool("echo", "Gives back the text.", said.clone()).with_raw_output_schema(object(said).into());
    vec![
        echo,
        tool("add", "Adds two numbers.", json!({"a": {"type": "number"}, "b": {"type": "number"}})),
        tool(
            "count",
            "Counts to n and reports its progress every 200 ms.",
            json!({"n": {"type": "integer", "minimum": 0, "maximum": super::COUNT_MAX}}),
        ),
        tool(
            "slow",
            "Waits, and stops when it is cancelled.",
            json!({"ms": {"type": "integer", "minimum": 0, "maximum": super::SLOW_MS_MAX}}),
        ),
        tool("fail", "Fails, as a tool does.", json!({})),
    ]
}

pub(super) fn readme() -> Resource {
    Resource::new(README_URI, "readme").with_description("What this server is.").with_mime_type("text/markdown")
}

pub(super) fn greet() -> Prompt {
    let name = PromptArgument::new("name").with_description("Who is greeted.").with_required(true);
    Prompt::new("greet", Some("A greeting."), Some(vec![name]))
}

fn tool(name: &'static str, description: &'static str, properties: Value) -> Tool {
    Tool::new(name, description, object(properties))
}

/// The schema of an object that has these properties, all of them required.
fn object(properties: Value) -> Map<String, Value> {
    let required = properties.as_object().map(|them| them.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), properties);
    schema.insert("required".to_owned(), json!(required));
    schema
}
