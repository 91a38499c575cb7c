//! A tool call that the gateway writes for a caller of another surface.

use super::members::{META_CAPABILITIES, META_VERSION};
use super::{Envelope, Fields, Kind, Method};
use crate::era::{Era, MODERN};
use crate::json;

/// A tool call as a caller of another surface means it.
pub struct ToolCall<'c> {
    /// Raw, and unlike any other that is under way.
    pub id: &'c str,
    pub name: &'c str,
    /// An object, as it was sent.
    pub arguments: &'c str,
    pub era: Era,
    /// How the gateway introduces itself, an object.
    pub client_info: &'c str,
    pub progress: Progress,
}

/// Whether a caller wants to hear how a call gets on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Wanted,
    Unwanted,
}

impl ToolCall<'_> {
    /// `_meta`, with a comma before it. REST callers cannot be asked for anything, so no capability is
    /// declared.
    fn meta(&self) -> String {
        let progress = match self.progress {
            Progress::Wanted => format!(r#""progressToken":{}"#, self.id),
            Progress::Unwanted => String::new(),
        };
        let client_info = self.client_info;
        match (self.era, progress.as_str()) {
            (Era::Legacy, "") => String::new(),
            (Era::Legacy, _) => format!(r#","_meta":{{{progress}}}"#),
            (Era::Modern, _) => {
                let comma = if progress.is_empty() { "" } else { "," };
                format!(
                    r#","_meta":{{"{META_VERSION}":"{MODERN}","io.modelcontextprotocol/clientInfo":{client_info},"{META_CAPABILITIES}":{{}}{comma}{progress}}}"#
                )
            }
        }
    }
}

impl Envelope {
    /// A tool call that the gateway writes for a caller of another surface. The arguments are the very
    /// bytes of the caller's.
    pub fn call(call: &ToolCall<'_>) -> Envelope {
        let mut text = String::with_capacity(call.arguments.len() + 512);
        let mut part = |written: &str| {
            let start = text.len();
            text.push_str(written);
            Some(start..text.len())
        };
        part(r#"{"jsonrpc":"2.0","id":"#);
        let id = part(call.id);
        part(r#","method":"#);
        part(r#""tools/call""#);
        let method = Method::Known("tools/call");
        part(r#","params":{"name":"#);
        let name = part(&json::quote(call.name));
        part(r#","arguments":"#);
        let arguments = part(call.arguments);
        part(&call.meta());
        part("}}");
        let fields = Box::new(Fields { name, arguments, ..Fields::default() });
        Envelope { body: text.into(), kind: Kind::Request, id, method, fields }
    }
}
