//! JSON, scanned once without building anything: strict syntax (RFC 8259), bounded depth, and the
//! places of what we want to read. What is not read stays the bytes that came.

mod plain;

use memchr::memchr;
use std::borrow::Cow;
use std::ops::Range;

/// A place in the scanned text.
pub type Span = Range<usize>;

/// Nesting beyond this is refused; nobody needs it, and recursion needs a bound.
pub const DEPTH_MAX: usize = 64;

/// What a server's list may be nested, so that one bad entry does not hide the others.
const TOLERATED_DEPTH_MAX: usize = 512;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("{0} at byte {1}")]
    Syntax(&'static str, usize),
    #[error("nested deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("the key {0:?} stands twice")]
    Duplicate(String),
}

/// A scanner over text that is known to be UTF-8.
pub struct Scanner<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    depth_max: usize,
    /// Whether a `\u` escape may be half a surrogate pair (RFC 8259, 8.2).
    takes_lone_surrogates: bool,
}

/// The place of a string with its quotes, and whether what it says differs from what is written there.
struct Quoted {
    place: Span,
    escapes: bool,
}

impl<'t> Scanner<'t> {
    pub fn new(text: &'t str) -> Scanner<'t> {
        Scanner { text, at: 0, depth: 0, depth_max: DEPTH_MAX, takes_lone_surrogates: false }
    }

    /// For finding the parts of a text that are then judged each by itself.
    pub fn tolerant(text: &'t str) -> Scanner<'t> {
        Scanner { depth_max: TOLERATED_DEPTH_MAX, takes_lone_surrogates: true, ..Scanner::new(text) }
    }

    /// Where the scanner stands.
    pub fn place(&self) -> usize {
        self.at
    }

    /// The first byte of the next value.
    pub fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.byte()
    }

    /// Reads the members of an object: `each` gets a key and must take the value that follows.
    pub fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, Cow<'t, str>) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        self.members(|scanner, key| each(scanner, scanner.key(&key)))
    }

    fn members(&mut self, mut each: impl FnMut(&mut Self, Quoted) -> Result<(), Malformed>) -> Result<(), Malformed> {
        self.open(b'{')?;
        if self.closes(b'}') {
            return Ok(());
        }
        loop {
            self.skip_space();
            let key = self.string()?;
            self.skip_space();
            self.take(b':', "expected a colon")?;
            each(self, key)?;
            if !self.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    /// Reads the elements of an array: `each` must take the value.
    pub fn array(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), Malformed>) -> Result<(), Malformed> {
        self.open(b'[')?;
        if self.closes(b']') {
            return Ok(());
        }
        loop {
            each(self)?;
            if !self.goes_on(b']')? {
                return Ok(());
            }
        }
    }

    /// Passes over one value of any kind and tells its place, without the white space around it.
    pub fn value(&mut self) -> Result<Span, Malformed> {
        self.skip_space();
        let start = self.at;
        self.pass()?;
        Ok(start..self.at)
    }

    fn pass(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'{') => self.members(|scanner, _| scanner.pass()),
            Some(b'[') => self.array(Self::pass),
            Some(b'"') => self.string().map(|_| ()),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.number(),
        }
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Result<(), Malformed> {
        self.skip_space();
        if self.at == self.text.len() { Ok(()) } else { Err(self.wrong("more than one value")) }
    }

    fn open(&mut self, bracket: u8) -> Result<(), Malformed> {
        self.skip_space();
        self.take(bracket, if bracket == b'{' { "expected an object" } else { "expected an array" })?;
        self.depth += 1;
        if self.depth > self.depth_max { Err(Malformed::TooDeep) } else { Ok(()) }
    }

    fn closes(&mut self, bracket: u8) -> bool {
        self.skip_space();
        let closes = self.byte() == Some(bracket);
        if closes {
            self.at += 1;
            self.depth -= 1;
        }
        closes
    }

    fn goes_on(&mut self, bracket: u8) -> Result<bool, Malformed> {
        if self.closes(bracket) {
            return Ok(false);
        }
        self.take(b',', "expected a comma or the end of the object or array").map(|()| true)
    }

