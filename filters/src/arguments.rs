//! The arguments of a tool against its JSON Schema: a call that the tool must refuse is refused here,
//! in words that a person or a model can act on. It knows schemas, neither tools nor surfaces.
//!
//! Both texts come from strangers: every cost has a bound, nothing is ever fetched, patterns run in
//! linear time, and what the caller sent is not repeated.

mod mismatch;
mod reader;
mod weight;

pub use mismatch::{Mismatch, Rule};

use crate::catalog::Entry;
use crate::json::Malformed;
use jsonschema::{PatternOptions, ValidationError, Validator};
use reader::read;
use serde_json::Value;
use weight::{Weight, size, weigh};

const SCHEMA_BYTES_MAX: usize = 256 * 1024;
const SCHEMA_VALUES_MAX: usize = 20_000;

const PATTERNS_MAX: usize = 128;

/// Of all compiled patterns of a schema together, which live as long as it does.
const PATTERNS_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A simple pattern takes no more.
const PATTERN_BYTES_MIN: usize = 1024;

/// Bytes of compiled patterns times bytes of arguments: a matcher may have to look at each part of a
/// pattern for each byte, which takes a few seconds for so many.
const MATCHING_MAX: usize = 32 * 1024 * 1024 * 1024;

/// Of the states that matching a pattern keeps.
const STATES_BYTES_MAX: usize = 256 * 1024;

const ARGUMENTS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Each value takes far more memory than its text: without this bound, 30 times of it.
const ARGUMENTS_VALUES_MAX: usize = 200_000;

/// Parts of a schema as a tree, with its references followed.
const PARTS_MAX: u64 = 100_000;

/// Parts of a schema times values in the arguments: a tenth of a second or two.
const COMPARISONS_MAX: u64 = 20_000_000;

/// The same where the reason is looked for: every alternative that fails is described, which takes a
/// hundred times as long and is not remembered where a schema refers to itself.
const DESCRIPTIONS_MAX: u64 = 2_000_000;

/// Of what the library says, so much is kept.
const REASON_CHARACTERS_MAX: usize = 300;

const UNEXPLAINED: &str = "what the tool's schema asks for";

/// What is done about arguments that do not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Enforcement {
    #[default]
    Off,
    /// It is said in the log, and they are sent.
    Warn,
    /// They are refused.
    Enforce,
}

/// Of MCP clients, and of callers of REST surfaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validation {
    pub native: Enforcement,
    pub rest: Enforcement,
}

impl Enforcement {
    /// Compares a call with its tool's schema. A schema that nothing can be compared with is no reason to
    /// refuse: the complaint is given back, to be said.
    pub fn judge(self, tool: &Entry, arguments: &str) -> Result<Option<Complaint>, Mismatch> {
        if self == Enforcement::Off {
            return Ok(None);
        }
        match (self, tool.schema()) {
            (_, None) => Ok(None),
            (_, Some(Err(bad))) => Ok(Some(Complaint::Schema(bad.clone()))),
            (Enforcement::Enforce, Some(Ok(schema))) => schema.check(arguments).map(|()| None),
            (_, Some(Ok(schema))) => Ok(schema.check(arguments).err().map(Complaint::Arguments)),
        }
    }
}

/// What is not as it should be, and no reason to refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Complaint {
    #[error("{0}")]
    Schema(BadSchema),
    #[error("the arguments do not fit: {0}")]
    Arguments(Mismatch),
}

/// A tool's schema, compiled once and used for every call.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    weight: Weight,
    /// Of all compiled patterns together, at most.
    patterns_bytes: usize,
}

/// The upstream's fault: its tool has a schema that nothing can be checked against.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSchema {
    #[error("the tool's schema is longer than {SCHEMA_BYTES_MAX} bytes")]
    TooLong,
    #[error("the tool's schema is not readable: {0}")]
    Malformed(#[from] Malformed),
    #[error("the tool's schema has more than {PATTERNS_MAX} patterns, or too large ones")]
    TooManyPatterns,
    #[error("the tool's schema is too deep, or has too many references to references")]
    TooTangled,
    #[error("the tool's schema is not valid: {0}")]
    Invalid(String),
}

