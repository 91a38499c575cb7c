//! The bytes of a request, in every dialect that is measured.

use std::str::FromStr;

use anyhow::{Result, bail};

use super::ticket::Ticket;
use crate::target::Target;

const TEXT: &str = "Who would cross the bridge must first say who he is and what he wants. ";
const MODERN_META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}"#;
const BOTH: &str = "Accept: application/json, text/event-stream\r\n";
const MODERN_LIST: &str = "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
    Mcp-Method: tools/list\r\n";
pub const LEGACY: &str = "2025-11-25";

/// What is asked, and how it is written.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Shape {
    /// `tools/call` of 2026-07-28.
    Modern,
    /// The same, each with a trace of its own in its head.
    Traced,
    /// `tools/call` of 2025-11-25, in a session that the connection opens first.
    Legacy,
    /// REST: the body is the arguments.
    Plain,
    /// REST: `{"tool_name": …, "arguments": …}`.
    Named,
    /// `tools/list` of 2026-07-28.
    List,
    /// `GET` of a file.
    File,
}

/// Whether a call asks to be told of its progress.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Progress {
    Told,
    Untold,
}

/// What all requests of a run have in common.
#[derive(Clone)]
pub struct Template {
    pub target: Target,
    pub key: Option<String>,
    pub tool: String,
    pub shape: Shape,
    pub progress: Progress,
    /// A text among the arguments, which only makes them longer.
    pub text: String,
    /// How long each answer must be, where that is known.
    pub answer_bytes: Option<usize>,
}

/// A text of this length, without anything that JSON would escape.
pub fn text(bytes: usize) -> String {
    TEXT.chars().cycle().take(bytes).collect()
}

impl Template {
    /// The request of `ticket`, with all that its era demands of a client.
    // MCP 2026-07-28, Transports, Streamable HTTP: the headers repeat what the body says.
    pub fn request(&self, ticket: &Ticket, session: Option<&str>) -> String {
        let tool = &self.tool;
        let (fields, body) = match self.shape {
            Shape::Modern => (modern_fields(tool), self.call(ticket, MODERN_META)),
            Shape::Traced => (modern_fields(tool) + &trace(ticket), self.call(ticket, MODERN_META)),
            Shape::Legacy => (legacy_fields(session), self.call(ticket, "")),
            Shape::Plain => ("Accept: application/json\r\n".to_owned(), self.arguments(ticket)),
            Shape::Named => (
                "Accept: application/json\r\n".to_owned(),
                format!(r#"{{"tool_name":"{tool}","arguments":{}}}"#, self.arguments(ticket)),
            ),
            Shape::List => (MODERN_LIST.to_owned(), list(&ticket.id, MODERN_META)),
            Shape::File => return self.get("Accept: application/json\r\n"),
        };
        self.post(&fields, &body)
    }

    /// What opens a legacy session, and what confirms it.
    pub fn initialize(&self) -> String {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{LEGACY}","capabilities":{{}},"clientInfo":{{"name":"bench","version":"1"}}}}}}"#
        );
        self.post(BOTH, &body)
    }

    pub fn initialized(&self, session: Option<&str>) -> String {
        self.post(&legacy_fields(session), r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
    }

    /// What asks for the tools, in the era of this template.
    pub fn list(&self, session: Option<&str>) -> String {
        match self.shape {
            Shape::Legacy => self.post(&legacy_fields(session), &list("1", "")),
            _ => self.post(MODERN_LIST, &list("1", MODERN_META)),
        }
    }

    /// What asks for the stream of a legacy session.
    pub fn attach(&self, session: Option<&str>) -> String {
        self.get(&legacy_fields(session).replace(BOTH, "Accept: text/event-stream\r\n"))
    }

    fn arguments(&self, ticket: &Ticket) -> String {
        format!(r#"{{"nonce":{},"text":"{}"}}"#, ticket.nonce, self.text)
    }

    fn call(&self, ticket: &Ticket, meta: &str) -> String {
        let Ticket { id, nonce } = ticket;
        let progress = match self.progress {
            Progress::Told => format!(r#""progressToken":{nonce}"#),
            Progress::Untold => String::new(),
        };
        let comma = if progress.is_empty() || meta.is_empty() { "" } else { "," };
        let (tool, arguments) = (&self.tool, self.arguments(ticket));
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},"_meta":{{{progress}{comma}{meta}}}}}}}"#
        )
    }

    fn post(&self, fields: &str, body: &str) -> String {
        let Target { authority, path } = &self.target;
        let (key, length) = (self.authorization(), body.len());
        format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\n{key}Content-Type: application/json\r\n{fields}\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }

    fn get(&self, fields: &str) -> String {
        let Target { authority, path } = &self.target;
        format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n{}{fields}\r\n", self.authorization())
    }

    fn authorization(&self) -> String {
        self.key.as_ref().map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default()
    }
}

fn list(id: &str, meta: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list","params":{{"_meta":{{{meta}}}}}}}"#)
}

fn modern_fields(tool: &str) -> String {
    format!("{BOTH}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n")
}

/// W3C Trace Context, 3.2.
fn trace(ticket: &Ticket) -> String {
    let digits = ticket.nonce.trim_matches('"');
    format!("traceparent: 00-{digits}{digits}-{digits}-01\r\n")
}

fn legacy_fields(session: Option<&str>) -> String {
    let session = session.map(|session| format!("Mcp-Session-Id: {session}\r\n")).unwrap_or_default();
    format!("{BOTH}MCP-Protocol-Version: {LEGACY}\r\n{session}")
}

impl FromStr for Shape {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        Ok(match word {
            "modern" => Self::Modern,
            "traced" => Self::Traced,
            "legacy" => Self::Legacy,
            "plain" => Self::Plain,
            "named" => Self::Named,
            "list" => Self::List,
            "file" => Self::File,
            _ => bail!("say modern, traced, legacy, plain, named, list or file"),
        })
    }
}
