//! Sessions that were opened lately. Opening one anew gives the same, at the price of the rest of a decision.

use super::Session;
use crate::auth::Principal;
use crate::path::Scope;
use crate::seal::Sealer;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So that threads hardly wait for each other.
const SHARDS: usize = 16;

/// Twice as many are kept at most: those since so many others came, and those before.
const SHARD_MAX: usize = 256;

/// Those that one set of keys has opened; it ends with that.
#[derive(Default)]
pub struct Recent {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

#[derive(Default)]
struct Shard {
    young: HashMap<Box<str>, Known>,
    old: HashMap<Box<str>, Known>,
}

struct Known {
    owner: Principal,
    session: Arc<Session>,
}

impl Recent {
    /// As [`Session::open`], which is asked where nothing is remembered.
    pub fn open(&self, sealer: &Sealer, owner: &Principal, scope: &Scope, sealed: &str) -> Option<Arc<Session>> {
        if let Some(known) = self.find(sealed, owner, scope) {
            return Some(known);
        }
        let session = Arc::new(Session::open(sealer, owner, scope, sealed)?);
        let known = Known { owner: owner.clone(), session: Arc::clone(&session) };
        self.shard(sealed).keep(sealed.into(), known);
        Some(session)
    }

    /// What was opened before for this principal at this place.
    fn find(&self, sealed: &str, owner: &Principal, scope: &Scope) -> Option<Arc<Session>> {
        let mut shard = self.shard(sealed);
        let is_theirs = |known: &&Known| known.owner.id() == owner.id() && known.session.scope == *scope;
        if let Some(known) = shard.young.get(sealed) {
            return Some(known).filter(is_theirs).map(|known| Arc::clone(&known.session));
        }
        let (sealed, known) = shard.old.remove_entry(sealed)?;
        let found = Some(&known).filter(is_theirs).map(|known| Arc::clone(&known.session));
        shard.keep(sealed, known);
        found
    }

    fn shard(&self, sealed: &str) -> MutexGuard<'_, Shard> {
        // What ends an id is as good as random, and enough to tell shards apart.
        let end = sealed.as_bytes().last_chunk::<8>();
        let at = usize::try_from(self.hasher.hash_one(end) % SHARDS as u64).unwrap_or_default();
        let [first, ..] = &self.shards;
        // Nothing here panics while it holds a lock, and if it did, the maps would still be whole.
        self.shards.get(at).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn keep(&mut self, sealed: Box<str>, known: Known) {
        if self.young.len() >= SHARD_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(sealed, known);
    }
}
