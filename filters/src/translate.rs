//! Between REST and JSON-RPC: a tool call's arguments go up as the very bytes that came, and a
//! result comes down as the very bytes of the server. Only the outlines are read.

use crate::era::Era;
use crate::json::{self, Scanner, Span, once};
use crate::jsonrpc::is_answer_to;
use crate::rejection::Rejection;
use crate::route::Carry;
use bytes::Bytes;

/// A tool's answer to a REST call, read.
#[derive(Debug)]
pub struct Told {
    message: Bytes,
    pub said: Said,
}

#[derive(Debug)]
pub enum Said {
    Result(Outline),
    /// A JSON-RPC error of the server's.
    Error {
        code: i64,
        message: String,
        whole: Span,
    },
    /// What a server of RouteIQ's REST dialect gave as the result.
    Plain(Span),
    /// What such a server says of a call that failed.
    Failed {
        status: u16,
        why: String,
    },
}

/// The places in a `CallToolResult` that surfaces look at.
#[derive(Debug, Default)]
pub struct Outline {
    pub whole: Span,
    pub content: Option<Span>,
    pub structured: Option<Span>,
    pub is_error: bool,
    /// The server wants something of its client before it goes on (MCP 2026-07-28, MRTR).
    pub wants_input: bool,
}

impl Told {
    /// Reads a JSON-RPC message; `None` where it is no answer to this id.
    pub fn read(message: Bytes, id: &str) -> Option<Told> {
        let text = std::str::from_utf8(&message).ok()?;
        let mut members = Members::default();
        let mut scanner = Scanner::tolerant(text);
        scanner.object(|scanner, key| members.member(scanner, &key)).ok()?;
        scanner.end().ok()?;
        let own = members.id.clone().and_then(|place| text.get(place));
        let said = match (members.result, members.error) {
            (Some(result), None) if is_answer_to(own, id) => Said::Result(Outline::read(text, result)?),
            // A server that could not read the request does not know its id.
            (None, Some(error)) if is_answer_to(own, id) || own.is_none_or(|own| own == "null") => {
                read_error(text, error)?
            }
            _ => return None,
        };
        Some(Told { message, said })
    }

    /// Reads the answer of a server of the REST dialect: `{"status":"success","result":…}`, or
    /// `{"detail":…}`.
    pub fn read_plain(body: Bytes, status: u16) -> Option<Told> {
        let text = std::str::from_utf8(&body).ok()?;
        let result = json::find(text, ["result"]).ok()?;
        let said = match (status, result) {
            (200..=299, Some(result)) => Said::Plain(result),
            (200..=299, None) => return None,
            _ => Said::Failed { status, why: detail(text).unwrap_or_else(|| format!("HTTP status {status}")) },
        };
        Some(Told { message: body, said })
    }

    /// Whether the tool, or the server, says that it failed.
    pub fn is_failure(&self) -> bool {
        match &self.said {
            Said::Result(outline) => outline.is_error,
            Said::Plain(_) => false,
            Said::Error { .. } | Said::Failed { .. } => true,
        }
    }

    /// A place of the message, without a copy.
    pub fn raw(&self, place: &Span) -> Bytes {
        if place.end <= self.message.len() && place.start <= place.end {
            self.message.slice(place.clone())
        } else {
            Bytes::new()
        }
    }

