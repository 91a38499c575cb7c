//! RouteIQ's JSON-RPC methods for managing servers, in both spellings: `mcp.servers.register` and
//! `mcp/servers/register`, and `unregister`, `list`, `get`.

use super::body::Fields;
use super::registration::Registration;
use super::{Reply, Surface, routeiq};
use crate::jsonrpc::Envelope;
use crate::rejection::{FieldFault, Rejection};
use crate::translate::{Said, Told, to_result};
use serde_json::{Map, Value};

#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    Register(Box<Registration>),
    Unregister(String),
    List,
    Get(String),
}

/// Every method, in the first of its spellings.
pub const METHODS: [&str; 4] =
    ["mcp.servers.register", "mcp.servers.unregister", "mcp.servers.list", "mcp.servers.get"];

/// Whether a method is one of these.
pub fn is_ours(method: &str) -> bool {
    operation(method).is_some()
}

fn operation(method: &str) -> Option<&str> {
    let operation = method.strip_prefix("mcp.servers.").or_else(|| method.strip_prefix("mcp/servers/"))?;
    matches!(operation, "register" | "unregister" | "list" | "get").then_some(operation)
}

impl Method {
    /// Whether it changes anything.
    pub fn is_change(&self) -> bool {
        matches!(self, Method::Register(_) | Method::Unregister(_))
    }

    pub fn read(envelope: &Envelope) -> Result<Method, Rejection> {
        let method = envelope.method();
        let mut fields = Fields::of(params(envelope)?, "params.");
        fields.ignore(&["_meta"]);
        let read = match operation(&method) {
            Some("register") => {
                return routeiq::read_registration(fields, Surface::Early).map(Box::new).map(Method::Register);
            }
            Some("unregister") => Method::Unregister(id(&mut fields)?),
            Some("get") => Method::Get(id(&mut fields)?),
            Some("list") => Method::List,
            _ => return Err(Rejection::UnknownMethod(method.into_owned())),
        };
        fields.end().map(|()| read)
    }
}

fn id(fields: &mut Fields) -> Result<String, Rejection> {
    fields.required(&["server_id", "id", "name"])
}

fn params(envelope: &Envelope) -> Result<Map<String, Value>, Rejection> {
    let Some(raw) = envelope.params() else {
        return Ok(Map::new());
    };
    let object = serde_json::from_str(raw).ok();
    object.ok_or(Rejection::Field { name: "params".to_owned(), fault: FieldFault::Type("object") })
}

/// What a tool said, under the id of the caller.
pub fn called(told: &Told, id: &str) -> Reply {
    let (member, raw) = match &told.said {
        Said::Result(outline) => ("result", told.raw(&outline.whole)),
        Said::Error { whole, .. } => ("error", told.raw(whole)),
        Said::Plain(_) | Said::Failed { .. } => ("result", to_result(told).into()),
    };
    Reply::around(format!(r#"{{"jsonrpc":"2.0","id":{id},"{member}":"#), raw, "}").of(told)
}
