//! JSON text as values, without a way to hide one: keys are unique, numbers stay as they were written.
//!
//! `serde_json` would keep the last of two equal keys, and with the features that it has here it takes
//! an object whose first key is `$serde_json::private::Number` for a number.

use crate::json::{Malformed, Scanner, unquote};
use serde_json::{Map, Value};

/// Arithmetic with long numbers takes more than linear time.
const NUMBER_BYTES_MAX: usize = 256;

/// Reads a text of one value that holds `values_max` of them at most.
pub(super) fn read(text: &str, values_max: usize) -> Result<Value, Malformed> {
    let mut reader = Reader { text, values_left: values_max };
    let mut scanner = Scanner::new(text);
    let value = reader.value(&mut scanner)?;
    scanner.end().map(|()| value)
}

struct Reader<'t> {
    text: &'t str,
    values_left: usize,
}

impl<'t> Reader<'t> {
    fn value(&mut self, scanner: &mut Scanner<'t>) -> Result<Value, Malformed> {
        let too_many = || Malformed::Syntax("too many values", self.text.len());
        self.values_left = self.values_left.checked_sub(1).ok_or_else(too_many)?;
        match scanner.peek() {
            Some(b'{') => self.object(scanner),
            Some(b'[') => self.array(scanner),
            _ => self.scalar(scanner),
        }
    }

    fn object(&mut self, scanner: &mut Scanner<'t>) -> Result<Value, Malformed> {
        let mut members = Map::new();
        scanner.object(|scanner, key| {
            let value = self.value(scanner)?;
            match members.insert(key.clone().into_owned(), value) {
                None => Ok(()),
                Some(_) => Err(Malformed::Duplicate(key.into_owned())),
            }
        })?;
        Ok(Value::Object(members))
    }

    fn array(&mut self, scanner: &mut Scanner<'t>) -> Result<Value, Malformed> {
        let mut items = Vec::new();
        scanner.array(|scanner| {
            items.push(self.value(scanner)?);
            Ok(())
        })?;
        Ok(Value::Array(items))
    }

    fn scalar(&mut self, scanner: &mut Scanner<'t>) -> Result<Value, Malformed> {
        let span = scanner.value()?;
        let raw = self.text.get(span.clone()).unwrap_or_default();
        match raw {
            "null" => Ok(Value::Null),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ if raw.starts_with('"') => Ok(Value::String(unquote(raw).into_owned())),
            _ if raw.len() > NUMBER_BYTES_MAX => Err(Malformed::Syntax("a number with too many digits", span.start)),
            _ => raw.parse().map(Value::Number).map_err(|_| Malformed::Syntax("a number out of range", span.start)),
        }
    }
}
