//! Stable words for what differs from run to run, and back: a file may ask with a word that an earlier
//! one of its play was answered with.
//!
//! `<modern>` and its like are ports, `<user key>` and its like keys; `<uuid 1>`, `<hex 1>` are numbered
//! in the order in which they came; `<request id>`, `<time>`, `<ms>`, `<n>`, `<version>` are what they say.

#[derive(Default)]
pub struct Words {
    /// Word and what it stands for.
    known: Vec<(String, String)>,
}

impl Words {
    pub fn know(&mut self, word: &str, value: &str) {
        self.known.push((format!("<{word}>"), value.to_owned()));
    }

    /// What a text with words stands for.
    pub fn meant(&self, text: &str) -> String {
        self.known.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
    }

    /// A text in words.
    pub fn told(&mut self, text: &str, request_id: Option<&str>) -> String {
        // Before what is known: the digits of a port may stand in it.
        let text = request_id.map_or(text.to_owned(), |id| text.replace(id, "<request id>"));
        let text = self.known.iter().fold(text, |text, (word, value)| put(&text, value, word));
        let text = text.replace(concat!(r#""version":""#, env!("CARGO_PKG_VERSION")), r#""version":"<version>"#);
        let text = timed(&text);
        let mut told = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(is_of_token) {
            let (before, from) = rest.split_at(at);
            let end = from.find(|c| !is_of_token(c)).unwrap_or(from.len());
            let (token, after) = from.split_at(end);
            told.push_str(before);
            told.push_str(&self.word(token).unwrap_or_else(|| token.to_owned()));
            rest = after;
        }
        told + rest
    }

    fn word(&mut self, token: &str) -> Option<String> {
        let is_hex = |text: &str| text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        let parts: Vec<&str> = token.split('-').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        if lengths == [8, 4, 4, 4, 12] && parts.iter().all(|part| is_hex(part)) {
            return Some(self.numbered("uuid", token));
        }
        if token.len() == 16 && is_hex(token) && token.contains(|c: char| c.is_ascii_digit()) {
            return Some(self.numbered("hex", token));
        }
        // A date that nobody has set is one that everybody should see.
        let is_set = !token.starts_with("1970");
        if lengths.get(..2) == Some(&[4, 2]) && token.get(10..11) == Some("T") && is_set {
            return Some("<time>".to_owned());
        }
        for (prefix, word) in [("http_", "http_<time>"), ("session-", "session-<n>"), (":", ":<time>")] {
            let digits = token.strip_prefix(prefix).map(|rest| rest.split('.').next().unwrap_or_default());
            // Seconds or milliseconds of this century have that many digits.
            let lengths = if word.ends_with("<time>") { 10..=13 } else { 1..=10 };
            if digits
                .is_some_and(|digits| lengths.contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit()))
            {
                return Some(word.to_owned());
            }
        }
        None
    }

    fn numbered(&mut self, kind: &str, value: &str) -> String {
        let before = self.known.iter().filter(|(word, _)| word.starts_with(&format!("<{kind} "))).count();
        let word = format!("{kind} {}", before + 1);
        self.know(&word, value);
        format!("<{word}>")
    }
}

/// A word for a value where that stands alone: the digits of a port may stand in something longer.
fn put(text: &str, value: &str, word: &str) -> String {
    let (mut told, mut behind) = (String::new(), 0);
    for (at, _) in text.match_indices(value) {
        let end = at + value.len();
        let is_longer = |c: char| c.is_ascii_alphanumeric();
        if text[..at].ends_with(is_longer) || text[end..].starts_with(is_longer) {
            continue;
        }
        told.push_str(&text[behind..at]);
        told.push_str(word);
        behind = end;
    }
    told + &text[behind..]
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.')
}

/// How long something took.
fn timed(text: &str) -> String {
    const NAME: &str = r#""latency_ms":"#;
    let mut pieces = text.split(NAME);
    let mut told = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find([',', '}']).unwrap_or(piece.len());
        let (took, rest) = piece.split_at(end);
        told.push_str(NAME);
        told.push_str(if took == "null" { took } else { "<ms>" });
        told.push_str(rest);
    }
    told
}
