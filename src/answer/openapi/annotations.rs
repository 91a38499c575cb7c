//! What is said about a schema at one place of its use, beside what it allows.

use super::components::Components;
use super::flat::Flat;
use super::values::takes_default;
use serde_json::{Map, Value, json};

pub(super) struct Annotations<'t> {
    description: Option<String>,
    default: Option<&'t Value>,
    is_deprecated: bool,
}

impl<'t> Annotations<'t> {
    pub(super) fn read(flat: &Flat<'t>) -> Annotations<'t> {
        Annotations { description: flat.description(), default: flat.default, is_deprecated: flat.is_deprecated }
    }

    /// Beside a reference.
    pub(super) fn of(schema: &'t Map<String, Value>) -> Annotations<'t> {
        let description = schema.get("description").and_then(Value::as_str).filter(|text| !text.is_empty());
        Annotations {
            description: description.map(str::to_owned),
            default: schema.get("default"),
            is_deprecated: schema.get("deprecated") == Some(&Value::Bool(true)),
        }
    }

    pub(super) fn without_description(self) -> Annotations<'t> {
        Annotations { description: None, ..self }
    }

    pub(super) fn note(&mut self, note: &str) {
        let text = self.description.take().map_or_else(|| note.to_owned(), |text| format!("{text}\n\n{note}"));
        self.description = Some(text);
    }

    /// About how much of the document it takes.
    pub(super) fn cost(&self) -> usize {
        self.description.as_ref().map_or(0, String::len) + self.default.and_then(Value::as_str).map_or(0, str::len)
    }

    /// Says it about a schema that is written.
    pub(super) fn on(self, written: Value, components: &Components) -> Value {
        let default = self.default.filter(|default| takes_default(components, &written, default));
        // Of what stands next to a reference many generators see nothing.
        let written = match (written.get("$ref"), default) {
            (Some(_), Some(_)) => json!({"allOf": [written]}),
            _ => written,
        };
        let Value::Object(mut schema) = written else {
            return written;
        };
        schema.extend(self.description.map(|text| ("description".to_owned(), text.into())));
        schema.extend(default.map(|value| ("default".to_owned(), value.clone())));
        schema.extend(self.is_deprecated.then(|| ("deprecated".to_owned(), true.into())));
        schema.into()
    }
}
