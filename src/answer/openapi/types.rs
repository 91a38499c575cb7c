//! The types of JSON Schema, and the keywords that narrow them.

use serde_json::Value;

/// Longer ones name no format that anybody knows.
const FORMAT_BYTES_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

impl Type {
    pub(super) fn name(self) -> &'static str {
        match self {
            Type::Null => "null",
            Type::Boolean => "boolean",
            Type::Integer => "integer",
            Type::Number => "number",
            Type::String => "string",
            Type::Array => "array",
            Type::Object => "object",
        }
    }

    fn of_name(name: &str) -> Option<Type> {
        use Type::{Array, Boolean, Integer, Null, Number, Object};
        [Null, Boolean, Integer, Number, Type::String, Array, Object].into_iter().find(|kind| kind.name() == name)
    }

    pub(super) fn of(value: &Value) -> Type {
        match value {
            Value::Null => Type::Null,
            Value::Bool(_) => Type::Boolean,
            Value::Number(number) if number.is_f64() => Type::Number,
            Value::Number(_) => Type::Integer,
            Value::String(_) => Type::String,
            Value::Array(_) => Type::Array,
            Value::Object(_) => Type::Object,
        }
    }

    pub(super) fn takes(self, keyword: &str) -> bool {
        match keyword {
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
                matches!(self, Type::Integer | Type::Number)
            }
            "minLength" | "maxLength" => self == Type::String,
            "minItems" | "maxItems" | "uniqueItems" => self == Type::Array,
            "format" => matches!(self, Type::String | Type::Integer | Type::Number),
            _ => false,
        }
    }

    /// The value of `type`.
    pub(super) fn every(value: &Value) -> Vec<Type> {
        let names = match value {
            Value::Array(names) => names.as_slice(),
            one => std::slice::from_ref(one),
        };
        let mut types = Vec::new();
        for kind in names.iter().filter_map(Value::as_str).filter_map(Type::of_name) {
            if !types.contains(&kind) {
                types.push(kind);
            }
        }
        types
    }
}

/// Whether a keyword narrows a type and has a value that the specification allows.
pub(super) fn narrows(key: &str, value: &Value) -> bool {
    match key {
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => value.is_number(),
        "multipleOf" => value.as_f64().is_some_and(|number| number > 0.0),
        "minLength" | "maxLength" | "minItems" | "maxItems" => value.is_u64(),
        "uniqueItems" => value.is_boolean(),
        // JSON has no place for bytes, whatever a schema says.
        "format" => {
            value.as_str().is_some_and(|format| format != "binary" && (1..=FORMAT_BYTES_MAX).contains(&format.len()))
        }
        _ => false,
    }
}
