//! `subscriptions/listen` behind an endpoint of several servers: who is asked to tell what.

use super::{Request, missing};
use crate::Admitted;
use crate::names::ServerId;
use crate::rejection::Rejection;
use crate::route::{Listed, Listen, Part, Route};
use crate::tags;
use serde_json::{Map, Value};

/// Of one subscription; each is kept by a server for as long as the client listens.
const NAMES_MAX: usize = 1_000;

impl Request<'_> {
    pub(super) fn listen(self) -> Result<Route, Rejection> {
        let wanted = self.envelope.notifications().ok_or_else(|| missing("params.notifications"))?;
        let wanted: Map<String, Value> = serde_json::from_str(wanted)
            .map_err(|_| Rejection::InvalidParams("params.notifications is no object".to_owned()))?;
        let lists = Listed::EVERY.into_iter().filter(|list| wanted.get(list.filter()) == Some(&Value::Bool(true)));
        let lists = lists.filter(|list| self.offers(list.capability())).collect();
        let mut parts = Vec::new();
        for uri in names(&wanted, "resourceSubscriptions")? {
            self.subscribe(uri, &mut parts);
        }
        for task in names(&wanted, "taskIds")? {
            self.follow(task, &mut parts);
        }
        let Admitted { principal, scope } = self.admitted.clone();
        Ok(Route::Listen(Box::new(Listen { principal, scope, envelope: self.envelope, lists, parts })))
    }

    fn offers(&self, capability: &str) -> bool {
        let Admitted { principal, scope } = self.admitted;
        let mut speaking = self.snapshot.visible(principal, scope).filter(|server| server.speaks(self.era));
        speaking.any(|server| server.offer.as_ref().is_some_and(|offer| offer.capabilities.contains_key(capability)))
    }

    /// Whoever may have the resource is asked; that a server has it, it says by telling of it.
    fn subscribe(&self, uri: &str, parts: &mut Vec<Part>) {
        let Admitted { principal, scope } = self.admitted;
        // What nobody has is left out of what is acknowledged.
        let holders = self.snapshot.holders(uri, self.era, principal, scope).unwrap_or_default();
        for server in holders.into_iter().filter(|id| self.snapshot.takes_subscriptions(id)) {
            Part::of(server, parts, |part| part.uris.push(uri.to_owned()));
        }
    }

    fn follow(&self, tagged: &str, parts: &mut Vec<Part>) {
        let Admitted { principal, scope } = self.admitted;
        let Some((server, task)) = tags::untag(tagged) else { return };
        if self.snapshot.seen(&server, principal, scope).is_some_and(|known| known.speaks(self.era)) {
            Part::of(server, parts, |part| part.tasks.push(task.to_owned()));
        }
    }
}

impl Part {
    /// Adds to the part of a server, which is begun when it is first needed.
    fn of(server: ServerId, parts: &mut Vec<Part>, add: impl FnOnce(&mut Part)) {
        match parts.iter_mut().find(|part| part.server == server) {
            Some(part) => add(part),
            None => {
                let mut part = Part { server, uris: Vec::new(), tasks: Vec::new() };
                add(&mut part);
                parts.push(part);
            }
        }
    }
}

fn names<'w>(wanted: &'w Map<String, Value>, member: &str) -> Result<Vec<&'w str>, Rejection> {
    let wrong = |what: &str| Rejection::InvalidParams(format!("params.notifications.{member} {what}"));
    let names = match wanted.get(member) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(names) => names.as_array().ok_or_else(|| wrong("is no array"))?,
    };
    if names.len() > NAMES_MAX {
        return Err(wrong(&format!("names more than {NAMES_MAX}")));
    }
    names.iter().map(|name| name.as_str().ok_or_else(|| wrong("holds what is no string"))).collect()
}
