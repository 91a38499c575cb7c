//! Where to look for a tool whose name is not written as lists show it: an index over what servers are called
//! and over the servers' own names, so that not every server need be asked.

use super::{Kind, Server};
use crate::names::SEPARATOR;
use std::collections::HashMap;

/// Between what a server is called and what the tool is called, in any known spelling.
const SEPARATORS: [&str; 3] = [SEPARATOR, ".", "-"];

/// What other gateways put before the server.
const FOREIGN: &str = "mcp_";

#[derive(Debug, Default)]
pub(super) struct Spellings {
    /// Places of servers, ascending, by everything that they are called.
    called: HashMap<String, Vec<usize>>,
    /// The longest of those.
    called_bytes_max: usize,
    /// Places of servers, ascending, by what their entries are called.
    holding: [HashMap<String, Vec<usize>>; 4],
}

impl Spellings {
    pub(super) fn build(servers: &[Server]) -> Spellings {
        let mut spellings = Spellings::default();
        for (at, server) in servers.iter().enumerate() {
            server.called().for_each(|called| spellings.call(called, at));
            for kind in Kind::EVERY.into_iter().filter(|kind| kind.is_renamed()) {
                let entries = server.offer.iter().flat_map(|offer| offer.entries(kind));
                if let Some(holding) = spellings.holding.get_mut(kind as usize) {
                    entries.for_each(|entry| holding.entry(entry.key.clone()).or_default().push(at));
                }
            }
        }
        spellings
    }

    fn call(&mut self, called: &str, at: usize) {
        self.called_bytes_max = self.called_bytes_max.max(called.len());
        let servers = self.called.entry(called.to_owned()).or_default();
        if servers.last() != Some(&at) {
            servers.push(at);
        }
    }

    /// The servers that are called so.
    pub(super) fn called(&self, text: &str) -> &[usize] {
        self.called.get(text).map_or(&[], Vec::as_slice)
    }

    /// The servers that have something of this name of their own.
    pub(super) fn holding(&self, kind: Kind, name: &str) -> &[usize] {
        self.holding.get(kind as usize).and_then(|holding| holding.get(name)).map_or(&[], Vec::as_slice)
    }

    /// The servers of which a name may speak, by what stands before any separator in it.
    pub(super) fn prefixing<'s>(&'s self, name: &'s str) -> impl Iterator<Item = usize> + 's {
        let texts = [Some(name), name.strip_prefix(FOREIGN)].into_iter().flatten();
        let prefixes = texts.flat_map(|text| {
            let ends = (1..text.len()).take(self.called_bytes_max);
            let parts = ends.filter_map(|end| text.split_at_checked(end));
            parts.filter(|(_, rest)| SEPARATORS.iter().any(|separator| rest.starts_with(separator)))
        });
        prefixes.flat_map(|(prefix, _)| self.called(prefix)).copied()
    }
}
