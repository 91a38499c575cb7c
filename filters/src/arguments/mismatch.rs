//! Why arguments do not fit, in words of the schema: names, types and rules, never a value that the
//! caller sent.

use crate::json::{DEPTH_MAX, Malformed};
use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

/// Names and rules are shown so far; a schema may have long ones.
const SHOWN_CHARACTERS_MAX: usize = 200;

/// How arguments do not fit: the first place and rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Mismatch {
    /// JSON pointer into the arguments; empty for the arguments as a whole.
    pub path: String,
    /// The type or the rule that is not met: `integer`, `one of "a", "b"`, `required property "city"`.
    pub expected: String,
    pub message: String,
    pub rule: Rule,
}

/// What a surface may have words of its own for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// An argument that must be there.
    Missing(String),
    /// An argument of another type.
    Type { name: String, expected: String },
    /// A key that stands twice, at any depth.
    Duplicate(String),
    /// Everything else, also what is missing or of another type further inside.
    Other,
}

impl Mismatch {
    pub(super) fn unexplained(expected: &str) -> Mismatch {
        Mismatch::whole(expected.to_owned(), Rule::Other)
    }

    fn whole(expected: String, rule: Rule) -> Mismatch {
        let message = format!("arguments: expected {expected}");
        Mismatch { path: String::new(), expected, message, rule }
    }
}

impl From<Malformed> for Mismatch {
    fn from(malformed: Malformed) -> Mismatch {
        match malformed {
            Malformed::Duplicate(key) => {
                let key = cut(&key, SHOWN_CHARACTERS_MAX);
                Mismatch::whole(format!("each key once; {key:?} stands twice"), Rule::Duplicate(key))
            }
            Malformed::TooDeep => Mismatch::unexplained(&format!("at most {DEPTH_MAX} levels")),
            Malformed::Syntax(..) => Mismatch::unexplained(&format!("JSON; {malformed}")),
        }
    }
}

impl From<&ValidationError<'_>> for Mismatch {
    fn from(error: &ValidationError<'_>) -> Mismatch {
        let path = error.instance_path().as_str();
        let types = types(error.kind(), path);
        let expected = match &types {
            Some(types) => types.join(" or "),
            None => cut(&expected(error.kind()), SHOWN_CHARACTERS_MAX),
        };
        let path = cut(path, SHOWN_CHARACTERS_MAX);
        let place = if path.is_empty() { "arguments".to_owned() } else { format!("argument {path}") };
        let message = match (error.kind(), &types) {
            (_, Some(_)) => format!("{place}: expected {expected}, found {}", type_name(error.instance())),
            (Kind::Required { .. }, _) => format!("{place}: the {expected} is missing"),
            _ => format!("{place}: expected {expected}"),
        };
        let rule = match (error.kind(), argument(&path)) {
            (Kind::Required { property: Value::String(name) }, _) if path.is_empty() => Rule::Missing(name.clone()),
            (_, Some(name)) if types.is_some() => Rule::Type { name, expected: expected.clone() },
            _ => Rule::Other,
        };
        Mismatch { path, expected, message, rule }
    }
}

/// The name of the argument that a pointer leads to, unless it leads further inside.
fn argument(path: &str) -> Option<String> {
    let name = path.strip_prefix('/').filter(|name| !name.contains('/'))?;
    Some(name.replace("~1", "/").replace("~0", "~"))
}

/// The types that would do, if it is the type that is wrong. Alternatives that each ask for another
/// type are one rule: that is how generators write what may be null.
fn types(kind: &Kind, path: &str) -> Option<Vec<&'static str>> {
    match kind {
        Kind::Type { kind: TypeKind::Single(wanted) } => Some(vec![wanted.as_str()]),
        Kind::Type { kind: TypeKind::Multiple(wanted) } => Some(wanted.iter().map(|wanted| wanted.as_str()).collect()),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            let mut all = Vec::new();
            for errors in context {
                let mut here = errors.iter().filter(|error| error.instance_path().as_str() == path);
                let wanted = here.find_map(|error| types(error.kind(), path))?;
                all.extend(wanted.into_iter().filter(|wanted| !all.contains(wanted)).collect::<Vec<_>>());
            }
            Some(all)
        }
        _ => None,
    }
}

fn expected(kind: &Kind) -> String {
    match kind {
        Kind::Required { property } => format!("required property {property}"),
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            let quoted: Vec<String> = unexpected.iter().map(|name| format!("{name:?}")).collect();
            format!("no property {}", quoted.join(", "))
        }
        Kind::Enum { options } => format!("one of {}", listed(options)),
        Kind::Constant { expected_value } => expected_value.to_string(),
        Kind::Minimum { limit } => format!("at least {limit}"),
        Kind::Maximum { limit } => format!("at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("less than {limit}"),
        Kind::MultipleOf { multiple_of } => format!("a multiple of {multiple_of}"),
        Kind::MinLength { limit } => format!("at least {limit} characters"),
        Kind::MaxLength { limit } => format!("at most {limit} characters"),
        Kind::MinItems { limit } => format!("at least {limit} items"),
        Kind::MaxItems { limit } => format!("at most {limit} items"),
        Kind::AdditionalItems { limit } => format!("at most {limit} items"),
        Kind::MinProperties { limit } => format!("at least {limit} properties"),
        Kind::MaxProperties { limit } => format!("at most {limit} properties"),
        Kind::UniqueItems => "items that are all different".to_owned(),
        Kind::Pattern { pattern } => format!("a match of the pattern {pattern}"),
        Kind::PropertyNames { error } => format!("names of properties with {}", expected(error.kind())),
        Kind::AnyOf { .. } | Kind::OneOfNotValid { .. } => "what fits one of the alternatives".to_owned(),
        Kind::OneOfMultipleValid { .. } => "what fits only one of the alternatives".to_owned(),
        Kind::FalseSchema => "nothing here".to_owned(),
        other => format!("what the schema's {:?} asks for", other.keyword()),
    }
}

fn listed(options: &Value) -> String {
    let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
    let options: Vec<String> = options.iter().map(Value::to_string).collect();
    options.join(", ")
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The beginning of a text, with a mark where the rest was.
pub(super) fn cut(text: &str, characters_max: usize) -> String {
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
