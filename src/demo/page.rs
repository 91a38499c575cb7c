//! How the demonstration looks on a terminal or in a file: short lines, and colours only for eyes.

use serde_json::Value;
use std::io::{self, IsTerminal, Stdout, Write};
use std::time::Duration;

/// A line of JSON longer than this is cut.
const WIDTH: usize = 170;

pub(super) struct Page {
    out: Stdout,
    ink: Ink,
}

enum Ink {
    Plain,
    Colours,
}

#[derive(Clone, Copy)]
enum Colour {
    Bold = 1,
    Dim = 2,
    Red = 31,
    Green = 32,
    Cyan = 36,
}

impl Page {
    pub(super) fn stdout() -> Page {
        let out = io::stdout();
        // https://no-color.org
        let plain = !out.is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        Page { out, ink: if plain { Ink::Plain } else { Ink::Colours } }
    }

    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        self.line("")?;
        self.coloured(Colour::Bold, text)
    }

    pub(super) fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{text}")
    }

    pub(super) fn sent(&mut self, line: &str, body: Option<&Value>) -> io::Result<()> {
        self.line("")?;
        self.coloured(Colour::Cyan, &format!("> {line}"))?;
        body.map_or(Ok(()), |body| self.line(&format!("    {}", shortened(body))))
    }

    pub(super) fn answered(&mut self, line: &str, after: Duration) -> io::Result<()> {
        self.coloured(Colour::Green, &format!("< {line}   {}", milliseconds(after)))
    }

    pub(super) fn message(&mut self, body: &Value) -> io::Result<()> {
        self.line(&format!("    {}", shortened(body)))
    }

    /// A message that came while the answer was still under way.
    pub(super) fn event(&mut self, after: Duration, body: &Value) -> io::Result<()> {
        self.line(&format!("{:>12}  {}", milliseconds(after), shortened(body)))
    }

    pub(super) fn note(&mut self, text: &str) -> io::Result<()> {
        self.coloured(Colour::Dim, &format!("    {text}"))
    }

    pub(super) fn failed(&mut self, why: &str) -> io::Result<()> {
        self.coloured(Colour::Red, &format!("    FAILED: {why}"))
    }

    fn coloured(&mut self, colour: Colour, text: &str) -> io::Result<()> {
        match self.ink {
            Ink::Plain => writeln!(self.out, "{text}"),
            Ink::Colours => writeln!(self.out, "\x1b[{}m{text}\x1b[0m", colour as u8),
        }
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}

/// What is long and the same in every message stands as `{…}`, and the line ends in time.
pub(super) fn shortened(body: &Value) -> String {
    let mut body = body.clone();
    fold(&mut body);
    let line = body.to_string().replace("\"…\"", "{…}");
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

fn fold(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(fold),
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), &value) {
                    ("_meta" | "inputSchema" | "outputSchema", Value::Object(_)) => *value = Value::from("…"),
                    _ => fold(value),
                }
            }
        }
        _ => {}
    }
}
