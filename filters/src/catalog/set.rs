//! A set of servers that an application uses as its own: what `X-Session-ID` names. It is no session
//! of a transport, and is good for requests of every era.

use crate::names::ServerId;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

/// One set. Times are seconds since 1970.
#[derive(Debug, Default)]
pub struct Set {
    /// The id of whoever made it; it is nobody else's.
    pub principal: String,
    pub created: u64,
    pub expires: u64,
    pub metadata: Map<String, Value>,
    /// Servers that others use as well. Those that were added to the set say so themselves.
    pub members: BTreeSet<ServerId>,
    used: AtomicU64,
}

impl Set {
    pub fn new(principal: &str, created: u64, expires: u64) -> Set {
        Set { principal: principal.to_owned(), created, expires, used: AtomicU64::new(created), ..Set::default() }
    }

    pub fn last_used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub fn touch(&self, now: u64) {
        self.used.store(now, Ordering::Relaxed);
    }
}