impl Schema {
    /// Draft 2020-12 unless `$schema` says otherwise (MCP 2026-07-28, JSON Schema Usage). A `$ref` to
    /// another document is an error: fetching it would let a server send the gateway anywhere.
    pub fn compile(raw: &str) -> Result<Schema, BadSchema> {
        if raw.len() > SCHEMA_BYTES_MAX {
            return Err(BadSchema::TooLong);
        }
        let schema = read(raw, SCHEMA_VALUES_MAX)?;
        let patterns = patterns(&schema);
        if patterns.len() > PATTERNS_MAX {
            return Err(BadSchema::TooManyPatterns);
        }
        let weight = weigh(&schema).filter(|weight| weight.parts <= PARTS_MAX).ok_or(BadSchema::TooTangled)?;
        let sizes: Vec<usize> = patterns.into_iter().map(pattern_bytes).collect();
        let patterns_bytes = sizes.iter().sum();
        if patterns_bytes > PATTERNS_BYTES_MAX {
            return Err(BadSchema::TooManyPatterns);
        }
        let validator = build(&schema, sizes.into_iter().max().unwrap_or(PATTERN_BYTES_MIN))?;
        Ok(Schema { validator, weight, patterns_bytes })
    }

    /// Checks the raw arguments of a call. A key that stands twice is refused at any depth: the tool
    /// may take the other one.
    pub fn check(&self, arguments: &str) -> Result<(), Mismatch> {
        if arguments.len() > ARGUMENTS_BYTES_MAX {
            return Err(Mismatch::unexplained(&format!("at most {ARGUMENTS_BYTES_MAX} bytes")));
        }
        if arguments.len().saturating_mul(self.patterns_bytes) > MATCHING_MAX {
            let bytes_max = MATCHING_MAX / self.patterns_bytes.max(1);
            return Err(Mismatch::unexplained(&format!(
                "at most {bytes_max} bytes for patterns as large as the tool's"
            )));
        }
        let arguments = read(arguments, ARGUMENTS_VALUES_MAX)?;
        let (values, depth) = size(&arguments);
        if self.weight.parts.saturating_mul(values) > COMPARISONS_MAX {
            return Err(Mismatch::unexplained("fewer values"));
        }
        if self.validator.is_valid(&arguments) {
            return Ok(());
        }
        let ways = if self.weight.is_recursive { self.weight.parts.saturating_pow(depth) } else { self.weight.parts };
        if ways.saturating_mul(values) > DESCRIPTIONS_MAX {
            return Err(Mismatch::unexplained(UNEXPLAINED));
        }
        let unexplained = || Mismatch::unexplained(UNEXPLAINED);
        Err(self.validator.validate(&arguments).err().map_or_else(unexplained, |error| Mismatch::from(&error)))
    }
}

fn build(schema: &Value, pattern_bytes: usize) -> Result<Validator, BadSchema> {
    let linear = PatternOptions::regex().size_limit(pattern_bytes).dfa_size_limit(STATES_BYTES_MAX);
    // A `format` is an annotation in 2020-12, and what older drafts leave open is not refused here.
    let options = jsonschema::options().offline().should_validate_formats(false).with_pattern_options(linear);
    let reason = |error: &ValidationError<'_>| format!("{}: {error}", error.instance_path().as_str());
    let invalid = |error| BadSchema::Invalid(mismatch::cut(&reason(&error), REASON_CHARACTERS_MAX));
    options.build(schema).map_err(invalid)
}

/// How large a pattern becomes is known from the limit that it fits in. One that fits in none is refused
/// with the schema, unless it only looks like one (in an example, or a default).
fn pattern_bytes(pattern: &str) -> usize {
    let alone = Value::Object([("pattern".to_owned(), Value::from(pattern))].into_iter().collect());
    let limits = std::iter::successors(Some(PATTERN_BYTES_MIN), |bytes| Some(bytes * 2));
    let mut limits = limits.take_while(|bytes| *bytes <= PATTERNS_BYTES_MAX);
    limits.find(|bytes| build(&alone, *bytes).is_ok()).unwrap_or(PATTERN_BYTES_MIN)
}

fn patterns(schema: &Value) -> Vec<&str> {
    match schema {
        Value::Array(items) => items.iter().flat_map(patterns).collect(),
        Value::Object(members) => {
            let inner = members.values().flat_map(patterns);
            members.iter().flat_map(|(key, value)| patterns_of(key, value)).chain(inner).collect()
        }
        _ => Vec::new(),
    }
}

fn patterns_of<'s>(key: &str, value: &'s Value) -> Vec<&'s str> {
    match (key, value) {
        ("pattern", Value::String(pattern)) => vec![pattern],
        ("patternProperties", Value::Object(members)) => members.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
