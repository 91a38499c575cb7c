//! The canonical path: one reading of the request's target, for routing and for policy alike.

use crate::names::ServerId;
use crate::rejection::Rejection;

/// What a path means on the data listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An MCP endpoint.
    Mcp(Scope),
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
}

/// Reads a path. `known` tells whether an id is a configured server: with a passthrough behind us,
/// `/{server}/mcp` is ours only for those.
pub fn place(path: &str, known: impl Fn(&ServerId) -> bool, passthrough: bool) -> Result<Place, Rejection> {
    let ours = intercepted(path, &known, passthrough);
    if is_ambiguous(path) {
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

fn intercepted(path: &str, known: impl Fn(&ServerId) -> bool, passthrough: bool) -> Option<Place> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut segments = path.strip_prefix('/')?.split('/');
    match (segments.next()?, segments.next(), segments.next()) {
        ("mcp", None, _) => Some(Place::Mcp(Scope::All)),
        ("mcp", Some(server), None) => Some(Place::Mcp(Scope::One(ServerId::derive(server).ok()?))),
        (".well-known", Some("oauth-protected-resource"), _) => Some(Place::ResourceMetadata),
        (server, Some("mcp"), None) => {
            let server = ServerId::derive(server).ok()?;
            (!passthrough || known(&server)).then_some(Place::Mcp(Scope::One(server)))
        }
        _ => None,
    }
}

/// Whether a path lies under a prefix of ours although no surface answers there; such a path is
/// 404 for us and never the application's.
pub fn is_reserved(path: &str) -> bool {
    path == "/mcp" || path.starts_with("/mcp/")
}

/// Spellings that two readers may take for different paths.
fn is_ambiguous(path: &str) -> bool {
    !path.starts_with('/')
        || path.contains("//")
        || path.contains(['\\', ';', '%'])
        || path.split('/').any(|segment| segment == "." || segment == "..")
}

/// Whether a segment might be read as `mcp`.
fn is_near(path: &str) -> bool {
    let segments = path.split(['/', '\\', ';']);
    let bare = |segment: &str| segment.trim_matches(|c: char| !c.is_alphanumeric()).eq_ignore_ascii_case("mcp");
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
