//! The command line: `--name value` pairs and `--name` switches, taken one by one.
//!
//! What is left when a command has taken its flags is a mistake of the caller, and is reported.

use std::fmt::Display;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, ensure};

pub struct Flags {
    words: Vec<String>,
}

impl Flags {
    pub fn new(words: impl Iterator<Item = String>) -> Self {
        Self { words: words.collect() }
    }

    /// Whether the switch `name` was given.
    pub fn switch(&mut self, name: &str) -> bool {
        let position = self.words.iter().position(|word| word == name);
        position.map(|at| self.words.remove(at)).is_some()
    }

    pub fn optional<T>(&mut self, name: &str) -> Result<Option<T>>
    where
        T: FromStr,
        T::Err: Display,
    {
        let Some(at) = self.words.iter().position(|word| word == name) else {
            return Ok(None);
        };
        ensure!(at + 1 < self.words.len(), "{name} needs a value: write `{name} VALUE`");
        self.words.remove(at);
        let value = self.words.remove(at);
        match value.parse() {
            Ok(parsed) => Ok(Some(parsed)),
            Err(error) => Err(anyhow!("{name} {value}: {error}; correct the value")),
        }
    }

    pub fn required<T>(&mut self, name: &str) -> Result<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.optional(name)?.with_context(|| format!("{name} is missing: add `{name} VALUE`"))
    }

    pub fn finish(self) -> Result<()> {
        let left = self.words.join(" ");
        ensure!(left.is_empty(), "unknown flags `{left}`: remove them, or see the usage of `bench`");
        Ok(())
    }
}
