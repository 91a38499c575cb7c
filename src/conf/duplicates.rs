//! Duplicates: what may stand in a file only once, and on which line it did.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

pub(super) struct Duplicates<T>(HashMap<T, usize>);

impl<T: Hash + Eq> Duplicates<T> {
    pub(super) fn new() -> Duplicates<T> {
        Duplicates(HashMap::new())
    }

    /// The line where the value stood first, if it did.
    pub(super) fn first(&mut self, value: T, line: usize) -> Option<usize> {
        match self.0.entry(value) {
            Entry::Occupied(first) => Some(*first.get()),
            Entry::Vacant(free) => {
                free.insert(line);
                None
            }
        }
    }
}
