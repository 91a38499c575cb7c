//! The head of a request upstream: an allow-list, written anew. Nothing of the client's credentials
//! is in it, and nothing that selects or overrides ours.

use super::endpoint::Endpoint;
use crate::conf::Server;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName};
use pingora::http::RequestHeader;
use tollbridge_filters::era::{Era, MODERN};
use tollbridge_filters::headers;

/// What the MCP headers of one message say.
#[derive(Clone, Copy)]
pub struct Fields<'f> {
    pub era: Era,
    /// Legacy: the revision that this server settled on; none yet at `initialize`.
    pub version: Option<&'f str>,
    pub session: Option<&'f str>,
    /// Modern: what the body says.
    pub method: &'f str,
    pub name: Option<&'f str>,
    /// The client's headers, from which tracing and mirrored parameters are taken.
    pub downstream: Option<&'f HeaderMap>,
}

const FORWARDED: [&str; 3] = ["traceparent", "tracestate", "last-event-id"];
const MIRRORED: &str = "mcp-param-";

pub fn head(
    verb: &str,
    server: &Server,
    endpoint: &Endpoint,
    fields: &Fields<'_>,
    body_bytes: usize,
) -> Result<RequestHeader, Box<pingora::Error>> {
    let mut head = RequestHeader::build(verb, endpoint.path.as_bytes(), Some(16))?;
    head.insert_header(HOST, endpoint.authority.as_str())?;
    head.insert_header(ACCEPT, "application/json, text/event-stream")?;
    head.insert_header(ACCEPT_ENCODING, "identity")?;
    head.insert_header(CONTENT_TYPE, "application/json")?;
    head.insert_header(CONTENT_LENGTH, body_bytes)?;
    protocol(&mut head, fields)?;
    for (name, value) in &server.credentials {
        head.insert_header(name.clone(), value.clone())?;
    }
    if let Some(downstream) = fields.downstream {
        let configured: Vec<&HeaderName> = server.forward_headers.iter().collect();
        for (name, value) in &forwardable(downstream, &configured) {
            head.append_header(name.clone(), value.clone())?;
        }
    }
    Ok(head)
}

fn protocol(head: &mut RequestHeader, fields: &Fields<'_>) -> Result<(), Box<pingora::Error>> {
    match fields.era {
        Era::Modern => {
            head.insert_header(headers::PROTOCOL_VERSION, MODERN)?;
            head.insert_header(headers::METHOD, fields.method)?;
            if let Some(name) = fields.name {
                head.insert_header(headers::NAME, headers::encode(name))?;
            }
        }
        Era::Legacy => {
            if let Some(version) = fields.version {
                head.insert_header(headers::PROTOCOL_VERSION, version)?;
            }
            if let Some(session) = fields.session {
                head.insert_header(headers::SESSION_ID, session)?;
            }
        }
    }
    Ok(())
}

/// The client's headers that may go upstream at all: for tracing, mirrored parameters, and what is
/// configured.
pub fn forwardable(downstream: &HeaderMap, configured: &[&HeaderName]) -> HeaderMap {
    let mut forwarded = HeaderMap::new();
    for (name, value) in downstream {
        let text = name.as_str();
        if FORWARDED.contains(&text) || text.starts_with(MIRRORED) || configured.contains(&name) {
            forwarded.append(name.clone(), value.clone());
        }
    }
    forwarded
}
