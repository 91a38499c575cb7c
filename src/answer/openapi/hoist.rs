//! One tool's schema as components: every object and every enumeration, and whatever is referred
//! to, is one of its own. So generators choose no names themselves, where they would meet, and
//! schemas that contain themselves do it through objects alone.

use super::annotations::Annotations;
use super::components::{Components, NAME_MAX, reference, spoken};
use super::flat::{Flat, Shape};
use super::reference::{resolve, sole_reference};
use super::types::Type;
use super::values::{constant, namable, values_in_words};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, HashSet, VecDeque};
use tollbridge_filters::names::plain_name;

/// Arrays and choices inside each other.
const DEPTH_MAX: usize = 64;

/// A choice of more takes anything.
const CHOICES_MAX: usize = 256;

/// What one schema may cost to write, about one for a byte. A small one of references to
/// references can describe a huge one.
const COST_MAX: usize = 1 << 20;

/// Properties that are left out, because classes that generators write break when they have them.
/// (openapi-python-client 0.29 calls its own variables and methods so.)
const NOT_SPOKEN: [&str; 8] =
    ["additional_keys", "additional_properties", "cls", "d", "field_dict", "from_dict", "src_dict", "to_dict"];

/// A place in the tool's schema. It stays where it is while we read.
type Node = *const Value;

pub(super) struct Hoist<'c, 't> {
    components: &'c mut Components,
    operation: &'c str,
    root: &'t Value,
    /// The components that are objects, written or waiting to be.
    objects: HashMap<Node, String>,
    /// How to refer to the other components.
    others: HashMap<Node, Value>,
    /// Those of `others` that are not written yet.
    under_way: Vec<Node>,
    waiting: VecDeque<(String, Flat<'t>)>,
    depth: usize,
    cost_left: usize,
}

impl<'c, 't> Hoist<'c, 't> {
    pub(super) fn new(components: &'c mut Components, operation: &'c str, root: &'t Value) -> Hoist<'c, 't> {
        Hoist {
            components,
            operation,
            root,
            objects: HashMap::new(),
            others: HashMap::new(),
            under_way: Vec::new(),
            waiting: VecDeque::new(),
            depth: 0,
            cost_left: COST_MAX,
        }
    }

    /// Writes the whole schema as an object: what is none becomes one that takes anything.
    pub(super) fn object_root(mut self, name: &str) -> Value {
        let flat = self.read_root().filter(Flat::may_be_object).map(|flat| flat.as_object()).filter(Flat::is_object);
        let schema = self.object(self.root, flat.unwrap_or_else(Flat::open_object), name);
        self.write_waiting();
        schema
    }

    /// Writes the whole schema as what it is; what is none becomes an object that takes anything.
    pub(super) fn any_root(mut self, name: &str) -> Value {
        let schema = match self.read_root() {
            Some(flat) => self.shared(self.root, flat, name),
            None => self.object(self.root, Flat::open_object(), name),
        };
        self.write_waiting();
        schema
    }

    fn read_root(&self) -> Option<Flat<'t>> {
        self.root.as_object().map(|schema| Flat::read(schema, self.root))
    }

    fn write_waiting(&mut self) {
        while let Some((name, flat)) = self.waiting.pop_front() {
            let schema = self.members(&flat, &name);
            self.components.insert(&name, schema);
        }
    }

    /// One schema inside another, or a reference to it. `true`, `false` and what is no schema
    /// allow anything.
    fn schema(&mut self, source: &'t Value, hint: &str) -> Value {
        let Value::Object(schema) = source else {
            return json!({});
        };
        if self.depth >= DEPTH_MAX || !self.spend(1) {
            return json!({});
        }
        self.depth += 1;
        let written = match sole_reference(schema) {
            Some(reference) => self.referred(schema, reference),
            None => self.inline(source, schema, hint),
        };
        self.depth -= 1;
        written
    }

    fn referred(&mut self, schema: &'t Map<String, Value>, reference: &str) -> Value {
        let annotations = Annotations::of(schema);
        let Some((target, name)) = resolve(self.root, reference) else {
            return self.unresolved(annotations, reference);
        };
        if !self.spend(annotations.cost()) {
            return json!({});
        }
        let written = match (self.known(target), target) {
            (Some(known), _) => known,
            (None, Value::Object(schema)) => {
                let hint = format!("{}_{name}", self.operation);
                self.shared(target, Flat::read(schema, self.root), &hint)
            }
            (None, _) => json!({}),
        };
        annotations.on(written, self.components)
    }

