//! What a test demands of a JSON answer, written as JSON; whatever else the answer holds is its own affair.
//!
//! An object is met by one that has its members, an array by one that has a match for each of its
//! elements (`[]` by an empty one only), and strings in angle brackets by a whole kind of values:
//! `<string>`, `<number>`, `<boolean>`, `<array>`, `<object>`, `<any>`, `<absent>`, `<holds some text>`.
//! An object is also met by MCP content whose text is JSON that meets it: REST surfaces and MCP hand
//! out the same result in these two forms.

use serde_json::Value;

/// Where the answer does not meet the demand.
pub fn differs(demand: &Value, answer: &Value) -> Option<String> {
    differs_at("", demand, Some(answer))
}

fn differs_at(place: &str, demand: &Value, answer: Option<&Value>) -> Option<String> {
    let met = match (demand, answer) {
        (Value::String(kind), answer) if kind.starts_with('<') && kind.ends_with('>') => is_a(kind, answer),
        (Value::Object(members), Some(Value::Object(answers))) => {
            let differ = |(name, demand)| differs_at(&format!("{place}/{name}"), demand, answers.get(name));
            return members.iter().find_map(differ);
        }
        (Value::Object(_), Some(Value::Array(content))) => {
            content.iter().filter_map(said).any(|said| differs(demand, &said).is_none())
        }
        (Value::Array(elements), Some(Value::Array(answers))) if !elements.is_empty() => {
            let unmet = |demand: &&Value| !answers.iter().any(|answer| differs(demand, answer).is_none());
            return elements.iter().find(unmet).map(|demand| format!("at {place:?} nothing is like {demand}"));
        }
        (Value::Number(demand), Some(Value::Number(answer))) => demand.as_f64() == answer.as_f64(),
        (demand, answer) => Some(demand) == answer,
    };
    let answer = answer.map_or("nothing".to_owned(), Value::to_string);
    (!met).then(|| format!("at {place:?} {demand} is wanted and {answer} is there"))
}

fn is_a(kind: &str, answer: Option<&Value>) -> bool {
    let Some(answer) = answer else { return kind == "<absent>" };
    match kind {
        "<string>" => answer.is_string(),
        "<number>" => answer.is_number(),
        "<boolean>" => answer.is_boolean(),
        "<array>" => answer.is_array(),
        "<object>" => answer.is_object(),
        "<any>" => true,
        "<absent>" => false,
        _ => {
            let text = kind.strip_prefix("<holds ").and_then(|rest| rest.strip_suffix('>'));
            let text = text.unwrap_or_else(|| panic!("there is no kind {kind}"));
            answer.to_string().contains(text)
        }
    }
}

/// The JSON in the text of a piece of MCP content.
fn said(content: &Value) -> Option<Value> {
    serde_json::from_str(content["text"].as_str()?).ok()
}
