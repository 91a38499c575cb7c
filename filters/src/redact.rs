//! What looks like a secret is not shown: in URLs, and in what registrations say besides.

use regex::Regex;
use serde_json::{Map, Value};
use std::sync::LazyLock;

const HIDDEN: &str = "***";

/// Parts of names whose values are secrets, wherever people put them.
const SECRET: [&str; 14] = [
    "token",
    "secret",
    "passw",
    "passphrase",
    "pwd",
    "apikey",
    "api_key",
    "api-key",
    "credential",
    "authorization",
    "private",
    "bearer",
    "cookie",
    "signature",
];

/// Names that are too short to be looked for in others.
const SECRET_WHOLE: [&str; 8] = ["auth", "key", "sig", "code", "pass", "pw", "jwt", "pat"];

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WHOLE.contains(&name.as_str()) || SECRET.iter().any(|part| name.contains(part))
}

/// What stands for a secret in running text.
static IN_TEXT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let patterns = r"(?i:\b(?:sk|pk|rk)-[a-z0-9_-]{8,})|\bAKIA[0-9A-Z]{12,}|(?i:\bbearer\s+\S+)|(?i:\b(?:password|passwd|secret|token|api_?key)=\S+)";
    Regex::new(patterns).ok()
});

/// A text with what looks like a secret in it hidden.
pub fn text(text: &str) -> String {
    match LazyLock::force(&IN_TEXT) {
        Some(secrets) => secrets.replace_all(text, HIDDEN).into_owned(),
        None => text.to_owned(),
    }
}

/// A URL with the values of such parameters hidden.
pub fn url(url: &str) -> String {
    let Some((front, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let hidden = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={HIDDEN}"),
        _ => pair.to_owned(),
    });
    format!("{front}?{}", hidden.collect::<Vec<_>>().join("&"))
}

/// An object with the values of such members hidden, at any depth.
pub fn object(members: &Map<String, Value>) -> Map<String, Value> {
    let shown = |(name, value): (&String, &Value)| {
        let value = if is_secret(name) { HIDDEN.into() } else { redacted(value) };
        (name.clone(), value)
    };
    members.iter().map(shown).collect()
}

fn redacted(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(object(members)),
        // A name and its value, as headers are written.
        Value::Array(pair) if matches!(pair.as_slice(), [Value::String(name), _] if is_secret(name)) => {
            Value::Array(pair.iter().take(1).cloned().chain([HIDDEN.into()]).collect())
        }
        Value::Array(elements) => Value::Array(elements.iter().map(redacted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_nothing_else() {
        for (given, shown) in [
            ("https://h/mcp", "https://h/mcp"),
            ("https://h/mcp?api_key=abc&team=red", "https://h/mcp?api_key=***&team=red"),
            ("https://h/mcp?access_Token=x&flag", "https://h/mcp?access_Token=***&flag"),
        ] {
            assert_eq!(url(given), shown);
        }
        assert_eq!(text("no sk-abcdefgh12 and password=x; Bearer abc"), "no *** and *** ***");
        let given = serde_json::json!({"team": "red", "about": {"clientSecret": "x", "list": [{"password": 1}]}});
        let shown = serde_json::json!({"team": "red", "about": {"clientSecret": "***", "list": [{"password": "***"}]}});
        assert_eq!(Value::Object(object(given.as_object().unwrap())), shown);
    }
}
