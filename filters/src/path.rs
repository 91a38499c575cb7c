//! The canonical path: one reading of the request's target, for routing and for policy alike.

use crate::names::ServerId;
use crate::rejection::Rejection;
use crate::surface::{Spot, Surface, Surfaces};

/// What a path means on the data listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An MCP endpoint.
    Mcp(Scope),
    /// A path of a REST surface.
    Rest(Spot),
    /// OAuth protected-resource metadata, open without a key (RFC 9728).
    ResourceMetadata,
    /// Nothing of ours.
    Elsewhere,
}

/// The servers that an MCP endpoint reaches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// `/mcp`: all that the key may use, as one server.
    All,
    /// `/mcp/{server}` and `/{server}/mcp`: one server, names bare.
    One(ServerId),
    /// Those of an application session (`X-Session-ID`), on REST surfaces.
    Set(String),
}

/// What reading a path depends on.
pub struct Grounds<'g> {
    /// Whether an id is a server's: with a passthrough behind us, `/{server}/mcp` is ours only for those.
    pub known: &'g dyn Fn(&ServerId) -> bool,
    pub passthrough: bool,
    pub surfaces: Surfaces,
}

pub fn place(path: &str, grounds: &Grounds<'_>) -> Result<Place, Rejection> {
    let ours = intercepted(path, grounds);
    let passthrough = grounds.passthrough;
    if is_ambiguous(path) && !is_registry_name(path) {
        // A path that some reader might take for one of ours never reaches the application, where
        // it would go without a key.
        return if ours.is_some() || is_near(&decoded(path)) || !passthrough {
            Err(Rejection::AmbiguousPath)
        } else {
            Ok(Place::Elsewhere)
        };
    }
    Ok(ours.unwrap_or(Place::Elsewhere))
}

fn intercepted(path: &str, grounds: &Grounds<'_>) -> Option<Place> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut segments = path.strip_prefix('/')?.split('/');
    match (segments.next()?, segments.next(), segments.next()) {
        ("mcp", None, _) => Some(Place::Mcp(Scope::All)),
        ("mcp", Some(name), None) => match ServerId::derive(name) {
            Ok(server) if !is_shared(name) => Some(Place::Mcp(Scope::One(server))),
            Ok(server) => rest(path, grounds).or(Some(Place::Mcp(Scope::One(server)))),
            Err(_) => rest(path, grounds),
        },
        (".well-known", Some("oauth-protected-resource"), _) => Some(Place::ResourceMetadata),
        (server, Some("mcp"), None) => {
            let server = ServerId::derive(server).ok()?;
            (!grounds.passthrough || (grounds.known)(&server)).then_some(Place::Mcp(Scope::One(server)))
        }
        // Beside an application these paths are its own.
        ("sessions" | "health", ..) if grounds.passthrough => None,
        _ => rest(path, grounds),
    }
}

/// People name servers so, and a REST surface has a path of that name. A body tells which is meant.
pub fn is_shared(segment: &str) -> bool {
    segment == "search"
}

fn rest(path: &str, grounds: &Grounds<'_>) -> Option<Place> {
    Spot::find(path, grounds.surfaces).map(Place::Rest)
}

/// Names of the official registry hold a slash, which stands escaped in its paths.
fn is_registry_name(path: &str) -> bool {
    let Some(name) = path.strip_prefix("/v0.1/servers/") else {
        return false;
    };
    let plain = name.replacen("%2F", "-", 1).replacen("%2f", "-", 1);
    name.matches('%').count() <= 1 && !is_ambiguous(&format!("/{plain}"))
}

/// Whether a path lies under a prefix of ours although no surface answers there; such a path is
/// 404 for us and never the application's.
pub fn is_reserved(path: &str, surfaces: Surfaces) -> bool {
    let surface = Surface::of_path(path);
    let is_under = path == "/mcp" || path.starts_with("/mcp/");
    is_under || !matches!(surface, Surface::Native | Surface::Oliverye) && surfaces.serve(surface)
}

/// Spellings that two readers may take for different paths.
fn is_ambiguous(path: &str) -> bool {
    !path.starts_with('/')
        || path.as_bytes().windows(2).any(|pair| pair == b"//")
        || path.bytes().any(|byte| matches!(byte, b'\\' | b';' | b'%'))
        || path.split('/').any(|segment| segment == "." || segment == "..")
}

/// Whether a segment might be read as `mcp`.
fn is_near(path: &str) -> bool {
    let segments = path.split(['/', '\\', ';']);
    let ours = ["mcp", "mcp-rest", "llmrouter"];
    let bare = |segment: &str| {
        let segment = segment.trim_matches(|c: char| !c.is_alphanumeric());
        ours.iter().any(|ours| segment.eq_ignore_ascii_case(ours))
    };
    segments.into_iter().any(bare)
}

/// Percent-escapes undone, and undone again where that makes new ones: what the most eager reader sees.
fn decoded(path: &str) -> String {
    let mut text = path.as_bytes().to_vec();
    for _ in 0..3 {
        text = undo_escapes(&text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn undo_escapes(text: &[u8]) -> Vec<u8> {
    let mut undone = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                undone.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                undone.push(first);
                rest = after;
            }
        }
    }
    undone
}

#[cfg(test)]
mod tests;
