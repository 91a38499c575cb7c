//! The keys by their digests, found in the same time however many there are.

use super::{KeyDigest, KeyRecord, Principal};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use subtle::ConstantTimeEq;

/// Principals by the digests of their keys.
#[derive(Debug)]
pub struct Keys(HashMap<Digested, Principal, BuildHasherDefault<Leading>>);

impl Keys {
    pub(super) fn new(records: &[KeyRecord]) -> Keys {
        let entry = |record: &KeyRecord| {
            let principal = Principal::new(record.id.clone(), record.role, record.grant.clone(), record.groups.clone());
            (Digested(record.digest), principal)
        };
        Keys(records.iter().map(entry).collect())
    }

    pub(super) fn find(&self, digest: KeyDigest) -> Option<&Principal> {
        self.0.get(&Digested(digest))
    }

    pub(super) fn principals(&self) -> impl Iterator<Item = &Principal> {
        self.0.values()
    }
}

/// A digest is its own hash: to choose where it goes in the map, somebody would have to choose what SHA-256
/// gives. The last word is a comparison in constant time.
#[derive(Debug)]
struct Digested(KeyDigest);

impl PartialEq for Digested {
    fn eq(&self, other: &Digested) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digested {}

impl Hash for Digested {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let leading = self.0.first_chunk().copied().unwrap_or_default();
        state.write_u64(u64::from_le_bytes(leading));
    }
}

/// Takes the one number that it is given for the hash.
#[derive(Default)]
struct Leading(u64);

impl Hasher for Leading {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    /// For whoever hashes something else: as good as any, if not by design.
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }
}
