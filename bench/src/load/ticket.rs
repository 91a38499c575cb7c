//! One request among many: what makes it unlike any other, so that its answer can be told apart.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::request::{Shape, Template};

/// The JSON of an id and of a nonce. Both always have the same length, so that requests and
/// answers have, too.
pub struct Ticket {
    pub id: String,
    pub nonce: String,
}

#[derive(Debug, Eq, PartialEq)]
pub enum Verdict {
    Crossed,
    Right,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

impl Ticket {
    /// Whether `json` is what `template` had to be answered with.
    pub fn judge(&self, template: &Template, json: &[u8]) -> Result<Verdict> {
        if let Some(expected) = template.answer_bytes {
            ensure!(json.len() == expected, "an answer of {} bytes, not {expected}: {}", json.len(), excerpt(json));
        }
        match template.shape {
            Shape::Modern | Shape::Traced | Shape::Legacy => self.judge_response(json),
            Shape::Plain | Shape::Named => Ok(self.is_right(contains(json, self.nonce.trim_matches('"').as_bytes()))),
            Shape::List => self.judge_list(json),
            Shape::File => Ok(Verdict::Right),
        }
    }

    /// An error response is an error here, too.
    fn judge_response(&self, json: &[u8]) -> Result<Verdict> {
        let hint = || format!("not a JSON-RPC response: {}", excerpt(json));
        let response: Response = serde_json::from_slice(json).with_context(hint)?;
        if response.id.map(RawValue::get) != Some(self.id.as_str()) {
            return Ok(Verdict::Crossed);
        }
        match response.result.map(RawValue::get) {
            Some(result) => Ok(self.is_right(result.contains(&self.nonce))),
            None => bail!("an error response: {}", excerpt(json)),
        }
    }

    /// Only its ends: to parse 1,000 tools would make the load tool the bottleneck.
    fn judge_list(&self, json: &[u8]) -> Result<Verdict> {
        const END_BYTES: usize = 100;
        let (head, tail) = (&json[..json.len().min(END_BYTES)], &json[json.len().saturating_sub(END_BYTES)..]);
        ensure!(contains(json, b"\"tools\":["), "no list of tools: {}", excerpt(json));
        Ok(self.is_right(contains(head, self.id.as_bytes()) || contains(tail, self.id.as_bytes())))
    }

    fn is_right(&self, right: bool) -> Verdict {
        if right { Verdict::Right } else { Verdict::Crossed }
    }
}

/// The beginning of an answer, for an error message.
pub fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
