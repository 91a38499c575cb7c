//! A place in the file: a value, where it stands, and how it is read as something typed. What is
//! wrong is noted and reading goes on, so that all problems come out at once.

use super::node::{Node, Value};
use super::problem::{Problem, Problems};
use super::quantity::{self, Spelled, SpelledSize};
use super::secrets::{self, Environment};
use super::section::Section;
use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

/// One reading of one file: where variables come from, and what was wrong so far.
pub(super) struct Reading<'a> {
    environment: Environment<'a>,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(environment: Environment<'a>, problems: Vec<Problem>) -> Reading<'a> {
        Reading { environment, problems: RefCell::new(problems) }
    }

    pub(super) fn note(&self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.borrow_mut().extend(problems);
    }

    pub(super) fn finish(self) -> Result<(), Problems> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }
}

#[derive(Clone)]
pub(super) struct Place<'a> {
    pub(super) reading: &'a Reading<'a>,
    pub(super) node: &'a Node,
    pub(super) line: usize,
    /// As in `servers.files.timeout`, or `GATEWAY_PORT (listen.addr)`; empty for the whole file.
    pub(super) path: String,
}

impl<'a> Place<'a> {
    pub(super) fn new(reading: &'a Reading<'a>, node: &'a Node, line: usize, path: String) -> Place<'a> {
        let path = match node.variable {
            Some(variable) => format!("{variable} ({path})"),
            None => path,
        };
        Place { reading, node, line, path }
    }

    pub(super) fn root(reading: &'a Reading<'a>, node: &'a Node) -> Place<'a> {
        Place::new(reading, node, node.line, String::new())
    }

    /// Notes a problem here. That it returns `None` lets a reader end with it.
    pub(super) fn refuse<T>(&self, message: impl Display) -> Option<T> {
        let separator = if self.path.is_empty() { "" } else { ": " };
        let message = format!("{}{separator}{message}", self.path);
        self.reading.note([Problem { line: self.line, message }]);
        None
    }

    /// The text as written, references unexpanded: fit for a message, if the text is no secret itself.
    pub(super) fn quoted(&self) -> String {
        match &self.node.value {
            Value::Scalar(text) => format!("{text:?}"),
            other => kind(other).to_owned(),
        }
    }

    /// The text, references expanded.
    pub(super) fn text(&self) -> Option<String> {
        let Value::Scalar(text) = &self.node.value else {
            return self.refuse(format_args!("here stands {}; write one value", kind(&self.node.value)));
        };
        secrets::expand(text, self.reading.environment).or_else(|message| self.refuse(message).ok_or(())).ok()
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self.node.value, Value::Scalar(_))
    }

    pub(super) fn items(&self) -> Option<Vec<Place<'a>>> {
        let Value::List(items) = &self.node.value else {
            return self.refuse(format_args!("here stands {}; write a list, as in [a, b]", kind(&self.node.value)));
        };
        let place = |(index, node): (usize, &'a Node)| {
            Place::new(self.reading, node, node.line, format!("{}[{index}]", self.path))
        };
        Some(items.iter().enumerate().map(place).collect())
    }

    /// A map with keys of a fixed set.
    pub(super) fn section(&self, known: &'static [&'static str]) -> Option<Section<'a>> {
        match &self.node.value {
            Value::Map(entries) => Some(Section::new(self.clone(), entries, known)),
            Value::Null if self.path.is_empty() => Some(Section::new(self.clone(), &[], known)),
            other => self.refuse(format_args!("here stands {}; write keys: {}", kind(other), known.join(", "))),
        }
    }

    /// A map whose keys are names that the file gives.
    pub(super) fn entries(&self) -> Option<Vec<(&'a str, Place<'a>)>> {
        let Value::Map(entries) = &self.node.value else {
            return self.refuse(format_args!("here stands {}; write `name: value` lines", kind(&self.node.value)));
        };
        Some(entries.iter().map(|entry| (entry.key.as_str(), self.within(entry))).collect())
    }

    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*choice);
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.refuse(format_args!("{} is not known here; write one of {}", self.quoted(), names.join(", ")))
    }

    pub(super) fn switch(&self) -> Option<bool> {
        // By text, because YAML 1.1 would call `off` a boolean and YAML 1.2 would not.
        match self.text()?.as_str() {
            "on" | "true" => Some(true),
            "off" | "false" => Some(false),
            _ => self.refuse(format_args!("{} is no switch; write on or off", self.quoted())),
        }
    }

    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let text = self.text()?;
        let Some(duration) = quantity::duration(&text) else {
            let quoted = self.quoted();
            let what = format_args!("{quoted} is no duration; write a number with a unit, as in 60s, 500ms or 2m");
            return self.refuse(what);
        };
        self.within_range(duration, range, Spelled)
    }

    pub(super) fn size(&self, range: RangeInclusive<usize>) -> Option<usize> {
        let text = self.text()?;
        let Some(size) = quantity::size(&text) else {
            let quoted = self.quoted();
            return self.refuse(format_args!("{quoted} is no size; write bytes, or a unit, as in 64KiB or 4MiB"));
        };
        self.within_range(size, range, SpelledSize)
    }

    pub(super) fn count(&self, range: RangeInclusive<usize>) -> Option<usize> {
        let text = self.text()?;
        let Ok(count) = text.parse::<usize>() else {
            return self.refuse(format_args!("{} is no whole number; write one, as in 100", self.quoted()));
        };
        self.within_range(count, range, |count| count)
    }

    fn within_range<T, D>(&self, value: T, range: RangeInclusive<T>, spell: impl Fn(T) -> D) -> Option<T>
    where
        T: PartialOrd + Copy,
        D: Display,
    {
        if range.contains(&value) {
            return Some(value);
        }
        let (least, most) = (spell(*range.start()), spell(*range.end()));
        self.refuse(format_args!("{} is out of range; write {least} to {most}", self.quoted()))
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Scalar(_) => "a single value",
        Value::List(_) => "a list",
        Value::Map(_) => "a map of keys",
    }
}
