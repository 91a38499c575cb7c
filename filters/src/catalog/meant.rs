//! Which tool a REST caller means.

use super::{Entry, Kind, Server, Snapshot};
use crate::auth::Principal;
use crate::path::Scope;
use crate::rejection::Rejection;

/// A tool that a REST caller means.
#[derive(Clone, Copy, Debug)]
pub struct Meant<'s> {
    pub server: &'s Server,
    /// The server's own name for it.
    pub name: &'s str,
    pub entry: &'s Entry,
}

impl Snapshot {
    /// Finds the tool that a REST caller names, in whichever spelling; its era is the server's business.
    pub fn find<'s>(&'s self, name: &str, principal: &Principal, scope: &Scope) -> Result<Meant<'s>, Rejection> {
        let mut found = self.meant(name, principal, scope);
        match found.as_slice() {
            [] => Err(Rejection::UnknownTool(name.to_owned())),
            [_] => found.pop().ok_or_else(|| Rejection::UnknownTool(name.to_owned())),
            several => {
                let public = |meant: &Meant<'_>| self.public_name(&meant.server.id, meant.name);
                let candidates = several.iter().map(public).collect();
                Err(Rejection::Ambiguous { name: name.to_owned(), candidates })
            }
        }
    }

    fn meant<'s>(&'s self, name: &str, principal: &Principal, scope: &Scope) -> Vec<Meant<'s>> {
        let tool = |(server, at): &(usize, usize)| {
            let server = self.servers.get(*server).filter(|server| self.shows(server, principal, scope))?;
            let entry = server.offer.as_ref()?.entries(Kind::Tool).get(*at)?;
            Some(Meant { server, name: &entry.key, entry })
        };
        let public = |name: &str| self.index.find(Kind::Tool, name).iter().filter_map(tool).next();
        if let Some(canonical) = public(name) {
            return vec![canonical];
        }
        let functions: Vec<Meant<'s>> =
            self.index.function_names(name).iter().filter_map(|name| public(name)).collect();
        if !functions.is_empty() {
            return functions;
        }
        let functions = || self.index.function_names(name).iter().map(String::as_str);
        let spelled = |server: &'s Server| {
            let entry = server.spellings(name).chain(functions()).find_map(|bare| server.tool(bare))?;
            Some(Meant { server, name: &entry.key, entry })
        };
        let bare = std::iter::once(name).chain(functions());
        let holding = bare.flat_map(|bare| self.spellings.holding(Kind::Tool, bare)).copied();
        self.spelling(name, holding, principal, scope).filter_map(spelled).collect()
    }
}
