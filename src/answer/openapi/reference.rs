//! References inside one schema (`$ref`): what they mean there.

use serde_json::{Map, Value};

/// References that may lead to references.
const HOPS_MAX: usize = 16;

/// Where a schema is nothing but a reference, if with annotations: what it refers to.
pub(super) fn sole_reference(schema: &Map<String, Value>) -> Option<&str> {
    let says_more = ["properties", "required", "items", "enum", "const"].iter().any(|key| schema.contains_key(*key));
    let members: Vec<&Value> = ["allOf", "anyOf", "oneOf"].iter().filter_map(|key| schema.get(*key)).collect();
    let reference = match (schema.get("$ref"), members.as_slice()) {
        (Some(reference), []) => reference,
        (None, [Value::Array(only)]) => match only.as_slice() {
            [Value::Object(only)] if only.len() == 1 => only.get("$ref")?,
            _ => return None,
        },
        _ => return None,
    };
    reference.as_str().filter(|_| !says_more)
}

/// What a local reference means, through those that lead to another, and what it is called there;
/// `None` where it leads outside or nowhere.
pub(super) fn resolve<'t>(root: &'t Value, reference: &str) -> Option<(&'t Value, String)> {
    let mut pointer = self::pointer(reference)?;
    for _ in 0..=HOPS_MAX {
        let target = root.pointer(&pointer)?;
        match target.as_object().and_then(sole_reference) {
            Some(next) => pointer = self::pointer(next)?,
            None => return Some((target, last_name(&pointer))),
        }
    }
    None
}

fn last_name(pointer: &str) -> String {
    let last = pointer.rsplit('/').next().unwrap_or_default();
    last.replace("~1", "/").replace("~0", "~")
}

/// The JSON pointer of a fragment (RFC 6901, 6).
fn pointer(reference: &str) -> Option<String> {
    let mut encoded = reference.strip_prefix('#')?.bytes();
    let mut bytes = Vec::with_capacity(reference.len());
    while let Some(byte) = encoded.next() {
        if byte == b'%' {
            let digits = [encoded.next()?, encoded.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
