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
        let slashes = path.bytes().filter(|byte| *byte == b'/').count();
        let mut found: Option<(Vec<&'static Row>, Vec<&str>)> = None;
        for row in rows().filter(|row| row.fits(path, slashes) && surfaces.serve(row.surface)) {
            // These words are oliverye's, also where it is switched off.
            if row.path == "/mcp/servers/{id}" && matches!(path, "/mcp/servers/add" | "/mcp/servers/remove") {
                continue;
            }
            match &mut found {
                // A word says more than a place for any word.
                Some((_, known)) if known.len() < row.parameter_count() => {}
                _ if row.path == litellm::PROXY && !litellm::is_proxied(&row.parameters(path)) => {}
                Some((rows, known)) if known.len() == row.parameter_count() => rows.push(row),
                _ => found = Some((vec![row], row.parameters(path))),
            }
        }
        let (rows, parameters) = found?;
        Some(Spot { rows, parameters: parameters.into_iter().map(str::to_owned).collect() })
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
