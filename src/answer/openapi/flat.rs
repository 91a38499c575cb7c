//! One schema, read: its own keywords and those of the parts that it is made of (`allOf`), as far
//! as generators know them. Everything else of JSON Schema only narrows what is allowed, and is
//! left to the server.

use super::reference::resolve;
use super::types::{Type, narrows};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Parts that one schema may be made of.
const PARTS_MAX: usize = 64;

/// What kind of component or inline schema this is to be.
pub(super) enum Shape<'t> {
    Object,
    /// `anyOf`; `oneOf` as well, because members that are simplified may allow the same value.
    Choice(&'t [Value]),
    Constant(&'t Value),
    Enumeration(&'t [Value]),
    Typed(Type),
    Several,
    Anything,
}

#[derive(Clone, Default)]
pub(super) struct Flat<'t> {
    pub(super) types: Vec<Type>,
    pub(super) properties: Vec<(&'t str, &'t Value)>,
    pub(super) required: HashSet<&'t str>,
    additional: Option<&'t Value>,
    /// Whether properties have schemas that depend on their names.
    has_patterns: bool,
    pub(super) items: Option<&'t Value>,
    pub(super) tuple: &'t [Value],
    choice: Option<&'t [Value]>,
    constant: Option<&'t Value>,
    enumeration: Option<&'t [Value]>,
    /// Keywords that narrow a type, each as the specification wants it.
    pub(super) narrowing: Vec<(&'t str, &'t Value)>,
    description: Option<&'t str>,
    pattern: Option<&'t str>,
    pub(super) default: Option<&'t Value>,
    pub(super) is_deprecated: bool,
}

impl<'t> Flat<'t> {
    pub(super) fn read(schema: &'t Map<String, Value>, root: &'t Value) -> Flat<'t> {
        let mut flat = Flat::default();
        let (mut named, mut parts_left) = (HashSet::new(), PARTS_MAX);
        flat.take(schema, root, &mut named, &mut parts_left);
        if flat.types.is_empty() {
            flat.infer_type();
        }
        flat
    }

    /// An object that may have any property.
    pub(super) fn open_object() -> Flat<'t> {
        Flat { types: vec![Type::Object], ..Flat::default() }
    }

    /// What it says where the value is an object.
    pub(super) fn as_object(&self) -> Flat<'t> {
        Flat { types: vec![Type::Object], ..self.clone() }
    }

    /// Of two parts that say the same keyword the first counts: what both allow, it allows.
    fn take(
        &mut self,
        schema: &'t Map<String, Value>,
        root: &'t Value,
        named: &mut HashSet<&'t str>,
        parts_left: &mut usize,
    ) {
        for (key, value) in schema {
            self.keyword(key, value, named);
        }
        let referred = schema.get("$ref").and_then(Value::as_str).and_then(|reference| resolve(root, reference));
        let referred = referred.map(|(target, _)| target);
        let parts = schema.get("allOf").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for part in referred.into_iter().chain(parts) {
            if let (Value::Object(part), Some(left)) = (part, parts_left.checked_sub(1)) {
                *parts_left = left;
                self.take(part, root, named, parts_left);
            }
        }
    }

    fn keyword(&mut self, key: &'t str, value: &'t Value, named: &mut HashSet<&'t str>) {
        match (key, value) {
            ("type", _) if self.types.is_empty() => self.types = Type::every(value),
            ("properties", Value::Object(properties)) => {
                let new = properties.iter().filter(|(name, _)| named.insert(name));
                self.properties.extend(new.map(|(name, schema)| (name.as_str(), schema)));
            }
            ("required", Value::Array(names)) => self.required.extend(names.iter().filter_map(Value::as_str)),
            ("additionalProperties", Value::Bool(_) | Value::Object(_)) => {
                self.additional.get_or_insert(value);
            }
            ("patternProperties", Value::Object(patterns)) => self.has_patterns |= !patterns.is_empty(),
            ("items", Value::Bool(_) | Value::Object(_)) => {
                self.items.get_or_insert(value);
            }
            // Before 2020-12 a tuple was written so.
            ("items" | "prefixItems", Value::Array(tuple)) if self.tuple.is_empty() => self.tuple = tuple,
            ("anyOf" | "oneOf", Value::Array(members)) if !members.is_empty() => {
                self.choice.get_or_insert(members);
            }
            ("enum", Value::Array(values)) if !values.is_empty() => {
                self.enumeration.get_or_insert(values);
            }
            ("const", _) => {
                self.constant.get_or_insert(value);
            }
            ("description", Value::String(text)) if !text.is_empty() => {
                self.description.get_or_insert(text);
            }
            ("pattern", Value::String(text)) => {
                self.pattern.get_or_insert(text);
            }
            ("default", _) => {
                self.default.get_or_insert(value);
            }
            ("deprecated", Value::Bool(true)) => self.is_deprecated = true,
            _ if narrows(key, value) && !self.narrowing.iter().any(|(known, _)| *known == key) => {
                self.narrowing.push((key, value));
            }
            _ => {}
        }
    }

    fn infer_type(&mut self) {
        if !self.properties.is_empty() || !self.required.is_empty() || self.additional.is_some() || self.has_patterns {
            self.types.push(Type::Object);
        } else if self.items.is_some() || !self.tuple.is_empty() {
            self.types.push(Type::Array);
        }
    }

    pub(super) fn shape(&self) -> Shape<'t> {
        if self.types.as_slice() == [Type::Object] && (self.choice.is_none() || !self.properties.is_empty()) {
            return Shape::Object;
        }
        if let Some(value) = self.constant {
            return Shape::Constant(value);
        }
        match self.enumeration {
            Some([only]) => return Shape::Constant(only),
            Some(values) => return Shape::Enumeration(values),
            None => {}
        }
        let may_be_any_object = self.types.contains(&Type::Object) && self.properties.is_empty();
        match (self.choice, self.types.as_slice()) {
            (Some(members), types) if types.is_empty() || may_be_any_object => Shape::Choice(members),
            (_, []) => Shape::Anything,
            (_, [one]) => Shape::Typed(*one),
            _ => Shape::Several,
        }
    }

    pub(super) fn is_object(&self) -> bool {
        matches!(self.shape(), Shape::Object)
    }

    pub(super) fn may_be_object(&self) -> bool {
        self.types.contains(&Type::Object)
    }

    /// Whether an array ends where its tuple does.
    pub(super) fn is_closed_tuple(&self) -> bool {
        let max = self.narrowing.iter().find(|(key, _)| *key == "maxItems").and_then(|(_, max)| max.as_u64());
        let ends = self.items == Some(&Value::Bool(false)) || max.is_some_and(|max| max <= self.tuple.len() as u64);
        ends && !self.tuple.is_empty()
    }

    /// What else an object may have; `None`: anything.
    pub(super) fn additional(&self) -> Option<&'t Value> {
        self.additional.filter(|_| !self.has_patterns)
    }

    /// Patterns are of many dialects, and generators stop at those that are not theirs.
    pub(super) fn description(&self) -> Option<String> {
        let pattern = self.pattern.map(|pattern| format!("Pattern: {pattern}"));
        let parts: Vec<String> = self.description.map(str::to_owned).into_iter().chain(pattern).collect();
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }

    /// About how much of the document it takes to write this down once, without what is inside.
    pub(super) fn cost(&self) -> usize {
        let only = self.enumeration.and_then(|values| values.first());
        let values = [self.default, self.constant, only].into_iter().flatten().filter_map(Value::as_str);
        let texts = [self.description, self.pattern].into_iter().flatten().chain(values).map(str::len);
        64 + texts.sum::<usize>() + self.properties.iter().map(|(name, _)| 2 * name.len()).sum::<usize>()
    }
}