    pub fn text(&self, place: &Span) -> &str {
        self.message.get(place.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// A result that says that the tool failed, as a "no".
    pub fn tool_failed(&self, outline: &Outline) -> Rejection {
        Rejection::ToolFailed { message: self.spoken(outline), result: Some(self.raw(&outline.whole)) }
    }

    /// The text parts of the content, one after the other.
    pub fn spoken(&self, outline: &Outline) -> String {
        let Some(content) = &outline.content else {
            return String::new();
        };
        let parts: Vec<serde_json::Value> = serde_json::from_str(self.text(content)).unwrap_or_default();
        let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
        texts.join("\n")
    }
}

#[derive(Default)]
struct Members {
    id: Option<Span>,
    result: Option<Span>,
    error: Option<Span>,
}

impl Members {
    fn member(&mut self, scanner: &mut Scanner<'_>, key: &str) -> Result<(), json::Malformed> {
        match key {
            "id" => once(&mut self.id, scanner.value()?, key),
            "result" => once(&mut self.result, scanner.value()?, key),
            "error" => once(&mut self.error, scanner.value()?, key),
            _ => scanner.value().map(drop),
        }
    }
}

impl Outline {
    fn read(text: &str, whole: Span) -> Option<Outline> {
        let inner = text.get(whole.clone())?;
        let mut outline = Outline { whole: whole.clone(), ..Outline::default() };
        let mut scanner = Scanner::tolerant(inner);
        let within = |span: Span| whole.start + span.start..whole.start + span.end;
        let each = |scanner: &mut Scanner<'_>, key: std::borrow::Cow<'_, str>| {
            let place = scanner.value()?;
            let raw = inner.get(place.clone()).unwrap_or_default();
            match key.as_ref() {
                "content" => outline.content = Some(within(place)),
                "structuredContent" if raw != "null" => outline.structured = Some(within(place)),
                "isError" => outline.is_error = raw == "true",
                "resultType" => outline.wants_input = json::unquote(raw) == "input_required",
                _ => {}
            }
            Ok(())
        };
        scanner.object(each).ok()?;
        Some(outline)
    }
}

fn read_error(text: &str, whole: Span) -> Option<Said> {
    let error: serde_json::Value = serde_json::from_str(text.get(whole.clone())?).ok()?;
    let code = error.get("code").and_then(serde_json::Value::as_i64)?;
    let message = error.get("message").and_then(|message| message.as_str()).unwrap_or_default().to_owned();
    Some(Said::Error { code, message, whole })
}

fn detail(text: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(text).ok()?;
    let said = body.get("detail").or(body.get("error"))?;
    let message = said.get("message").unwrap_or(said);
    Some(message.as_str().map_or_else(|| message.to_string(), str::to_owned))
}

/// A `CallToolResult` out of the answer of a server of the REST dialect.
pub fn to_result(told: &Told) -> String {
    match &told.said {
        Said::Plain(place) => {
            let raw = told.text(place);
            let spoken = if raw.starts_with('"') { json::unquote(raw).into_owned() } else { raw.to_owned() };
            let structured = if raw.starts_with('{') { format!(",\"structuredContent\":{raw}") } else { String::new() };
            format!(r#"{{"content":[{{"type":"text","text":{}}}]{structured}}}"#, json::quote(&spoken))
        }
        Said::Failed { why, .. } => {
            format!(r#"{{"content":[{{"type":"text","text":{}}}],"isError":true}}"#, json::quote(why))
        }
        Said::Result(Outline { whole, .. }) | Said::Error { whole, .. } => told.text(whole).to_owned(),
    }
}

/// The same as the JSON-RPC answer that a native client waits for.
pub fn to_rpc(told: &Told, id: &str, era: Era) -> Bytes {
    if let Said::Failed { status: 404, why } = &told.said {
        let error = format!(r#"{{"code":-32602,"message":{}}}"#, json::quote(why));
        return Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#));
    }
    let result = to_result(told);
    let result = match era {
        Era::Modern => result.replacen('{', r#"{"resultType":"complete","#, 1),
        Era::Legacy => result,
    };
    Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
}

/// The answer to `resources/read` out of what such a server gave for a URI.
pub fn to_resource(told: &Told, id: &str, carry: &Carry) -> Bytes {
    let uri = json::quote(&carry.envelope.uri().unwrap_or_default());
    let raw = match &told.said {
        Said::Plain(place) => told.text(place),
        Said::Failed { .. } | Said::Result(_) | Said::Error { .. } => {
            let said = json::quote(&format!("Resource not found: {}", carry.envelope.uri().unwrap_or_default()));
            let error = format!(r#"{{"code":-32602,"message":{said},"data":{{"uri":{uri}}}}}"#);
            return Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#));
        }
    };
    let member = |key: &str| json::find(raw, [key]).ok().flatten().and_then(|place| raw.get(place));
    let contents = match (member("contents"), member("text").filter(|text| text.starts_with('"'))) {
        (Some(contents), _) if contents.starts_with('[') => contents.to_owned(),
        (_, Some(text)) => format!(r#"[{{"uri":{uri},"text":{text}}}]"#),
        (_, None) if raw.starts_with('"') => format!(r#"[{{"uri":{uri},"text":{raw}}}]"#),
        (_, None) => format!(r#"[{{"uri":{uri},"mimeType":"application/json","text":{}}}]"#, json::quote(raw)),
    };
    let complete = match carry.era {
        Era::Modern => r#""resultType":"complete","ttlMs":0,"cacheScope":"private","#,
        Era::Legacy => "",
    };
    Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{{complete}"contents":{contents}}}}}"#))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_bytes() {
        let message = r#"{"id":"7","jsonrpc":"2.0","result":{ "content" : [ {"type":"text","text":"a\u0062"} ],
            "structuredContent":{"n":1e400}, "isError":true}}"#;
        let told = Told::read(Bytes::from(message), "\"7\"").unwrap();
        let Said::Result(outline) = &told.said else { panic!("{told:?}") };
        assert_eq!(told.text(outline.structured.as_ref().unwrap()), r#"{"n":1e400}"#);
        assert_eq!(told.text(outline.content.as_ref().unwrap()), r#"[ {"type":"text","text":"a\u0062"} ]"#);
        assert!(outline.is_error && !outline.wants_input);
        assert_eq!(told.spoken(outline), "ab");
    }

    #[test]
    fn only_the_answer_to_the_question_counts() {
        for (message, is_answer) in [
            (r#"{"jsonrpc":"2.0","id":"7","result":{}}"#, true),
            (r#"{"jsonrpc":"2.0","id":"8","result":{}}"#, false),
            (r#"{"jsonrpc":"2.0","id":7,"result":{}}"#, false),
            (r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#, true),
            (r#"{"jsonrpc":"2.0","id":"7","error":{"message":"no code"}}"#, false),
            (r#"{"jsonrpc":"2.0","id":"7","result":[]}"#, false),
            (r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#, false),
            ("{", false),
        ] {
            assert_eq!(Told::read(Bytes::from(message), "\"7\"").is_some(), is_answer, "{message}");
        }
    }
}
