//! Permission: the one decision that lists, calls and routes all ask, so that what is listed can
//! be called and what can be called is listed.

use crate::auth::Principal;
use crate::catalog::Server;
use crate::names::ServerId;

/// Which servers a key reaches. A pattern is a server id in which `*` stands for any run of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Grant {
    #[default]
    Every,
    Matching(Vec<String>),
}

impl Grant {
    fn covers(&self, server: &ServerId) -> bool {
        match self {
            Grant::Every => true,
            Grant::Matching(patterns) => patterns.iter().any(|pattern| matches(pattern, server.as_str())),
        }
    }
}

/// The access groups that a key is in, where groups are enforced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Groups {
    /// Groups are labels, and keep nobody out.
    #[default]
    Advisory,
    Only(Vec<String>),
}

impl Groups {
    /// A server without groups is open to every key.
    fn admit(&self, groups: &[String]) -> bool {
        match self {
            Groups::Advisory => true,
            Groups::Only(own) => groups.is_empty() || groups.iter().any(|group| own.contains(group)),
        }
    }
}

/// May this principal see and call what this server offers?
pub fn execute(principal: &Principal, server: &Server) -> bool {
    // What was added to an application session is its owner's, and nobody else is asked about it.
    let is_granted = server.profile.set.is_some() || principal.grant().covers(&server.id);
    is_granted && principal.groups().admit(&server.profile.access_groups)
}

/// Glob matching without backtracking: each piece between stars is taken at its first place,
/// the last one at the end.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = rest.split('*').collect();
    let last = pieces.pop().unwrap_or_default();
    for piece in pieces {
        match text.split_once(piece) {
            Some((_, after)) => text = after,
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_match_any_run() {
        for (pattern, text, expected) in [
            ("search", "search", true),
            ("search", "search-2", false),
            ("files-*", "files-eu", true),
            ("files-*", "files", false),
            ("*", "anything", true),
            ("*-eu", "files-eu", true),
            ("*-eu", "files-eu-2", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} against {text}");
        }
    }
}
