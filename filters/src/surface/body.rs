//! Reading the object that a REST body is: each field once, of the right type, and none that nobody
//! knows. What is wrong is said with the name of the field, never with its value.

use crate::json::{Malformed, Scanner};
use crate::jsonrpc::Invalid;
use crate::rejection::{FieldFault, Rejection};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// The fields that were not taken yet.
#[derive(Debug)]
pub struct Fields {
    members: Map<String, Value>,
    /// Before the names of fields, where the object lies inside another.
    prefix: String,
}

impl Fields {
    pub fn read(body: &[u8]) -> Result<Fields, Rejection> {
        let text = text(body)?;
        check(text)?;
        let wrong = |error: serde_json::Error| Rejection::Invalid(Invalid::Json(error.to_string()));
        Ok(Fields { members: serde_json::from_str(text).map_err(wrong)?, prefix: String::new() })
    }

    /// An empty body is an empty object, for whoever takes that.
    pub fn read_or_empty(body: &[u8]) -> Result<Fields, Rejection> {
        if body.trim_ascii().is_empty() {
            return Ok(Fields { members: Map::new(), prefix: String::new() });
        }
        Fields::read(body)
    }

    pub fn of(members: Map<String, Value>, prefix: &str) -> Fields {
        Fields { members, prefix: prefix.to_owned() }
    }

    /// The first of these spellings; null is absent.
    fn take(&mut self, spellings: &[&str]) -> Option<(String, Value)> {
        let mut taken = None;
        for spelling in spellings {
            let value = self.members.shift_remove(*spelling).filter(|value| !value.is_null());
            taken = taken.or_else(|| value.map(|value| ((*spelling).to_owned(), value)));
        }
        taken
    }

    pub fn text(&mut self, spellings: &[&str]) -> Result<Option<String>, Rejection> {
        match self.take(spellings) {
            None => Ok(None),
            Some((_, Value::String(text))) => Ok(Some(text)),
            Some((name, _)) => Err(self.wrong(&name, FieldFault::Type("string"))),
        }
    }

    pub fn required(&mut self, spellings: &[&str]) -> Result<String, Rejection> {
        let name = spellings.first().copied().unwrap_or_default();
        match self.text(spellings)? {
            Some(text) if text.trim().is_empty() => {
                Err(self.wrong(name, FieldFault::Value("must not be empty".to_owned())))
            }
            Some(text) => Ok(text),
            None => Err(self.wrong(name, FieldFault::Missing)),
        }
    }

    pub fn texts(&mut self, spellings: &[&str]) -> Result<Vec<String>, Rejection> {
        let Some((name, value)) = self.take(spellings) else {
            return Ok(Vec::new());
        };
        let Value::Array(elements) = value else {
            return Err(self.wrong(&name, FieldFault::Type("array of strings")));
        };
        let text = |element| match element {
            Value::String(text) => Ok(text),
            _ => Err(self.wrong(&name, FieldFault::Type("array of strings"))),
        };
        elements.into_iter().map(text).collect()
    }

    /// `None`: the field is not there, or null.
    pub fn texts_if_there(&mut self, spellings: &[&str]) -> Result<Option<Vec<String>>, Rejection> {
        let is_there = spellings.iter().any(|name| self.members.get(*name).is_some_and(|value| !value.is_null()));
        self.texts(spellings).map(|texts| is_there.then_some(texts))
    }

    pub fn object(&mut self, spellings: &[&str]) -> Result<Map<String, Value>, Rejection> {
        match self.take(spellings) {
            None => Ok(Map::new()),
            Some((_, Value::Object(members))) => Ok(members),
            Some((name, _)) => Err(self.wrong(&name, FieldFault::Type("object"))),
        }
    }

    pub fn flag(&mut self, spellings: &[&str]) -> Result<bool, Rejection> {
        match self.take(spellings) {
            None => Ok(false),
            Some((_, Value::Bool(flag))) => Ok(flag),
            Some((name, _)) => Err(self.wrong(&name, FieldFault::Type("boolean"))),
        }
    }

    pub fn is_text(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(Value::is_string)
    }

    pub fn is_object(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(Value::is_object)
    }

    /// Whether a field is there and says anything.
    pub fn has(&self, name: &str) -> bool {
        self.members.get(name).is_some_and(|value| match value {
            Value::Null => false,
            Value::Array(elements) => !elements.is_empty(),
            Value::Object(members) => !members.is_empty(),
            _ => true,
        })
    }

    /// Fields that a surface knows and the gateway has no use for.
    pub fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.members.shift_remove(*name);
        }
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<(), Rejection> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(name) => Err(self.wrong(name, FieldFault::Unknown)),
        }
    }

    pub fn wrong(&self, name: &str, fault: FieldFault) -> Rejection {
        Rejection::Field { name: format!("{}{name}", self.prefix), fault }
    }
}

/// UTF-8, or no JSON.
pub fn text(body: &[u8]) -> Result<&str, Rejection> {
    std::str::from_utf8(body).map_err(|error| Rejection::Invalid(Invalid::Json(error.to_string())))
}

/// Strict JSON, one object, no key twice at its top.
fn check(text: &str) -> Result<(), Rejection> {
    let wrong = |malformed: Malformed| Rejection::Invalid(Invalid::Json(malformed.to_string()));
    let mut scanner = Scanner::new(text);
    if scanner.peek() != Some(b'{') {
        scanner.value().and_then(|_| scanner.end()).map_err(wrong)?;
        return Err(Rejection::Field { name: String::new(), fault: FieldFault::Type("object") });
    }
    let mut seen = HashSet::new();
    let each = |scanner: &mut Scanner<'_>, key: std::borrow::Cow<'_, str>| {
        scanner.value()?;
        if seen.insert(key.clone().into_owned()) { Ok(()) } else { Err(Malformed::Duplicate(key.into_owned())) }
    };
    scanner.object(each).and_then(|()| scanner.end()).map_err(wrong)
}
