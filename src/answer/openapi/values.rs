//! Values in schemas: constants, enumerations and defaults, as far as generators take them.

use super::annotations::Annotations;
use super::components::{Components, spoken};
use super::types::Type;
use serde_json::{Value, json};
use std::collections::HashSet;

/// Values that generators make names of.
const ENUMERATION_MAX: usize = 1_000;

/// What is said in words of values that cannot be an enumeration.
const WORDS_MAX: usize = 500;

/// Generators take constants that are a text, a whole number or a truth value.
pub(super) fn constant(value: &Value, annotations: &mut Annotations<'_>) -> Value {
    match Type::of(value) {
        Type::Null => json!({"type": "null"}),
        kind @ (Type::String | Type::Integer | Type::Boolean) => json!({"type": kind.name(), "const": value}),
        _ => values_in_words(std::slice::from_ref(value), annotations),
    }
}

/// The values of an enumeration, without null, if all are texts or whole numbers, and different
/// when they are made names.
pub(super) fn namable(values: &[Value]) -> Option<Vec<&Value>> {
    let mut named: Vec<&Value> = Vec::new();
    let mut names = HashSet::new();
    let mut known = HashSet::new();
    for value in values.iter().filter(|value| !value.is_null()) {
        if !known.insert(value.to_string()) {
            continue;
        }
        let is_like_others = named.first().is_none_or(|first| Type::of(first) == Type::of(value));
        let is_new = match value {
            Value::String(text) => names.insert(spoken_value(text, named.len())),
            Value::Number(number) => number.is_i64(),
            _ => false,
        };
        if !is_like_others || !is_new || named.len() >= ENUMERATION_MAX {
            return None;
        }
        named.push(value);
    }
    (!named.is_empty()).then_some(named)
}

/// What does not begin with a letter is named by its place.
fn spoken_value(text: &str, place: usize) -> String {
    if text.starts_with(char::is_alphabetic) { spoken(text) } else { format!("VALUE{place}") }
}

/// Values that are no enumeration for generators: their types, and the values in the description.
pub(super) fn values_in_words(values: &[Value], annotations: &mut Annotations<'_>) -> Value {
    let words: Vec<String> = values.iter().take(WORDS_MAX).map(Value::to_string).collect();
    let words: String = words.join(", ").chars().take(WORDS_MAX).collect();
    annotations.note(&format!("One of: {words}"));
    let mut types: Vec<&str> = values.iter().map(|value| Type::of(value).name()).collect();
    types.sort_unstable();
    types.dedup();
    match types.as_slice() {
        _ if types.contains(&"object") || types.contains(&"array") => json!({}),
        [one] => json!({"type": one}),
        several => json!({"type": several}),
    }
}

/// A character that is written alike in every language. Generators look for a default among the
/// values of an enumeration as they have written them.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | ':' | '/' | '+' | ',')
}

/// Whether a default is one that generators take: a plain value that the schema allows.
pub(super) fn takes_default(components: &Components, schema: &Value, default: &Value) -> bool {
    let schema = components.referred(schema).unwrap_or(schema);
    let member = |key: &str| schema.get(key).and_then(Value::as_array);
    if let Some(members) = member("anyOf") {
        return members.iter().any(|member| takes_default(components, member, default));
    }
    if let Some(values) = member("enum") {
        return values.contains(default) && default.as_str().is_none_or(|text| text.chars().all(is_plain));
    }
    if let Some(constant) = schema.get("const") {
        return constant == default;
    }
    let types = schema.get("type").map(Type::every).unwrap_or_default();
    let within = |low: &str, high: &str, size: f64| {
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        bound(low).is_none_or(|low| size >= low) && bound(high).is_none_or(|high| size <= high)
    };
    match default {
        Value::Bool(_) => types.contains(&Type::Boolean),
        Value::String(text) => {
            let length = u32::try_from(text.chars().count()).map_or(f64::INFINITY, f64::from);
            types.contains(&Type::String) && schema.get("format").is_none() && within("minLength", "maxLength", length)
        }
        Value::Number(number) => {
            let of_type = types.contains(&Type::Number) || (types.contains(&Type::Integer) && !number.is_f64());
            let is_absent = |key: &&str| schema.get(*key).is_none();
            let unjudged = ["exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
            let size = number.as_f64().unwrap_or(f64::NAN);
            of_type && unjudged.iter().all(is_absent) && within("minimum", "maximum", size)
        }
        Value::Array(values) => {
            values.is_empty() && types.contains(&Type::Array) && within("minItems", "maxItems", 0.0)
        }
        Value::Null | Value::Object(_) => false,
    }
}