    fn unresolved(&mut self, mut annotations: Annotations<'t>, reference: &str) -> Value {
        annotations.note(&match reference.starts_with('#') {
            true => format!("Its description is missing: {reference}"),
            false => format!("Described outside of this document: {reference}"),
        });
        if self.spend(annotations.cost()) { annotations.on(json!({}), self.components) } else { json!({}) }
    }

    /// Something that is referred to: a component, whatever it is.
    fn shared(&mut self, source: &'t Value, flat: Flat<'t>, hint: &str) -> Value {
        match flat.shape() {
            Shape::Object => return self.object(source, flat, hint),
            Shape::Enumeration(values) => {
                if let Some(written) = self.enumeration(source, &flat, values, hint) {
                    return written;
                }
            }
            _ => {}
        }
        let name = self.components.take_name(hint);
        self.others.insert(source, reference(&name));
        self.under_way.push(source);
        let schema = self.written(source, &flat, &name);
        self.under_way.pop();
        self.components.insert(&name, schema);
        reference(&name)
    }

    fn inline(&mut self, source: &'t Value, schema: &'t Map<String, Value>, hint: &str) -> Value {
        if let Some(known) = self.known(source) {
            return known;
        }
        let flat = Flat::read(schema, self.root);
        match flat.shape() {
            Shape::Object => self.object(source, flat, hint),
            Shape::Enumeration(values) => match self.enumeration(source, &flat, values, hint) {
                Some(written) => Annotations::read(&flat).without_description().on(written, self.components),
                None => self.written(source, &flat, hint),
            },
            _ => self.written(source, &flat, hint),
        }
    }

    /// How to refer to a component. One that contains itself, and not through an object, allows
    /// anything there: generators have no type for it.
    fn known(&self, source: &'t Value) -> Option<Value> {
        let node: Node = source;
        if self.under_way.contains(&node) {
            return Some(json!({}));
        }
        self.objects.get(&node).map(|name| reference(name)).or_else(|| self.others.get(&node).cloned())
    }

    /// A component that is an object; its members are written when everything before them is.
    fn object(&mut self, source: &'t Value, flat: Flat<'t>, hint: &str) -> Value {
        if let Some(name) = self.objects.get(&(source as Node)) {
            return reference(name);
        }
        let name = self.components.take_name(hint);
        let written = reference(&name);
        self.objects.insert(source, name.clone());
        let flat = if self.spend(flat.cost()) { flat } else { Flat::open_object() };
        self.waiting.push_back((name, flat));
        written
    }

    fn members(&mut self, flat: &Flat<'t>, name: &str) -> Value {
        let mut schema = Map::from_iter([("type".to_owned(), json!("object"))]);
        let mut properties = Map::new();
        let mut required = Vec::new();
        let mut unnamed = Vec::new();
        let mut names: HashSet<String> = NOT_SPOKEN.iter().map(|name| spoken(name)).collect();
        for (key, source) in &flat.properties {
            // Of `+1` and `-1` generators make the same name, and stop.
            if !names.insert(spoken(key)) {
                unnamed.push(*key);
                continue;
            }
            properties.insert((*key).to_owned(), self.schema(source, &under(name, key)));
            if flat.required.contains(key) {
                required.push(*key);
            }
        }
        let note = (!unnamed.is_empty()).then(|| format!("Also takes: {}", unnamed.join(", ")));
        let description: Vec<String> = flat.description().into_iter().chain(note).collect();
        if !description.is_empty() {
            schema.insert("description".into(), description.join("\n\n").into());
        }
        if !properties.is_empty() {
            schema.insert("properties".into(), properties.into());
        }
        if !required.is_empty() {
            schema.insert("required".into(), required.into());
        }
        match flat.additional().filter(|_| unnamed.is_empty()) {
            Some(Value::Bool(false)) => drop(schema.insert("additionalProperties".into(), false.into())),
            Some(value @ Value::Object(_)) => {
                let value = self.schema(value, &under(name, "value"));
                schema.insert("additionalProperties".into(), value);
            }
            _ => {}
        }
        if flat.is_deprecated {
            schema.insert("deprecated".into(), true.into());
        }
        schema.into()
    }

