//! A glance at an answer while it passes: is it there, and is it whole? Only the outline is looked at
//! (brackets, strings, the keys of the outermost object); nothing is kept, and nothing else is judged.

use crate::json;
use memchr::{memchr2, memmem};

/// No key that matters is longer, even if each of its letters is escaped.
const KEY_BYTES_MAX: usize = 6 * 6;

/// What an answer brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Result,
    Error,
}

/// The outline of one JSON text, in pieces that split where they like.
#[derive(Debug)]
pub struct Outline {
    depth: usize,
    in_string: bool,
    after_backslash: bool,
    /// The beginning of the last string, with its length.
    string: [u8; KEY_BYTES_MAX],
    string_bytes: usize,
    outcome: Option<Outcome>,
    is_closed: bool,
    is_broken: bool,
}

impl Default for Outline {
    fn default() -> Outline {
        Outline {
            depth: 0,
            in_string: false,
            after_backslash: false,
            string: [0; KEY_BYTES_MAX],
            string_bytes: 0,
            outcome: None,
            is_closed: false,
            is_broken: false,
        }
    }
}

impl Outline {
    pub fn push(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = if self.in_string { self.within_string(rest) } else { self.between_strings(byte, behind) };
        }
    }

    /// Whether this is a whole object that has a `result` or an `error`.
    pub fn is_answer(&self) -> bool {
        self.is_closed && !self.is_broken && self.outcome.is_some()
    }

    /// Which of the two it has; known as soon as the key was seen.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Whether it can never become one.
    pub fn is_broken(&self) -> bool {
        self.is_broken
    }

    fn within_string<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        if std::mem::take(&mut self.after_backslash) {
            let (escaped, behind) = piece.split_at(piece.len().min(1));
            self.remember(escaped);
            return behind;
        }
        let end = memchr2(b'"', b'\\', piece).unwrap_or(piece.len());
        let (text, behind) = piece.split_at(end);
        self.remember(text);
        match behind.split_first() {
            Some((b'\\', behind)) => {
                self.remember(b"\\");
                self.after_backslash = true;
                behind
            }
            Some((_, behind)) => {
                self.in_string = false;
                behind
            }
            None => behind,
        }
    }

    /// Only the keys of the outermost object matter.
    fn remember(&mut self, text: &[u8]) {
        if self.depth > 1 {
            return;
        }
        let free = self.string.iter_mut().skip(self.string_bytes);
        free.zip(text).for_each(|(place, byte)| *place = *byte);
        self.string_bytes = self.string_bytes.saturating_add(text.len());
    }

    /// The last string, if it is a key that matters.
    fn key(&self) -> Option<Outcome> {
        let text = std::str::from_utf8(self.string.get(..self.string_bytes)?).ok()?;
        let meaning = |key: &str| match key {
            "result" => Some(Outcome::Result),
            "error" => Some(Outcome::Error),
            _ => None,
        };
        if text.contains('\\') { meaning(&json::unquote(&format!("\"{text}\""))) } else { meaning(text) }
    }

    fn between_strings<'p>(&mut self, byte: u8, behind: &'p [u8]) -> &'p [u8] {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'{' if self.depth == 0 && !self.is_closed => self.depth = 1,
            _ if self.depth == 0 => self.is_broken = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                self.is_closed = self.depth == 0;
            }
            b'"' => {
                self.in_string = true;
                self.string_bytes = 0;
            }
            b':' if self.depth == 1 => {
                self.outcome = self.outcome.or(self.key());
            }
            _ => {}
        }
        behind
    }
}

/// Watches an event stream for the answer.
#[derive(Debug, Default)]
pub struct Watch {
    /// How much of a byte order mark was seen; all of it, where there is none.
    mark: usize,
    line: Line,
    /// A line ended with a carriage return; a newline behind it belongs to it.
    after_carriage_return: bool,
    in_event: bool,
    event: Outline,
    answer: Option<Outcome>,
    has_event: bool,
    has_id: bool,
}

const DATA: &[u8] = b"data:";
const ID: &[u8] = b"id:";

