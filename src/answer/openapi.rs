//! An OpenAPI document of tools, for client generators: each tool is one operation of its server,
//! its schemas are components. What generators do not take is simplified, here and in [`hoist`]:
//! the document describes what may be sent, and the server judges it.

mod annotations;
mod components;
mod fixed;
mod flat;
mod hoist;
mod reference;
mod types;
mod values;

use components::{Components, Names};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use tollbridge_filters::catalog::{Entry, Line};
use tollbridge_filters::json;
use tollbridge_filters::names::{function_name, public_name};

/// Tools beyond these are not described.
const TOOLS_MAX: usize = 10_000;

/// The statuses of failed calls.
const PROBLEMS: [&str; 6] = ["400", "401", "404", "422", "502", "504"];

/// An OpenAPI 3.1 document, as JSON text, of the tools that a caller may call, with paths below
/// `base_url`. Operations name their server, so that it does not matter how lists name tools, nor
/// whether one hides the other there.
pub fn document(lines: &[Line<'_>], base_url: &str) -> String {
    let mut components = Components::new(&fixed::SCHEMAS);
    let mut operations = Names::default();
    let mut paths = Map::new();
    let own: HashSet<(&str, &str)> = lines.iter().map(|line| (line.server.as_str(), line.entry.key.as_str())).collect();
    for line in lines.iter().take(TOOLS_MAX) {
        let tool = segment(&line.entry.key);
        let is_meant = tool == line.entry.key || !own.contains(&(line.server.as_str(), tool.as_str()));
        let path = format!("/mcp/{}/tools/{tool}", line.server);
        if is_meant && !paths.contains_key(&path) {
            let id = operations.take(&function_name(&public_name(line.server, &line.entry.key)));
            let operation = operation(line, &id, &mut components);
            paths.insert(path, json!({ "post": operation }));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Tollbridge", "version": env!("CARGO_PKG_VERSION")},
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{"url": base_url.trim_end_matches('/')}],
        "security": [{"key": []}],
        "paths": paths,
        "components": fixed::components(components.into_schemas()),
    })
    .to_string()
}

/// A tool's own name where it can stand in a path as it is, else the one of function calls.
fn segment(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '-');
    let stays = name.chars().all(is_plain) && !name.chars().all(|c| c == '.');
    if stays { name.to_owned() } else { function_name(name).into_owned() }
}

fn operation(line: &Line<'_>, id: &str, components: &mut Components) -> Value {
    let input = components.input(id, schema(line.entry, "inputSchema").as_ref());
    // `?result=whole` is there for every tool, and a tool may give a structure that it has not announced.
    let whole = json!({"$ref": "#/components/schemas/CallToolResult"});
    let result = match schema(line.entry, "outputSchema") {
        Some(output) => json!({"anyOf": [components.output(id, &output), whole]}),
        None => json!({"anyOf": [whole, {"type": "object", "additionalProperties": true}]}),
    };
    let title = text(line.entry, "title").unwrap_or_else(|| line.entry.key.clone());
    let mut operation = json!({"operationId": id, "tags": [line.server.as_str()], "summary": title});
    let mut responses = Map::new();
    responses.insert("200".into(), json!({"description": "What the tool answered.", "content": media(&result)}));
    let problems = PROBLEMS.map(|status| (status.to_owned(), json!({"$ref": "#/components/responses/Problem"})));
    responses.extend(problems);
    if let Some(members) = operation.as_object_mut() {
        members.extend(text(line.entry, "description").map(|text| ("description".into(), text.into())));
        members.insert("parameters".into(), json!([{"$ref": "#/components/parameters/result"}]));
        members.insert("requestBody".into(), json!({"required": true, "content": media(&input)}));
        members.insert("responses".into(), responses.into());
    }
    operation
}

fn media(schema: &Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

/// `None` also where it is more than can be read: a number that does not fit, say.
fn schema(entry: &Entry, key: &str) -> Option<Value> {
    entry.member(key).map(|raw| serde_json::from_str(raw).unwrap_or_default())
}

fn text(entry: &Entry, key: &str) -> Option<String> {
    let raw = entry.member(key).filter(|raw| raw.starts_with('"'))?;
    Some(json::unquote(raw).into_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
