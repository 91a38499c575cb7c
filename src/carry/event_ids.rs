//! Ids of events behind an endpoint of several servers: sealed, for one session.

use crate::answer::random;
use crate::gateway::Gateway;
use std::sync::Arc;
use tollbridge_filters::Filters;
use tollbridge_filters::auth::Principal;
use tollbridge_filters::marks::Place;
use tollbridge_filters::session::SessionKey;

pub(super) struct EventIds {
    filters: Arc<Filters>,
    place: Place,
}

impl EventIds {
    pub(super) fn of(gateway: &Gateway, principal: &Principal, session: SessionKey) -> EventIds {
        EventIds { filters: Arc::clone(&gateway.live().filters), place: Place::new(principal.id(), session) }
    }

    /// As the client gets it.
    pub(super) fn seal(&self, id: &str) -> Option<String> {
        self.place.seal(&self.filters.sealer, &random(|nonce| nonce), id)
    }
}