/// A stream may begin with it (WHATWG HTML, 9.2.5).
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What is known of the line so far.
#[derive(Debug)]
enum Line {
    /// So many bytes of [`DATA`].
    Begun(usize),
    /// So many bytes of [`ID`].
    Id(usize),
    Data,
    Other,
}

impl Default for Line {
    fn default() -> Line {
        Line::Begun(0)
    }
}

impl Watch {
    pub fn push(&mut self, chunk: &[u8]) {
        let mut rest = self.behind_mark(chunk);
        while let Some((first, behind)) = rest.split_first() {
            if std::mem::take(&mut self.after_carriage_return) && *first == b'\n' {
                rest = behind;
                continue;
            }
            let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let (text, behind) = rest.split_at(end);
            self.text(text);
            rest = match behind.split_first() {
                Some((end, behind)) => {
                    self.after_carriage_return = *end == b'\r';
                    self.end_line();
                    behind
                }
                None => behind,
            };
        }
    }

    fn behind_mark<'c>(&mut self, chunk: &'c [u8]) -> &'c [u8] {
        let mut rest = chunk;
        while let (Some(wanted), Some((byte, behind))) = (BYTE_ORDER_MARK.get(self.mark), rest.split_first()) {
            if wanted != byte {
                self.mark = BYTE_ORDER_MARK.len();
                return rest;
            }
            (self.mark, rest) = (self.mark + 1, behind);
        }
        rest
    }

    /// What the answer is, as soon as it is known.
    pub fn outcome(&self) -> Option<Outcome> {
        self.answer.or(self.event.outcome())
    }

    /// Whether an event was whole.
    pub fn has_event(&self) -> bool {
        self.has_event
    }

    /// Whether some event was named, so that who asks for what follows it may get that
    /// (MCP 2025-11-25, Streamable HTTP, Resumability).
    pub fn has_id(&self) -> bool {
        self.has_id
    }

    /// Whether some event was an answer.
    pub fn has_answer(&self) -> bool {
        self.answer.is_some()
    }

    /// Whether the stream is between two events, so that one more may follow.
    pub fn is_between_events(&self) -> bool {
        !self.in_event
    }

    fn text(&mut self, text: &[u8]) {
        self.in_event |= !text.is_empty();
        let mut rest = text;
        while let Line::Begun(_) | Line::Id(_) = self.line {
            let Some((byte, behind)) = rest.split_first() else {
                return;
            };
            rest = behind;
            self.line = match self.line {
                Line::Begun(0) if ID.first() == Some(byte) => Line::Id(1),
                Line::Begun(matched) if DATA.get(matched) != Some(byte) => Line::Other,
                Line::Begun(matched) if matched + 1 == DATA.len() => Line::Data,
                Line::Begun(matched) => Line::Begun(matched + 1),
                Line::Id(matched) if ID.get(matched) == Some(byte) => {
                    self.has_id |= matched + 1 == ID.len();
                    Line::Id(matched + 1)
                }
                _ => Line::Other,
            };
        }
        if let Line::Data = self.line {
            self.event.push(rest);
        }
    }

    fn end_line(&mut self) {
        match std::mem::take(&mut self.line) {
            Line::Begun(0) => {
                let event = std::mem::take(&mut self.event);
                self.answer = self.answer.or(event.outcome().filter(|_| event.is_answer()));
                self.has_event |= event.is_closed;
                self.in_event = false;
            }
            Line::Data => self.event.push(b"\n"),
            Line::Begun(_) | Line::Id(_) | Line::Other => {}
        }
    }
}

/// Looks for a word in what passes, wherever it is split.
#[derive(Debug)]
pub struct Word {
    word: &'static [u8],
    /// The end of what has passed, shorter than the word.
    tail: Vec<u8>,
}

impl Word {
    pub fn new(word: &'static str) -> Word {
        Word { word: word.as_bytes(), tail: Vec::new() }
    }

