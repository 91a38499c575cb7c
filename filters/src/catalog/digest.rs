//! What a principal sees listed, in brief, so that a stream can tell when it is another.

use super::{Kind, Offer, Snapshot};
use crate::auth::Principal;
use crate::era::Era;
use crate::marks::Digests;
use crate::path::Scope;
use crate::route::Listed;
use sha2::{Digest, Sha256};

impl Offer {
    /// Whether a list is the same in both.
    pub fn lists_as(&self, other: &Offer, list: Listed) -> bool {
        kinds(list).all(|kind| self.digest(kind) == other.digest(kind))
    }
}

fn kinds(list: Listed) -> impl Iterator<Item = Kind> {
    Kind::EVERY.into_iter().filter(move |kind| kind.capability() == list.capability())
}

impl Snapshot {
    /// In the order of [`Listed::EVERY`]. A server that says that a list has changed is believed, also
    /// where nothing of that shows.
    pub fn digests(&self, era: Era, principal: &Principal, scope: &Scope) -> Digests {
        let mut hashes = Listed::EVERY.map(|_| Sha256::new_with_prefix([self.naming as u8]));
        for server in self.visible(principal, scope).filter(|server| server.speaks(era)) {
            let Some(offer) = &server.offer else { continue };
            for ((list, hash), announced) in Listed::EVERY.iter().zip(&mut hashes).zip(server.announced) {
                hash.update(server.id.as_str());
                hash.update(announced.to_be_bytes());
                kinds(*list).for_each(|kind| hash.update(offer.digest(kind)));
            }
        }
        let brief = |hash: Sha256| hash.finalize().iter().take(4).fold(0, |brief, byte| brief << 8 | u32::from(*byte));
        Digests(hashes.map(brief))
    }
}
