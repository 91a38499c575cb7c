//! The file as a tree in which every key and value knows its line. It knows YAML (of which JSON is
//! a part) and nothing of what the keys mean. It is built from parser events and not through serde,
//! because serde would turn `1.10` into a float, `off` into a boolean, and lose lines on the way.

use super::duplicates::Duplicates;
use super::problem::Problem;
use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput, Tag};
use std::collections::HashMap;

pub(super) const FILE_BYTES_MAX: usize = 1024 * 1024;
const DEPTH_MAX: usize = 32;
/// What aliases repeat counts each time, so that a small file cannot unfold into a large tree.
const NODES_MAX: usize = 100_000;

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) value: Value,
    /// The variable of the environment that stands here, where the file itself says nothing.
    pub(super) variable: Option<&'static str>,
}

impl Node {
    /// Whether there is a value at a path of keys, or on the way something else than keys.
    pub(super) fn says(&self, path: &[&str]) -> bool {
        match (&self.value, path) {
            (Value::Null, _) => false,
            (Value::Map(entries), [key, rest @ ..]) => {
                entries.iter().find(|entry| entry.key == *key).is_some_and(|entry| entry.node.says(rest))
            }
            _ => true,
        }
    }

    /// Puts a value where none is.
    pub(super) fn put(&mut self, path: &[&str], value: Node) {
        let [key, rest @ ..] = path else {
            *self = value;
            return;
        };
        if matches!(self.value, Value::Null) {
            self.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut self.value else { return };
        match entries.iter_mut().find(|entry| entry.key == *key) {
            Some(entry) => entry.node.put(rest, value),
            None => {
                let mut node = Node { line: 0, value: Value::Null, variable: None };
                node.put(rest, value);
                entries.push(Entry { key: (*key).to_owned(), line: 0, node });
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    /// The text as written, whatever it looks like.
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    /// The line of the key.
    pub(super) line: usize,
    pub(super) node: Node,
}

/// The tree, beside the duplicate keys in it (of which the first one counts).
pub(super) fn parse(text: &str) -> Result<(Node, Vec<Problem>), Problem> {
    if text.len() > FILE_BYTES_MAX {
        return Err(problem(0, "the file is larger than 1 MiB; a configuration is not, so check which file this is"));
    }
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = DEPTH_MAX;
    options.block_nesting_limit = DEPTH_MAX;
    let text = text.trim_start_matches('\u{feff}');
    let parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { text, parser, anchors: HashMap::new(), nodes: 0, duplicates: Vec::new() };
    let root = builder.document()?;
    Ok((root, builder.duplicates))
}

struct Builder<'t> {
    text: &'t str,
    parser: Parser<'t, StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    duplicates: Vec<Problem>,
}

impl<'t> Builder<'t> {
    fn document(&mut self) -> Result<Node, Problem> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => {
                    return Ok(root.unwrap_or(Node { line: 1, value: Value::Null, variable: None }));
                }
                Event::DocumentStart(..) if root.is_some() => {
                    let what = "a second document starts here; a configuration is one document, so remove the `---`";
                    return Err(problem(span.start.line(), what));
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => root = Some(self.node(event, span)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let line = error.marker().line();
                Err(problem(line, format!("this is not YAML: {}; {}", error.info(), self.advice(line))))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn advice(&self, line: usize) -> &'static str {
        let written = self.text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        if written.contains("${") {
            "write \"${NAME}\" in quotes, because { and } mean something else without them"
        } else {
            "check the indentation, quotes and brackets here"
        }
    }

    /// The recursion is as deep as the nesting, which the parser limits.
    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Problem> {
        let line = span.start.line();
        self.count(1, line)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                known_tag(tag.as_deref(), line)?;
                (scalar(text.into_owned(), style), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                known_tag(tag.as_deref(), line)?;
                (self.list()?, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                known_tag(tag.as_deref(), line)?;
                (self.map()?, anchor)
            }
            Event::Alias(anchor) => (self.repeated(anchor, line)?, 0),
            _ => {
                return Err(problem(line, "this is not YAML that can be read here; write keys, lists and text only"));
            }
        };
        let node = Node { line, value, variable: None };
        if anchor != 0 {
            self.count(size(&node), line)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn map(&mut self) -> Result<Value, Problem> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut keys = Duplicates::new();
        loop {
            let (event, span) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Map(entries)),
                next => next,
            };
            let line = span.start.line();
            let Event::Scalar(key, ..) = event else {
                return Err(problem(line, "a key must be plain text, as in `listen: 127.0.0.1:8080`"));
            };
            let key = key.into_owned();
            let (event, span) = self.next()?;
            let node = self.node(event, span)?;
            match keys.first(key.clone(), line) {
                None => entries.push(Entry { key, line, node }),
                Some(first) => {
                    let what = format!("the key {key:?} stands on line {first} already; keep one of the two");
                    self.duplicates.push(problem(line, what));
                }
            }
        }
    }

    fn repeated(&mut self, anchor: usize, line: usize) -> Result<Value, Problem> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(problem(line, "this alias stands inside of what it repeats; write the value out"));
        };
        let node = node.clone();
        self.count(size(&node), line)?;
        Ok(node.value)
    }

    fn count(&mut self, more: usize, line: usize) -> Result<(), Problem> {
        self.nodes += more;
        if self.nodes > NODES_MAX {
            return Err(problem(line, "the file has more than 100000 values (aliases count each time); write less"));
        }
        Ok(())
    }
}

fn scalar(text: String, style: ScalarStyle) -> Value {
    let null = style == ScalarStyle::Plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL");
    if null { Value::Null } else { Value::Scalar(text) }
}

/// `!!str` and its like change nothing here; `!include`, which somebody counts on, would be ignored.
fn known_tag(tag: Option<&Tag>, line: usize) -> Result<(), Problem> {
    match tag {
        Some(tag) if tag.is_custom() => {
            Err(problem(line, "tags (!name) are not read; write the value itself, ${NAME} or ${file:/path}"))
        }
        _ => Ok(()),
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Null | Value::Scalar(_) => 0,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|entry| size(&entry.node)).sum(),
    }
}

fn problem(line: usize, message: impl Into<String>) -> Problem {
    Problem { line, message: message.into() }
}
