//! Surfaces: the API shapes that REST callers speak. Each has a file of its own with its rows (what
//! it serves), how its bodies are read, and how it says what it says. Rows are data, so that nothing
//! can be served that no table and no golden file knows of.

pub mod body;
pub mod litellm;
pub mod oliverye;
pub mod plain;
pub mod registration;
pub mod registry_api;
pub mod routeiq;
mod row;
pub mod rpc;
pub mod show;
mod spot;
pub mod view;

pub use row::{Needs, Operation, Row};
pub use spot::Spot;

use crate::catalog::Server;
use crate::rejection::Rejection;
use crate::route::Calling;
use crate::translate::Told;
use bytes::Bytes;

/// An API shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Surface {
    /// MCP itself.
    Native,
    /// JSON-RPC without a session: management methods, and calls at REST paths.
    Rpc,
    /// RouteIQ's first guide: `/mcp/servers` and its like.
    Early,
    /// RouteIQ's management: `/llmrouter/mcp` and `/v1/llmrouter/mcp`.
    Routeiq,
    /// LiteLLM: `/v1/mcp`.
    Litellm,
    /// LiteLLM: `/mcp-rest`.
    LitellmRest,
    Oliverye,
    /// The official registry's API: `/v0.1`.
    RegistryApi,
    /// Our own: call a tool, get its result.
    Plain,
}

impl Surface {
    /// For metrics and the access log.
    pub fn name(self) -> &'static str {
        match self {
            Surface::Native => "mcp",
            Surface::Rpc => "jsonrpc",
            Surface::Early => "routeiq_early",
            Surface::Routeiq => "routeiq",
            Surface::Litellm => "litellm",
            Surface::LitellmRest => "litellm_rest",
            Surface::Oliverye => "oliverye",
            Surface::RegistryApi => "registry_api",
            Surface::Plain => "plain",
        }
    }

    /// The surface that answers for a path, whether or not anything is served there: a "no" has the
    /// shape of what the path asked for.
    pub fn of_path(path: &str) -> Surface {
        let mut segments = path.split('/').skip(1);
        match (segments.next(), segments.next(), segments.next()) {
            (Some("llmrouter"), ..) | (Some("v1"), Some("llmrouter"), _) => Surface::Routeiq,
            (Some("v1"), Some("mcp"), _) => Surface::Litellm,
            (Some("mcp-rest"), ..) => Surface::LitellmRest,
            (Some("v0.1"), Some("servers" | "publish"), _) => Surface::RegistryApi,
            (Some("sessions" | "health"), ..) => Surface::Oliverye,
            (Some("mcp"), Some("search" | "execute"), _) => Surface::Oliverye,
            (Some("mcp"), Some("servers"), Some("add" | "remove")) => Surface::Oliverye,
            (Some("mcp"), Some("oauth"), _) => Surface::Litellm,
            (Some("mcp"), Some("servers" | "tools" | "resources" | "transport" | "sse" | "messages"), _) => {
                Surface::Early
            }
            (Some("mcp"), Some("openapi.json"), _) | (Some("mcp"), Some(_), Some(_)) => Surface::Plain,
            _ => Surface::Native,
        }
    }
}

/// What a tool said, as a surface says it.
pub fn called(told: &Told, server: &Server, calling: &Calling, millis: u64) -> Result<Reply, Rejection> {
    let tool = calling.asked.as_str();
    match calling.surface {
        Surface::Early | Surface::Routeiq => routeiq::called(told, server, tool),
        Surface::Litellm | Surface::LitellmRest => litellm::called(told, server, tool),
        Surface::Oliverye => oliverye::called(told, server, tool, millis),
        Surface::Plain | Surface::RegistryApi => plain::called(told, server, tool, calling.extent),
        Surface::Native | Surface::Rpc => Ok(rpc::called(told, calling.id.as_deref().unwrap_or("null"))),
    }
}

/// Which surfaces are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surfaces {
    pub routeiq: bool,
    pub litellm: bool,
    pub oliverye: bool,
    pub registry_api: bool,
    /// REST in the gateway's own vocabulary.
    pub plain: bool,
    /// Whether tools can be called over RouteIQ's and LiteLLM's REST.
    pub tool_calls: bool,
}

impl Default for Surfaces {
    fn default() -> Surfaces {
        Surfaces { routeiq: true, litellm: true, oliverye: true, registry_api: true, plain: true, tool_calls: true }
    }
}

impl Surfaces {
    pub fn serve(self, surface: Surface) -> bool {
        match surface {
            Surface::Native => true,
            Surface::Rpc | Surface::Early | Surface::Routeiq => self.routeiq,
            Surface::Litellm | Surface::LitellmRest => self.litellm,
            Surface::Oliverye => self.oliverye,
            Surface::RegistryApi => self.registry_api,
            Surface::Plain => self.plain,
        }
    }
}

/// Every row of every surface.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    [routeiq::EARLY, routeiq::MANAGEMENT, litellm::ROWS, oliverye::ROWS, registry_api::ROWS, plain::ROWS]
        .into_iter()
        .flatten()
}

/// A surface's answer to a call that went well: pieces, so that the server's bytes are not copied.
#[derive(Debug)]
pub struct Reply {
    pub body: Vec<Bytes>,
    pub outcome: Outcome,
}

/// What became of the tool, where the answer is one all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Error,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Error => "error",
        }
    }
}

impl Reply {
    pub fn whole(body: Bytes) -> Reply {
        Reply { body: vec![body], outcome: Outcome::Success }
    }

    /// The same, of a tool that may have failed.
    pub fn of(self, told: &Told) -> Reply {
        let outcome = if told.is_failure() { Outcome::Error } else { self.outcome };
        Reply { outcome, ..self }
    }

    pub fn around(front: String, raw: Bytes, back: &'static str) -> Reply {
        let body = vec![front.into(), raw, Bytes::from_static(back.as_bytes())];
        Reply { body, outcome: Outcome::Success }
    }
}

#[cfg(test)]
mod tests;
