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
        let near = path.to_ascii_lowercase().contains("mcp");
        return if ours.is_some() || near || !passthrough {
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
    let lower = path.to_ascii_lowercase();
    !path.starts_with('/')
        || path.contains("//")
        || path.contains('\\')
        || path.contains("..;")
        || path.contains(';')
        || ["%2f", "%5c", "%2e", "%00", "%25"]
            .iter()
            .any(|encoded| lower.contains(encoded))
        || path.split('/').any(|segment| segment == "." || segment == "..")
}

#[cfg(test)]
mod tests;
