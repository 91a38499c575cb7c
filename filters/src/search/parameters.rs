//! The parameters of a tool, read out of the entry as its server sent it.

use crate::json::{Scanner, unquote};

/// Names and descriptions of more parameters than these are not searched.
const TEXTS_MAX: usize = 256;

/// The parameters of a tool, and the members of those that are objects.
const LEVELS: usize = 2;

/// The names and descriptions of the parameters in a tool's `inputSchema`. What is not there or not
/// as it should be is left out: a tool with a strange schema is still found by its name.
pub fn parameters(tool: &str) -> Vec<String> {
    let mut texts = Vec::new();
    members(tool, |key, schema| {
        if key == "inputSchema" {
            properties(schema, LEVELS, &mut texts);
        }
    });
    texts
}

fn properties(schema: &str, levels: usize, texts: &mut Vec<String>) {
    members(schema, |key, properties| {
        if key == "properties" && levels > 0 {
            members(properties, |name, schema| property(name, schema, levels, texts));
        }
    });
}

fn property(name: &str, schema: &str, levels: usize, texts: &mut Vec<String>) {
    if texts.len() >= TEXTS_MAX {
        return;
    }
    texts.push(name.to_owned());
    members(schema, |key, value| {
        if key == "description" && value.starts_with('"') {
            texts.push(unquote(value).into_owned());
        }
    });
    properties(schema, levels - 1, texts);
}

/// The members of an object, up to what cannot be read.
fn members<'t>(text: &'t str, mut each: impl FnMut(&str, &'t str)) {
    let mut scanner = Scanner::tolerant(text);
    let _ = scanner.object(|scanner, key| {
        let value = scanner.value()?;
        each(&key, text.get(value).unwrap_or_default());
        Ok(())
    });
}
