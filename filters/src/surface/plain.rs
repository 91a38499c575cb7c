//! Our own face, for people who just want to call a tool: the arguments are the body, the result is
//! the answer. Errors are problem details (RFC 9457).
//!
//! What a tool's answer becomes at `POST /mcp/{server}/tools/{tool}`:
//!
//! | the server says | status | body |
//! |---|---|---|
//! | result | 200 | its `structuredContent`, if there is one and not `?result=whole`; else the whole result |
//! | result of the REST dialect | 200 | the result as it came |
//! | result with `isError` | 422 | a problem, with the whole `result` in it |
//! | JSON-RPC error | 400 (-32602), 404 (-32601), else 502 | a problem, with the server's code |
//! | `input_required` | 409 | a problem: REST callers cannot be asked |

use super::{Operation, Reply, Row, Surface};
use crate::catalog::Server;
use crate::rejection::Rejection;
use crate::translate::{Said, Told, to_result};
use http::Method;

pub const ROWS: &[Row] = &[
    Row::any(Surface::Plain, Method::GET, "/mcp/openapi.json", Operation::OpenApi),
    Row::any(Surface::Plain, Method::GET, "/mcp/{server}/openapi.json", Operation::OpenApi),
    Row::any(Surface::Plain, Method::GET, "/mcp/{server}/tools", Operation::Definitions),
    Row::any(Surface::Plain, Method::POST, "/mcp/{server}/tools/{tool}", Operation::Call),
];

/// How much of the result is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    #[default]
    Structured,
    Whole,
}

impl Extent {
    pub fn read(parameters: &[(String, String)]) -> Result<Extent, Rejection> {
        let wanted = parameters.iter().find(|(name, _)| name == "result").map(|(_, value)| value.as_str());
        match wanted {
            None | Some("structured") => Ok(Extent::Structured),
            Some("whole") => Ok(Extent::Whole),
            Some(_) => {
                Err(Rejection::Query { name: "result".to_owned(), what: "must be structured or whole".to_owned() })
            }
        }
    }
}

/// What a tool said.
pub fn called(told: &Told, _: &Server, _: &str, extent: Extent) -> Result<Reply, Rejection> {
    match (&told.said, extent) {
        (Said::Plain(place), Extent::Structured) => Ok(Reply::whole(told.raw(place))),
        (Said::Plain(_), Extent::Whole) => Ok(Reply::whole(to_result(told).into())),
        (Said::Result(outline), _) if outline.wants_input => Err(Rejection::WantsInput),
        (Said::Result(outline), _) if outline.is_error => Err(told.tool_failed(outline)),
        (Said::Result(outline), Extent::Structured) => {
            Ok(Reply::whole(told.raw(outline.structured.as_ref().unwrap_or(&outline.whole))))
        }
        (Said::Result(outline), Extent::Whole) => Ok(Reply::whole(told.raw(&outline.whole))),
        (Said::Error { code, message, .. }, _) => Err(Rejection::server_error(*code, message)),
        (Said::Failed { why, .. }, _) => Err(Rejection::tool_said(why)),
    }
}
