//! Function names: how model APIs call tools whose names they do not take.

use super::target::{Asking, Target};
use super::{Entry, Kind, Server, Snapshot};
use crate::rejection::Rejection;

impl Snapshot {
    /// The tools whose public names become this function name, at the endpoint of all servers.
    pub(super) fn functions(&self, asking: &Asking<'_>, name: &str) -> Vec<Target<'_>> {
        let found = function_names(self, asking.kind, name).iter().filter_map(|public| {
            let target = self.canonical(asking, public)?;
            Some(Target { rename: target.rename.or_else(|| Some(public.clone())), ..target })
        });
        found.collect()
    }

    /// The tool whose own name becomes this function name, at the endpoint of its server.
    pub(super) fn function_of<'s>(
        &self,
        server: &'s Server,
        kind: Kind,
        name: &str,
    ) -> Result<Option<Target<'s>>, Rejection> {
        let entries = function_names(self, kind, name).iter().filter_map(|bare| server.entry(kind, bare));
        let entries: Vec<&Entry> = entries.collect();
        match entries.as_slice() {
            [] => Ok(None),
            [entry] => Ok(Some(Target { server, rename: Some(entry.key.clone()), entry: Some(entry) })),
            several => {
                let candidates = several.iter().map(|entry| entry.key.clone()).collect();
                Err(Rejection::Ambiguous { name: name.to_owned(), candidates })
            }
        }
    }
}

/// Models call tools, nothing else.
fn function_names<'s>(snapshot: &'s Snapshot, kind: Kind, name: &str) -> &'s [String] {
    if kind == Kind::Tool { snapshot.index.function_names(name) } else { &[] }
}
