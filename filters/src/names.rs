//! Names: server ids, and the public names of tools and prompts behind the aggregated `/mcp`.
//!
//! A public name depends on the server's id and the tool's name alone, never on the order of
//! registration, so that a client's allow rules keep their meaning.

use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Between server and tool; it cannot occur in a server id, so the first one always splits.
pub const SEPARATOR: &str = "__";

/// Model APIs take names of 64 characters at most.
pub const PUBLIC_NAME_MAX: usize = 64;

const SERVER_ID_MAX: usize = 32;
const EXTERNAL_ID_MAX: usize = 128;

/// Path segments with a meaning of their own, now or in a surface that is still to come. `search`
/// is not among them, because people name servers so: at `/mcp/search` a JSON-RPC body will be the
/// server's, and any other one the search surface's.
pub const RESERVED: [&str; 19] = [
    "servers",
    "tools",
    "resources",
    "prompts",
    "execute",
    "sse",
    "messages",
    "transport",
    "sessions",
    "oauth",
    "health",
    "registry",
    "mcp",
    "v1",
    "v0-1",
    "llmrouter",
    "mcp-rest",
    "admin",
    "openapi-json",
];

/// A server's id: `[a-z0-9-]{1,32}` and not reserved. Derived once from the id as it was given.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(Arc<str>);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadServerId {
    #[error("a server id is 1 to 128 characters of A-Z a-z 0-9 . _ -, this one is {0:?}")]
    Characters(String),
    #[error("{0:?} is a reserved word (it is a path of the gateway's own); choose another id")]
    Reserved(String),
}

impl ServerId {
    /// `Files.EU_1` becomes `files-eu-1`; what is longer than 32 keeps its ends around a hash.
    pub fn derive(external_id: &str) -> Result<ServerId, BadServerId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if external_id.is_empty() || external_id.len() > EXTERNAL_ID_MAX || !external_id.bytes().all(allowed) {
            return Err(BadServerId::Characters(external_id.to_owned()));
        }
        let is_derived = |byte: u8| !byte.is_ascii_uppercase() && !matches!(byte, b'.' | b'_');
        let lower = match external_id.bytes().all(is_derived) {
            true => Cow::Borrowed(external_id),
            false => Cow::Owned(external_id.to_ascii_lowercase().replace(['.', '_'], "-")),
        };
        if RESERVED.contains(&lower.as_ref()) {
            return Err(BadServerId::Reserved(external_id.to_owned()));
        }
        Ok(ServerId(match lower.len() <= SERVER_ID_MAX {
            true => lower.as_ref().into(),
            false => shorten(&lower, SERVER_ID_MAX, '-').into(),
        }))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How tools and prompts are named behind the aggregated `/mcp`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// Every name carries its server.
    #[default]
    Always,
    /// A name carries its server only where two servers have the same one.
    Conditional,
    /// Names stay bare; of two servers with the same one, the first by id has it.
    Never,
}

/// `<server>__<name>`, at most 64 characters.
pub fn public_name(server: &ServerId, name: &str) -> String {
    shorten(&format!("{server}{SEPARATOR}{name}"), PUBLIC_NAME_MAX, '_')
}

/// The name by which model APIs take a tool (`^[a-zA-Z0-9_-]{1,64}$`): its public name where they do.
pub fn function_name(public: &str) -> Cow<'_, str> {
    plain_name(public, PUBLIC_NAME_MAX)
}

/// A name of ASCII letters, digits, `_` and `-` alone. Where one has to be made, a hash of the
/// original is in it, so that names do not meet in what replaces their characters.
pub fn plain_name(name: &str, length_max: usize) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.len() <= length_max && name.chars().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let hash = short_hash(name);
    let fits = plain.len() + hash.len() < length_max;
    Cow::Owned(if fits { format!("{plain}_{hash}") } else { around(&plain, &hash, length_max, '_') })
}

/// A value of a server's (the id of a request, a task), so that it leads back to that server from
/// behind an endpoint of several.
pub fn tagged(server: &ServerId, value: &str) -> String {
    format!("{server}{SEPARATOR}{value}")
}

/// Splits a canonical name, or a tagged value, into what may be a server's id and the server's own.
pub fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once(SEPARATOR).filter(|(server, bare)| !server.is_empty() && !bare.is_empty())
}

/// The bare name, if `name` is one of the spellings that other gateways gave to this server's tools.
pub fn foreign_spelling<'n>(name: &'n str, server: &str) -> Option<&'n str> {
    let prefixed = |text: &'n str, separator: &str| text.strip_prefix(server)?.strip_prefix(separator);
    prefixed(name, SEPARATOR)
        .or_else(|| prefixed(name, "."))
        .or_else(|| prefixed(name, "-"))
        .or_else(|| prefixed(name.strip_prefix("mcp_")?, SEPARATOR))
        .filter(|bare| !bare.is_empty())
}

/// Keeps both ends around a hash of the whole, so that the result is stable and tells its origin.
fn shorten(name: &str, length_max: usize, joint: char) -> String {
    if name.chars().count() <= length_max {
        return name.to_owned();
    }
    around(name, &short_hash(name), length_max, joint)
}

fn around(name: &str, hash: &str, length_max: usize, joint: char) -> String {
    let kept = length_max.saturating_sub(hash.len() + 2);
    let (front, back) = (kept.div_ceil(2), kept / 2);
    let characters: Vec<char> = name.chars().collect();
    let head: String = characters.iter().take(front).collect();
    let tail: String = characters.iter().skip(characters.len().saturating_sub(back)).collect();
    format!("{head}{joint}{hash}{joint}{tail}")
}

fn short_hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