    /// Whether the word ends in this chunk.
    pub fn ends_in(&mut self, chunk: &[u8]) -> bool {
        let kept_max = self.word.len() - 1;
        let mut joint = std::mem::take(&mut self.tail);
        joint.extend_from_slice(chunk.get(..kept_max).unwrap_or(chunk));
        let ends = memmem::find(&joint, self.word).is_some() || memmem::find(chunk, self.word).is_some();
        let end = if chunk.len() >= kept_max { chunk } else { &joint };
        self.tail = end.get(end.len().saturating_sub(kept_max)..).unwrap_or_default().to_vec();
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_from_what_looks_like_them() {
        let deep = format!(r#"{{"result":{}{}}}"#, "[".repeat(500), "]".repeat(500));
        #[rustfmt::skip]
        let table = [
            (r#"{"jsonrpc":"2.0","id":1,"result":{"text":"a \"}\" b\\"}}"#, true),
            (" {\"error\" : {\"code\":1} }\r\n", true),
            (r#"{"result":1e400,"id":null}"#, true),
            (r#"{"\u0072\u0065\u0073\u0075\u006c\u0074":1}"#, true),
            (r#"{"\u0072esults":1,"err\\or":2}"#, false),
            (deep.as_str(), true),
            (r#"{"method":"notifications/message","params":{"data":{"error":"x","result":1}}}"#, false),
            (r#"{"method":"result","params":["error"]}"#, false),
            (r#"{"results":1,"errors":2}"#, false),
            (r#"{"oops":1}"#, false),
            (r#"{"result":{"content":[]}"#, false),
            (r#"{"result":"cut"#, false),
            (r#"{"result":1}{"result":2}"#, false),
            (r#"{"result":1} x"#, false),
            (r#"[{"result":1}]"#, false),
            ("<html>\"result\":</html>", false),
            ("", false),
        ];
        for (text, is_answer) in table {
            for size in 1..=text.len().max(1) {
                let mut outline = Outline::default();
                text.as_bytes().chunks(size).for_each(|piece| outline.push(piece));
                assert_eq!(outline.is_answer(), is_answer, "{text} in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_word_is_found_however_it_is_split() {
        let text = b"xx list_chang list_changed yy";
        for size in 1..=text.len() {
            let mut word = Word::new("list_changed");
            let found = text.chunks(size).filter(|chunk| word.ends_in(chunk)).count();
            assert_eq!(found, 1, "in chunks of {size}");
        }
    }

    #[test]
    fn named_events_are_noticed() {
        #[rustfmt::skip]
        let table = [("id: 7\ndata: x\n\n", true), ("data: x\nid:\n\n", true), ("idle: 7\n\n", false), ("data: id: 7\n\n", false), (": id: 7\n", false)];
        for (stream, has_id) in table {
            for size in 1..=stream.len() {
                let mut watch = Watch::default();
                stream.as_bytes().chunks(size).for_each(|chunk| watch.push(chunk));
                assert_eq!(watch.has_id(), has_id, "{stream:?} in chunks of {size}");
            }
        }
    }

    #[test]
    fn an_answer_counts_when_its_event_is_whole() {
        #[rustfmt::skip]
        let table = [
            ("data: {\"result\":1}\n\n", true, true),
            (": hello\r\n\r\nid: 1\r\nevent: message\r\ndata:{\"error\":{}}\r\n\r\n", true, true),
            ("data: {\"id\":1,\rdata: \"result\":1}\r\r", true, true),
            ("data: {\"result\":1}\n\ndata: {\"met", true, false),
            ("data: {\"result\":1}\n", false, false),
            ("\u{feff}data: {\"result\":1}\n\n", true, true),
            ("data: {\"method\":\"x\",\"params\":{\"error\":1}}\n\n", false, true),
            ("id: {\"result\":1}\n\n", false, true),
            ("datum: {\"result\":1}\n\n", false, true),
            ("garbage \"result\" garbage\n\n", false, true),
            ("", false, true),
        ];
        for (stream, has_answer, is_between_events) in table {
            for size in 1..=stream.len().max(1) {
                let mut watch = Watch::default();
                stream.as_bytes().chunks(size).for_each(|chunk| watch.push(chunk));
                let seen = (watch.has_answer(), watch.is_between_events());
                assert_eq!(seen, (has_answer, is_between_events), "{stream:?} in chunks of {size}");
            }
        }
    }
}
