//! What a path names: the rows that fit it, and what stands in their braces.

use super::{Row, Surface, Surfaces, litellm, rows};
use http::Method;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    rows: Vec<&'static Row>,
    parameters: Vec<String>,
}

impl Spot {
    /// The rows at a path, of the surfaces that are served.
    pub fn find(path: &str, surfaces: Surfaces) -> Option<Spot> {
        // RouteIQ serves its management under both prefixes.
        let path = path.strip_prefix("/v1").filter(|rest| rest.starts_with("/llmrouter/")).unwrap_or(path);
        let mut found: Option<Spot> = None;
        for row in rows().filter(|row| surfaces.serve(row.surface)) {
            // These words are oliverye's, also where it is switched off.
            if row.path == "/mcp/servers/{id}" && matches!(path, "/mcp/servers/add" | "/mcp/servers/remove") {
                continue;
            }
            let Some(parameters) = parameters(row.path, path) else {
                continue;
            };
            if row.path == litellm::PROXY && !litellm::is_proxied(&parameters) {
                continue;
            }
            match &mut found {
                Some(spot) if spot.parameters.len() == parameters.len() => spot.rows.push(row),
                // A word says more than a place for any word.
                Some(spot) if spot.parameters.len() < parameters.len() => {}
                _ => found = Some(Spot { rows: vec![row], parameters }),
            }
        }
        found
    }

    /// The row of a verb, of the surface that is preferred where two have one; HEAD is GET without a
    /// body.
    pub fn row(&self, verb: &Method, preferred: Option<Surface>) -> Option<&'static Row> {
        let verb = if verb == Method::HEAD { &Method::GET } else { verb };
        let mut rows = self.rows.iter().filter(|row| row.verb == *verb);
        let first = rows.next().copied();
        first
            .filter(|row| Some(row.surface) == preferred)
            .or_else(|| rows.find(|row| Some(row.surface) == preferred).copied())
            .or(first)
    }

    /// The verbs that are served, for `Allow`.
    pub fn allow(&self) -> String {
        let mut verbs: Vec<&str> = self.rows.iter().map(|row| row.verb.as_str()).collect();
        if verbs.contains(&"GET") {
            verbs.push("HEAD");
        }
        verbs.sort_unstable();
        verbs.dedup();
        verbs.join(", ")
    }

    pub fn into_parameters(self) -> Vec<String> {
        self.parameters
    }
}

/// What stands in the place of a pattern's braces, if the path fits.
fn parameters(pattern: &str, path: &str) -> Option<Vec<String>> {
    let mut parameters = Vec::new();
    let mut segments = path.split('/');
    for wanted in pattern.split('/') {
        let segment = segments.next()?;
        match wanted.starts_with('{') {
            true if segment.is_empty() => return None,
            true => parameters.push(segment.to_owned()),
            false if wanted == segment => {}
            false => return None,
        }
    }
    segments.next().is_none().then_some(parameters)
}
