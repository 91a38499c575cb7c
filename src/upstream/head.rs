//! The head of a request upstream: an allow-list, written anew. Nothing of the client's credentials
//! is in it, and nothing that selects or overrides ours.

use super::endpoint::Endpoint;
use crate::conf::Server;
use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, Version};
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
    /// The client's headers that may go upstream.
    pub forwarded: Option<&'f HeaderMap>,
}

/// The head of one request to one endpoint.
pub struct Head<'h> {
    pub verb: &'static str,
    pub server: &'h Server,
    pub endpoint: &'h Endpoint,
    /// Nearly always the endpoint's own.
    pub path: &'h str,
    pub fields: Fields<'h>,
    pub body_bytes: usize,
}

impl Head<'_> {
    /// As HTTP/1.1, with room for the body behind it.
    pub(super) fn wire(&self, room: usize) -> BytesMut {
        let mut wire = BytesMut::with_capacity(512 + room);
        for part in [self.verb, " ", self.path, " HTTP/1.1\r\n"] {
            wire.put_slice(part.as_bytes());
        }
        self.each(&mut |name, value| {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                wire.put_slice(part);
            }
        });
        wire.put_slice(b"\r\n");
        wire
    }

    /// As Pingora takes it. HTTP/2 has `:authority` where HTTP/1.1 has `Host` (RFC 9113, 8.3.1).
    pub(super) fn header(&self, version: Version) -> Result<RequestHeader, Box<pingora::Error>> {
        let mut head = RequestHeader::build(self.verb, self.path.as_bytes(), Some(16))?;
        if version == Version::HTTP_2 {
            head.set_version(version);
            head.set_uri(self.uri());
        }
        let mut wrong = None;
        self.each(&mut |name, value| {
            if version == Version::HTTP_2 && name == "Host" {
                return;
            }
            if let Err(error) = head.append_header(name.to_owned(), value) {
                wrong = Some(error);
            }
        });
        wrong.map_or(Ok(head), Err)
    }

    /// Whole, with the path in its place.
    fn uri(&self) -> http::Uri {
        let mut parts = self.endpoint.uri.clone().into_parts();
        if let Ok(path) = self.path.parse() {
            parts.path_and_query = Some(path);
        }
        http::Uri::from_parts(parts).unwrap_or_else(|_| self.endpoint.uri.clone())
    }

    /// Every field. All values are fit for a header: they come out of one, are written by us, or
    /// are encoded here.
    fn each(&self, put: &mut dyn FnMut(&str, &[u8])) {
        put("Host", self.endpoint.authority.as_bytes());
        let is_stream = self.verb == "GET";
        let accept: &[u8] = if is_stream { b"text/event-stream" } else { b"application/json, text/event-stream" };
        put("Accept", accept);
        put("Accept-Encoding", b"identity");
        if !is_stream {
            put("Content-Type", b"application/json");
            put("Content-Length", self.body_bytes.to_string().as_bytes());
        }
        self.protocol(put);
        for (name, value) in &self.server.credentials {
            put(name.as_str(), value.as_bytes());
        }
        for (name, value) in self.fields.forwarded.into_iter().flatten() {
            if may_go(name) || self.server.forward_headers.contains(name) {
                put(name.as_str(), value.as_bytes());
            }
        }
    }

    fn protocol(&self, put: &mut dyn FnMut(&str, &[u8])) {
        let Fields { era, version, session, method, name, .. } = self.fields;
        match era {
            Era::Modern => {
                put("MCP-Protocol-Version", MODERN.as_bytes());
                put("Mcp-Method", headers::encode(method).as_bytes());
                if let Some(name) = name {
                    put("Mcp-Name", headers::encode(name).as_bytes());
                }
            }
            Era::Legacy => {
                if let Some(version) = version {
                    put("MCP-Protocol-Version", headers::encode(version).as_bytes());
                }
                if let Some(session) = session {
                    put("Mcp-Session-Id", session.as_bytes());
                }
            }
        }
    }
}

/// For tracing, resumption and mirrored parameters.
fn may_go(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(name, "traceparent" | "tracestate" | "last-event-id") || name.starts_with("mcp-param-")
}

/// The client's headers that may go upstream at all; which of them a server gets is for its head.
pub fn forwardable(downstream: &HeaderMap, configured: &[&HeaderName]) -> HeaderMap {
    let mut forwarded = HeaderMap::new();
    for (name, value) in downstream {
        if may_go(name) || configured.contains(&name) {
            forwarded.append(name.clone(), value.clone());
        }
    }
    forwarded
}

/// Those of them that tell a server whose session it is, and not of one request.
pub fn lasting(forwarded: &HeaderMap, server: &Server) -> HeaderMap {
    let configured = forwarded.iter().filter(|(name, _)| server.forward_headers.contains(name));
    configured.map(|(name, value)| (name.clone(), value.clone())).collect()
}