    fn string(&mut self) -> Result<Quoted, Malformed> {
        let start = self.at;
        self.take(b'"', "expected a string")?;
        let mut escapes = false;
        loop {
            self.at += plain::run(self.text.as_bytes().get(self.at..).unwrap_or_default());
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Quoted { place: start..self.at, escapes });
                }
                Some(b'\\') => {
                    escapes = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.wrong("control character in a string")),
                None => return Err(self.wrong("unfinished string")),
            }
        }
    }

    fn key(&self, key: &Quoted) -> Cow<'t, str> {
        let Quoted { place, escapes } = key;
        match escapes {
            true => unquote(self.slice(place)),
            false => Cow::Borrowed(self.slice(&(place.start + 1..place.end - 1))),
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => match self.code_unit()? {
                0xD800..=0xDFFF if self.takes_lone_surrogates => Ok(()),
                0xD800..=0xDBFF => self.low_surrogate(),
                0xDC00..=0xDFFF => Err(self.wrong("lone surrogate")),
                _ => Ok(()),
            },
            _ => Err(self.wrong("unknown escape")),
        }
    }

    fn low_surrogate(&mut self) -> Result<(), Malformed> {
        if self.byte() == Some(b'\\') {
            self.at += 1;
            if self.byte() == Some(b'u') && matches!(self.code_unit()?, 0xDC00..=0xDFFF) {
                return Ok(());
            }
        }
        Err(self.wrong("lone surrogate"))
    }

    /// The four digits after `\u`; stands on the `u`.
    fn code_unit(&mut self) -> Result<u32, Malformed> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5).unwrap_or_default();
        let text = std::str::from_utf8(digits).unwrap_or_default();
        let plain = digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit);
        match u32::from_str_radix(text, 16) {
            Ok(unit) if plain => {
                self.at += 5;
                Ok(unit)
            }
            _ => Err(self.wrong("four hexadecimal digits must follow \\u")),
        }
    }

    fn number(&mut self) -> Result<(), Malformed> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(self.wrong("expected a value")),
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.wrong("expected a digit")) } else { Ok(()) }
    }

    fn word(&mut self, word: &str) -> Result<(), Malformed> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.wrong("expected a value"))
        }
    }

    fn take(&mut self, wanted: u8, or: &'static str) -> Result<(), Malformed> {
        if self.byte() == Some(wanted) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.wrong(or))
        }
    }

    fn skip_space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn slice(&self, span: &Span) -> &'t str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    fn wrong(&self, what: &'static str) -> Malformed {
        Malformed::Syntax(what, self.at)
    }
}

/// The text of a scanned string; `raw` has its quotes. Borrowed unless it holds an escape.
pub fn unquote(raw: &str) -> Cow<'_, str> {
    let inner = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(raw);
    match memchr(b'\\', inner.as_bytes()) {
        Some(_) => Cow::Owned(serde_json::from_str(raw).unwrap_or_default()),
        None => Cow::Borrowed(inner),
    }
}

/// A string as JSON text, with its quotes.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    put_quoted(&mut quoted, text);
    quoted
}

/// The same, behind what is written already.
pub fn put_quoted(out: &mut String, text: &str) {
    if plain::run(text.as_bytes()) < text.len() {
        out.push_str(&serde_json::Value::from(text).to_string());
        return;
    }
    for part in ["\"", text, "\""] {
        out.push_str(part);
    }
}

/// The place of the value under a path of keys; a key that stands twice on the way is an error,
/// because two readers may take different ones.
pub fn find<'p>(text: &str, path: impl IntoIterator<Item = &'p str>) -> Result<Option<Span>, Malformed> {
    let mut place = 0..text.len();
    for wanted in path {
        let outer = text.get(place.clone()).unwrap_or_default();
        let mut scanner = Scanner::new(outer);
        if scanner.peek() != Some(b'{') {
            return Ok(None);
        }
        let mut found = None;
        scanner.object(|scanner, key| {
            let span = scanner.value()?;
            if key == wanted { once(&mut found, span, wanted) } else { Ok(()) }
        })?;
        match found {
            Some(span) => place = place.start + span.start..place.start + span.end,
            None => return Ok(None),
        }
    }
    Ok(Some(place))
}

/// Fills a slot that must be empty.
pub fn once<T>(slot: &mut Option<T>, value: T, key: &str) -> Result<(), Malformed> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Malformed::Duplicate(key.to_owned())),
    }
}

#[cfg(test)]
mod tests;
