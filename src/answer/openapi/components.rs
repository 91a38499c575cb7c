//! The components of one document: schemas under names that stay different in every generator.

use super::hoist::Hoist;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use tollbridge_filters::names::plain_name;

/// Generators make files of names, and file systems take 255 bytes.
pub(super) const NAME_MAX: usize = 100;

/// What the schemas of one document may cost to write, about one for a byte; beyond it they allow
/// anything.
const COST_MAX: usize = 64 << 20;

pub(super) struct Components {
    schemas: Map<String, Value>,
    names: Names,
    cost_left: usize,
}

impl Components {
    pub(super) fn new(reserved: &[&str]) -> Components {
        let mut names = Names::default();
        for name in reserved {
            names.take(name);
        }
        Components { schemas: Map::new(), names, cost_left: COST_MAX }
    }

    /// Adds the schema of a tool's arguments, an object whatever the tool says, and refers to it.
    pub(super) fn input(&mut self, operation: &str, schema: Option<&Value>) -> Value {
        Hoist::new(self, operation, schema.unwrap_or(&Value::Null)).object_root(&format!("{operation}_input"))
    }

    /// Adds the schema of a tool's structured content, and refers to it.
    pub(super) fn output(&mut self, operation: &str, schema: &Value) -> Value {
        Hoist::new(self, operation, schema).any_root(&format!("{operation}_output"))
    }

    pub(super) fn take_name(&mut self, wanted: &str) -> String {
        self.names.take(wanted)
    }

    pub(super) fn insert(&mut self, name: &str, schema: Value) {
        self.schemas.insert(name.to_owned(), schema);
    }

    /// What a reference of ours refers to, if it is written already.
    pub(super) fn referred(&self, schema: &Value) -> Option<&Value> {
        self.schemas.get(schema.get("$ref")?.as_str()?.strip_prefix(PREFIX)?)
    }

    /// Whether the document has room for something more.
    pub(super) fn spend(&mut self, cost: usize) -> bool {
        let left = self.cost_left.checked_sub(cost);
        self.cost_left = left.unwrap_or_default();
        left.is_some()
    }

    pub(super) fn into_schemas(self) -> Map<String, Value> {
        self.schemas
    }
}

const PREFIX: &str = "#/components/schemas/";

pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("{PREFIX}{name}")})
}

/// Names that were given, as generators tell them apart, with the number that is next.
#[derive(Default)]
pub(super) struct Names(HashMap<String, usize>);

impl Names {
    /// The name that is wanted, or one with a number where it would meet another.
    pub(super) fn take(&mut self, wanted: &str) -> String {
        let plain = plain_name(wanted, NAME_MAX);
        let spoken = spoken(&plain);
        let mut number = self.0.get(&spoken).copied().unwrap_or(1);
        let mut name = plain.clone().into_owned();
        if number > 1 {
            name = format!("{plain}_{number}");
        }
        while self.0.contains_key(&self::spoken(&name)) {
            number += 1;
            name = format!("{plain}_{number}");
        }
        self.0.insert(spoken, number + 1);
        self.0.entry(self::spoken(&name)).or_insert(2);
        name
    }
}

/// What generators leave of a name: they write `get_page`, `get-page` and `getPage` alike.
pub(super) fn spoken(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_uppercase).collect()
}
