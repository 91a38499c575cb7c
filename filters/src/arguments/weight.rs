//! What a schema may cost. The library goes every way to every part of it, and a few definitions that
//! each refer twice to the next one have more ways than can be gone.

use serde_json::Value;
use std::collections::HashMap;

/// A schema as a tree, with its references followed, is no deeper than this: each level takes stack.
const LEVELS_MAX: usize = 128;

/// References by anchor or by `$id` are not followed here; with so few of them the ways stay few.
const OTHER_REFERENCES_MAX: usize = 8;

/// How much a schema asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weight {
    /// The parts of the schema as a tree, with its references followed, each up to itself.
    pub parts: u64,
    /// Whether it refers to itself.
    pub is_recursive: bool,
}

/// Weighs a schema; `None` where it is too deep or too tangled to tell.
pub(super) fn weigh(schema: &Value) -> Option<Weight> {
    let references = References::new(schema);
    let others = count(schema, &|key, member| matches!(references.read(key, member), Some(Reference::Other)));
    if others > OTHER_REFERENCES_MAX {
        return None;
    }
    let mut scale = Scale { references, known: HashMap::new(), is_recursive: others > 0 };
    scale.known.insert(address(schema), None);
    let mut parts = 1_u64;
    // Definitions weigh what those weigh that refer to them.
    for (key, member) in members(schema).filter(|(key, _)| !matches!(*key, "$defs" | "definitions")) {
        parts = parts.saturating_add(scale.member(key, member, 1)?);
    }
    Some(Weight { parts, is_recursive: scale.is_recursive })
}

/// The values in a value, and how deep they are nested.
pub(super) fn size(value: &Value) -> (u64, u32) {
    let inner = members(value).map(|(_, member)| member).chain(items(value));
    let (values, depth) =
        inner.map(size).fold((0, 0), |(values, depth), (more, deep)| (values + more, deep.max(depth)));
    (values + 1, depth + 1)
}

struct Scale<'s> {
    references: References<'s>,
    /// The weight of each part; `None` while it is on the scale.
    known: HashMap<usize, Option<u64>>,
    is_recursive: bool,
}

impl<'s> Scale<'s> {
    fn member(&mut self, key: &str, member: &'s Value, level: usize) -> Option<u64> {
        match self.references.read(key, member) {
            Some(Reference::To(target)) => self.value(target, level),
            Some(Reference::Other) => Some(1),
            // A name, a text or a limit is part of what it belongs to.
            None if !member.is_array() && !member.is_object() => Some(0),
            None => self.value(member, level),
        }
    }

    fn value(&mut self, value: &'s Value, level: usize) -> Option<u64> {
        match self.known.get(&address(value)) {
            Some(Some(parts)) => return Some(*parts),
            Some(None) => {
                self.is_recursive = true;
                return Some(1);
            }
            None if level > LEVELS_MAX => return None,
            None => {}
        }
        self.known.insert(address(value), None);
        let mut parts = 1_u64;
        for (key, member) in members(value) {
            parts = parts.saturating_add(self.member(key, member, level + 1)?);
        }
        for item in items(value) {
            parts = parts.saturating_add(self.value(item, level + 1)?);
        }
        self.known.insert(address(value), Some(parts));
        Some(parts)
    }
}

struct References<'s> {
    root: &'s Value,
    /// Whether a part has a base of its own, so that `#/…` means something else there.
    has_bases: bool,
}

enum Reference<'s> {
    To(&'s Value),
    Other,
}

impl<'s> References<'s> {
    fn new(root: &'s Value) -> References<'s> {
        // Draft 4 names the base `id`, which elsewhere is a word like any other.
        let names_draft_4 = |key: &str, member: &Value| key == "$schema" && text(member).contains("draft-04");
        let has_draft_4 = count(root, &names_draft_4) > 0;
        let is_base = |key: &str, member: &Value| member.is_string() && (key == "$id" || (key == "id" && has_draft_4));
        References { root, has_bases: members(root).any(|(_, member)| count(member, &is_base) > 0) }
    }

    fn read(&self, key: &str, member: &Value) -> Option<Reference<'s>> {
        if !matches!(key, "$ref" | "$dynamicRef" | "$recursiveRef") || !member.is_string() {
            return None;
        }
        let is_plain = key == "$ref" && !self.has_bases && !text(member).contains('%');
        let pointer = text(member).strip_prefix('#').filter(|_| is_plain);
        let target = pointer.and_then(|pointer| self.root.pointer(pointer));
        Some(target.map_or(Reference::Other, Reference::To))
    }
}

/// The members that pass a test, at any depth.
fn count(value: &Value, test: &impl Fn(&str, &Value) -> bool) -> usize {
    let members = members(value).map(|(key, member)| usize::from(test(key, member)) + count(member, test));
    members.sum::<usize>() + items(value).map(|item| count(item, test)).sum::<usize>()
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(key, member)| (key.as_str(), member))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A part is known by its place in memory.
fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}
