//! One connection of a modern MCP client: its requests, and whether an answer is the right one.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::measurement::Kind;
use crate::target::Target;
use crate::wire::Wire;

const TEXT: &str = "Who would cross the bridge must first say who he is and what he wants. ";

/// How a call is written.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Shape {
    /// MCP.
    Rpc,
    /// REST: the body is the arguments.
    Plain,
    /// REST: `{"tool_name": …, "arguments": …}`.
    Named,
}

/// What all requests of a run have in common.
#[derive(Clone)]
pub struct Template {
    pub target: Target,
    pub key: Option<String>,
    pub tool: String,
    pub kind: Kind,
    pub shape: Shape,
    /// Of the text among the arguments.
    pub text_bytes: usize,
}

pub struct Client {
    template: Arc<Template>,
    connection: u32,
    sequence: u64,
    nonces: RandomState,
    kept: Option<Wire>,
}

/// One request of this client: unlike any other, so that its answer can be told apart.
pub struct Ticket {
    id: String,
    nonce: String,
}

pub enum Verdict {
    Crossed,
    Right,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

impl Client {
    pub fn new(template: Arc<Template>, connection: u32) -> Self {
        Self { template, connection, sequence: 0, nonces: RandomState::new(), kept: None }
    }

    pub fn next_ticket(&mut self) -> Ticket {
        self.sequence += 1;
        let place = (self.connection, self.sequence);
        Ticket {
            id: format!("\"{}-{}\"", place.0, place.1),
            nonce: format!("\"{:016x}\"", self.nonces.hash_one(place)),
        }
    }

    pub fn shape(&self) -> Shape {
        self.template.shape
    }

    /// The kept connection or a new one; the caller gives it back with [`Client::keep`].
    pub async fn connection(&mut self) -> Result<Wire> {
        match self.kept.take() {
            Some(wire) => Ok(wire),
            None => self.template.target.connect().await,
        }
    }

    pub fn keep(&mut self, wire: Wire) {
        self.kept = Some(wire);
    }

    /// The request of `ticket`, with all that the modern era demands of a client.
    // MCP 2026-07-28, Transports, Streamable HTTP: the headers repeat what the body says.
    pub fn request(&self, ticket: &Ticket) -> String {
        let Template { target, key, tool, .. } = &*self.template;
        let Target { authority, path } = target;
        let body = self.body(ticket);
        let length = body.len();
        let mcp = match self.template.shape {
            Shape::Rpc => format!(
                "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
                 Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\n"
            ),
            Shape::Plain | Shape::Named => "Accept: application/json\r\n".to_owned(),
        };
        let authorization = match key {
            Some(key) => format!("Authorization: Bearer {key}\r\n"),
            None => String::new(),
        };
        format!(
            "POST {path} HTTP/1.1\r\nHost: {authority}\r\n{authorization}\
             Content-Type: application/json\r\n{mcp}\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }

    fn body(&self, Ticket { id, nonce }: &Ticket) -> String {
        let tool = &self.template.tool;
        let text: String = TEXT.chars().cycle().take(self.template.text_bytes).collect();
        let arguments = format!(r#"{{"nonce":{nonce},"text":"{text}"}}"#);
        match self.template.shape {
            Shape::Rpc => {}
            Shape::Plain => return arguments,
            Shape::Named => return format!(r#"{{"tool_name":"{tool}","arguments":{arguments}}}"#),
        }
        let progress = match self.template.kind {
            Kind::Calls => String::new(),
            Kind::Events => format!(r#""progressToken":{nonce},"#),
        };
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},"_meta":{{{progress}"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"bench","version":"1"}},"io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
        )
    }
}

impl Ticket {
    /// Judges the answer of a REST surface, in which the nonce stands somewhere.
    pub fn judge_rest(&self, json: &[u8]) -> Result<Verdict> {
        let nonce = self.nonce.trim_matches('"').as_bytes();
        let right = json.windows(nonce.len()).any(|window| window == nonce);
        Ok(if right { Verdict::Right } else { Verdict::Crossed })
    }

    /// Judges a JSON-RPC response; an error response is an error here, too.
    pub fn judge(&self, json: &[u8]) -> Result<Verdict> {
        let hint = || format!("not a JSON-RPC response: {}", excerpt(json));
        let response: Response = serde_json::from_slice(json).with_context(hint)?;
        if response.id.map(RawValue::get) != Some(self.id.as_str()) {
            return Ok(Verdict::Crossed);
        }
        match response.result.map(RawValue::get) {
            Some(result) if result.contains(&self.nonce) => Ok(Verdict::Right),
            Some(_) => Ok(Verdict::Crossed),
            None => bail!("an error response: {}", excerpt(json)),
        }
    }
}

/// The beginning of an answer, for an error message.
pub fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned()
}
