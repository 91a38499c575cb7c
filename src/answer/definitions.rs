//! Function-calling definitions: tools in the words of model APIs. A tool's schema is handed on as
//! the bytes that its server sent.

use std::borrow::Cow;
use std::collections::HashSet;
use tollbridge_filters::catalog::{Entry, Line};
use tollbridge_filters::json;
use tollbridge_filters::names::function_name;

/// The parameters of a tool that says nothing of them.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// `{"tools": […]}` as OpenAI's chat completions take it.
pub fn openai(lines: &[Line<'_>]) -> String {
    list(lines, |name, description, parameters| {
        format!(
            r#"{{"type":"function","function":{{"name":{name},"description":{description},"parameters":{parameters}}}}}"#
        )
    })
}

/// `{"tools": […]}` as Anthropic's messages take it.
pub fn anthropic(lines: &[Line<'_>]) -> String {
    list(lines, |name, description, schema| {
        format!(r#"{{"name":{name},"description":{description},"input_schema":{schema}}}"#)
    })
}

fn list(lines: &[Line<'_>], write: impl Fn(&str, &str, &str) -> String) -> String {
    let tools: Vec<String> = callable(lines)
        .into_iter()
        .map(|(function, line)| {
            let parameters = object(line.entry, "inputSchema").unwrap_or(NO_PARAMETERS);
            write(&json::quote(&function), &description(line), parameters)
        })
        .collect();
    format!(r#"{{"tools":[{}]}}"#, tools.join(","))
}

/// What a call by its function name reaches: names win over function names, as they do when calls
/// are resolved, and a function name that two names share means neither.
fn callable<'l>(lines: &'l [Line<'_>]) -> Vec<(Cow<'l, str>, &'l Line<'l>)> {
    let shown = || lines.iter().filter(|line| !line.hidden);
    let names: HashSet<&str> = shown().map(|line| line.name).collect();
    let (mut made, mut shared) = (HashSet::new(), HashSet::new());
    for line in shown() {
        if let Cow::Owned(function) = function_name(line.name)
            && let Some(again) = made.replace(function)
        {
            shared.insert(again);
        }
    }
    let is_meant = |function: &Cow<'_, str>| match function {
        Cow::Borrowed(_) => true,
        Cow::Owned(made) => !names.contains(made.as_str()) && !shared.contains(made),
    };
    let functions = shown().map(|line| (function_name(line.name), line));
    functions.filter(|(function, _)| is_meant(function)).collect()
}

fn description<'l>(line: &'l Line<'_>) -> Cow<'l, str> {
    let own = text(line.entry, "description").or_else(|| text(line.entry, "title"));
    own.map_or_else(|| json::quote(&format!("Tool from {}", line.server)).into(), Cow::Borrowed)
}

fn text<'e>(entry: &'e Entry, key: &str) -> Option<&'e str> {
    entry.member(key).filter(|raw| raw.starts_with('"') && *raw != r#""""#)
}

fn object<'e>(entry: &'e Entry, key: &str) -> Option<&'e str> {
    entry.member(key).filter(|raw| raw.starts_with('{'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbridge_filters::catalog::Kind;
    use tollbridge_filters::names::ServerId;

    fn entry(raw: &str) -> Entry {
        Entry::read(Kind::Tool, raw).unwrap()
    }

    #[test]
    fn definitions_keep_the_bytes_of_schemas() {
        let server = ServerId::derive("search").unwrap();
        let schema = r#"{ "type":"object","properties":{"n":{"maximum":1e400}} }"#;
        for (raw, description, parameters) in [
            (
                format!(r#"{{"name":"t","description":"a \u0062","title":"T","inputSchema":{schema}}}"#),
                r#""a \u0062""#,
                schema,
            ),
            (r#"{"name":"t","description":"","title":"T"}"#.into(), r#""T""#, NO_PARAMETERS),
            (r#"{"name":"t","description":7,"inputSchema":true}"#.into(), r#""Tool from search""#, NO_PARAMETERS),
        ] {
            let entry = entry(&raw);
            let line = Line { name: "search__t", entry: &entry, server: &server, hidden: false };
            assert_eq!(
                openai(&[line]),
                format!(
                    r#"{{"tools":[{{"type":"function","function":{{"name":"search__t","description":{description},"parameters":{parameters}}}}}]}}"#
                )
            );
            assert_eq!(
                anthropic(&[line]),
                format!(
                    r#"{{"tools":[{{"name":"search__t","description":{description},"input_schema":{parameters}}}]}}"#
                )
            );
        }
        assert_eq!(openai(&[]), r#"{"tools":[]}"#);
    }

    #[test]
    fn each_function_name_stands_once() {
        let server = ServerId::derive("s").unwrap();
        let entry = entry(r#"{"name":"t"}"#);
        let made = function_name("a.b").into_owned();
        let line = |name, hidden| Line { name, entry: &entry, server: &server, hidden };
        let lines = [line("a.b", false), line(&made, false), line("c.d", false), line("c.d", true)];
        let named: Vec<String> = callable(&lines).into_iter().map(|(function, _)| function.into_owned()).collect();
        assert_eq!(named, [made.clone(), function_name("c.d").into_owned()]);
        let document: serde_json::Value = serde_json::from_str(&openai(&lines)).unwrap();
        assert_eq!(document["tools"][0]["function"]["name"], made);
        assert_eq!(document["tools"].as_array().map(Vec::len), Some(2));
    }
}
