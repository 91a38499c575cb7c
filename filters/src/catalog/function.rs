//! Function names: how model APIs call tools whose names they do not take.

use super::{Asking, Kind, Snapshot, Target};
use crate::names::ServerId;
use crate::rejection::Rejection;

impl Snapshot {
    /// The tools whose public names become this function name, at the endpoint of all servers.
    pub(super) fn functions(&self, asking: &Asking<'_>, name: &str) -> Vec<Target> {
        let found = function_names(self, asking.kind, name).iter().filter_map(|public| {
            let target = self.canonical(asking, public)?;
            Some(Target { rename: target.rename.or_else(|| Some(public.clone())), ..target })
        });
        found.collect()
    }

    /// The tool whose own name becomes this function name, at the endpoint of its server.
    pub(super) fn function_of(&self, server: &ServerId, kind: Kind, name: &str) -> Result<Option<Target>, Rejection> {
        let names = function_names(self, kind, name).iter().filter(|bare| self.entry(server, kind, bare).is_some());
        let names: Vec<&String> = names.collect();
        match names.as_slice() {
            [] => Ok(None),
            [bare] => Ok(Some(Target { server: server.clone(), rename: Some((*bare).clone()), listed: true })),
            several => {
                let candidates = several.iter().map(|bare| (*bare).clone()).collect();
                Err(Rejection::Ambiguous { name: name.to_owned(), candidates })
            }
        }
    }
}

/// Models call tools, nothing else.
fn function_names<'s>(snapshot: &'s Snapshot, kind: Kind, name: &str) -> &'s [String] {
    if kind == Kind::Tool { snapshot.index.function_names(name) } else { &[] }
}