    /// A component of values that every generator can name; `None` where it could not.
    fn enumeration(&mut self, source: &'t Value, flat: &Flat<'t>, values: &'t [Value], hint: &str) -> Option<Value> {
        let named = namable(values)?;
        let cost = flat.cost() + named.iter().map(|value| value.to_string().len()).sum::<usize>();
        if !self.spend(cost) {
            return Some(json!({}));
        }
        let kind = Type::of(named.first()?).name();
        let mut schema = Map::from_iter([("type".to_owned(), json!(kind)), ("enum".to_owned(), json!(named))]);
        schema.extend(flat.description().map(|text| ("description".to_owned(), text.into())));
        let name = self.components.take_name(hint);
        self.components.insert(&name, schema.into());
        let written = match values.contains(&Value::Null) {
            true => json!({"anyOf": [reference(&name), {"type": "null"}]}),
            false => reference(&name),
        };
        self.others.insert(source, written.clone());
        Some(written)
    }

    /// Everything that is no object and no enumeration.
    fn written(&mut self, source: &'t Value, flat: &Flat<'t>, hint: &str) -> Value {
        if !self.spend(flat.cost()) {
            return json!({});
        }
        let mut annotations = Annotations::read(flat);
        let written = match flat.shape() {
            Shape::Choice(members) => self.choice(members, hint),
            Shape::Constant(value) => constant(value, &mut annotations),
            Shape::Enumeration(values) => values_in_words(values, &mut annotations),
            Shape::Typed(Type::Array) => self.array(flat, hint),
            Shape::Typed(kind) => narrowed(&[kind], flat),
            Shape::Several => self.several(source, flat, hint),
            Shape::Object | Shape::Anything => json!({}),
        };
        annotations.on(written, self.components)
    }

    fn choice(&mut self, members: &'t [Value], hint: &str) -> Value {
        if members.len() > CHOICES_MAX {
            return json!({});
        }
        let mut written: Vec<Value> = Vec::new();
        for (number, member) in members.iter().enumerate() {
            let member = self.schema(member, &under(hint, &number.to_string()));
            if !written.contains(&member) {
                written.push(member);
            }
        }
        any_of(written)
    }

    fn array(&mut self, flat: &Flat<'t>, hint: &str) -> Value {
        let hint = under(hint, "item");
        let items = match (flat.tuple, flat.items) {
            ([], Some(items)) => self.schema(items, &hint),
            // A tuple, and nothing after it: generators know arrays of one type, and choices.
            (tuple, _) if flat.is_closed_tuple() => self.choice(tuple, &hint),
            _ => json!({}),
        };
        let mut array = narrowed(&[Type::Array], flat);
        if let Some(array) = array.as_object_mut() {
            array.insert("items".into(), items);
        }
        array
    }

    fn several(&mut self, source: &'t Value, flat: &Flat<'t>, hint: &str) -> Value {
        if !flat.types.contains(&Type::Object) && !flat.types.contains(&Type::Array) {
            return narrowed(&flat.types, flat);
        }
        let mut written = Vec::new();
        for kind in &flat.types {
            written.push(match kind {
                Type::Object => self.object(source, flat.as_object(), hint),
                Type::Array => self.array(flat, hint),
                simple => narrowed(&[*simple], flat),
            });
        }
        any_of(written)
    }

    fn spend(&mut self, cost: usize) -> bool {
        let left = self.cost_left.checked_sub(cost);
        self.cost_left = left.unwrap_or_default();
        left.is_some() && self.components.spend(cost)
    }
}

/// The name of what is inside something with a name.
fn under(name: &str, part: &str) -> String {
    plain_name(&format!("{name}_{part}"), NAME_MAX).into_owned()
}

fn any_of(mut members: Vec<Value>) -> Value {
    let says_nothing = |member: &Map<String, Value>| member.keys().all(|key| key == "description");
    match members.len() {
        _ if members.iter().any(|member| member.as_object().is_some_and(says_nothing)) => json!({}),
        1 => members.pop().unwrap_or_default(),
        _ => json!({"anyOf": members}),
    }
}

fn narrowed(types: &[Type], flat: &Flat<'_>) -> Value {
    let kind = match types {
        [one] => json!(one.name()),
        several => several.iter().map(|kind| kind.name()).collect(),
    };
    let fitting = flat.narrowing.iter().filter(|(key, _)| types.iter().any(|kind| kind.takes(key)));
    let fitting = fitting.map(|(key, value)| ((*key).to_owned(), (*value).clone()));
    Value::Object([("type".to_owned(), kind)].into_iter().chain(fitting).collect())
}
