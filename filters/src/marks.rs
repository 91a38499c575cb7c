//! Marks: where a client stands in streams that come from behind an endpoint of several servers. The
//! `id:` of such an event names each server's own, so that a resumed stream goes on at each of them. It is
//! sealed: what a client holds of it it can neither read, change nor lend to another session.

use crate::names::ServerId;
use crate::route::Listed;
use crate::seal::{Binding, Nonce, Sealer};
use crate::session::SessionKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;

/// The last event that came from one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    pub server: ServerId,
    /// Which of the server's sessions it belongs to.
    pub session: u32,
    /// As the server gave it.
    pub id: String,
}

/// What a `Last-Event-ID` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The stream of one request.
    Call(Mark),
    /// The stream that belongs to no request.
    Standing(Standing),
}

/// Where a client stands in the stream that belongs to no request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What was listed when it last heard of that.
    pub digests: Digests,
    pub marks: Vec<Mark>,
}

/// What a principal sees listed, in brief: tools, prompts, resources with their templates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digests(pub [u32; 3]);

/// What follows the `Last-Event-ID` of a client must fit into its head, whatever servers choose; sealed it is
/// a third longer.
const BYTES_MAX: usize = 16 * 1024;

/// Whose stream it is: an id is good for no other.
#[derive(Clone, Debug)]
pub struct Place {
    principal: String,
    session: String,
}

impl Place {
    pub fn new(principal: &str, session: SessionKey) -> Place {
        Place { principal: principal.to_owned(), session: format!("{session:032x}") }
    }

    fn binding(&self) -> Binding<'_> {
        Binding { purpose: "event", principal: &self.principal, scope: &self.session }
    }

    /// The id of an event as the client gets it.
    pub fn seal(&self, sealer: &Sealer, nonce: &Nonce, id: &str) -> Option<String> {
        sealer.seal(&self.binding(), nonce, id.as_bytes())
    }

    /// What a client's `Last-Event-ID` says.
    pub fn open(&self, sealer: &Sealer, sealed: &str) -> Option<Resume> {
        let plain = sealer.open(&self.binding(), sealed)?;
        Resume::read(std::str::from_utf8(&plain).ok()?)
    }
}

impl Resume {
    fn read(text: &str) -> Option<Resume> {
        if let Some(mark) = text.strip_prefix("call.") {
            return Mark::read(mark).map(Resume::Call);
        }
        let mut parts = text.strip_prefix("get.")?.split(',');
        let digests = Digests::read(parts.next()?)?;
        let marks = parts.map(Mark::read).collect::<Option<Vec<Mark>>>()?;
        Some(Resume::Standing(Standing { digests, marks }))
    }
}

impl Standing {
    /// What the next event is called; `None` where that would be too long.
    pub fn id(&self) -> Option<String> {
        let marks: String = self.marks.iter().map(|mark| format!(",{mark}")).collect();
        let id = format!("get.{}{marks}", self.digests);
        (id.len() <= BYTES_MAX).then_some(id)
    }

    pub fn of(&self, server: &ServerId) -> Option<&Mark> {
        self.marks.iter().find(|mark| mark.server == *server)
    }

    pub fn move_to(&mut self, mark: Mark) {
        match self.marks.iter_mut().find(|known| known.server == mark.server) {
            Some(known) => *known = mark,
            None => self.marks.push(mark),
        }
    }
}

impl Mark {
    /// The id of an event in the stream of one request.
    pub fn call_id(&self) -> Option<String> {
        let id = format!("call.{self}");
        (id.len() <= BYTES_MAX).then_some(id)
    }

    fn read(text: &str) -> Option<Mark> {
        let mut parts = text.splitn(3, '.');
        let server = parts.next()?;
        let derived = ServerId::derive(server).ok().filter(|id| id.as_str() == server)?;
        let session = u32::from_str_radix(parts.next()?, 16).ok()?;
        let id = String::from_utf8(URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok()?;
        // It becomes a header again.
        let is_fit = !id.chars().any(char::is_control);
        is_fit.then_some(Mark { server: derived, session, id })
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:08x}.{}", self.server, self.session, URL_SAFE_NO_PAD.encode(&self.id))
    }
}

impl Digests {
    /// The lists that are others than before.
    pub fn changed_since(self, before: Digests) -> impl Iterator<Item = Listed> {
        let pairs = Listed::EVERY.into_iter().zip(self.0.into_iter().zip(before.0));
        pairs.filter(|(_, (now, before))| now != before).map(|(list, _)| list)
    }

    fn read(text: &str) -> Option<Digests> {
        let mut digests = [0; 3];
        for (place, digest) in digests.iter_mut().enumerate() {
            *digest = u32::from_str_radix(text.get(place * 8..place * 8 + 8)?, 16).ok()?;
        }
        Some(Digests(digests))
    }
}

impl fmt::Display for Digests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|digest| write!(f, "{digest:08x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(server: &str, id: &str) -> Mark {
        Mark { server: ServerId::derive(server).unwrap(), session: 0xabc, id: id.to_owned() }
    }

    #[test]
    fn an_id_tells_where_each_server_stands() {
        let call = mark("a-1", "stream_1_0007");
        assert_eq!(Resume::read(&call.call_id().unwrap()), Some(Resume::Call(call)));
        let mut standing = Standing { digests: Digests([1, u32::MAX, 0]), marks: Vec::new() };
        for mark in [mark("a", "1"), mark("b", "ü/ ,."), mark("a", "2"), mark("c", "")] {
            standing.move_to(mark);
        }
        assert_eq!(standing.marks.len(), 3);
        assert_eq!(standing.of(&ServerId::derive("a").unwrap()).map(|mark| mark.id.as_str()), Some("2"));
        assert_eq!(Resume::read(&standing.id().unwrap()), Some(Resume::Standing(standing)));
        let long = Standing { marks: vec![mark("a", &"x".repeat(20_000))], ..Standing::default() };
        assert_eq!(long.id(), None);
    }

    #[test]
    fn an_id_is_good_for_its_session_alone() {
        let (sealer, place) = (Sealer::new(&[[1; 32]]), Place::new("app", 7));
        let call = mark("a", "1");
        let sealed = place.seal(&sealer, &[3; 24], &call.call_id().unwrap()).unwrap();
        assert!(!sealed.contains("call"), "{sealed}");
        assert_eq!(place.open(&sealer, &sealed), Some(Resume::Call(call.clone())));
        for other in [Place::new("app", 8), Place::new("other", 7)] {
            assert_eq!(other.open(&sealer, &sealed), None);
        }
        assert_eq!(place.open(&sealer, &call.call_id().unwrap()), None, "in clear it is none of ours");
    }

    #[test]
    fn what_is_none_of_ours_is_nothing() {
        for text in [
            "",
            "7",
            "call.",
            "call.a.0",
            "call.A.0.Nw",
            "get.",
            "get.0",
            "call.a.0.CgA",
            "get.zzzzzzzzzzzzzzzzzzzzzzzz",
        ] {
            assert_eq!(Resume::read(text), None, "{text:?}");
        }
    }
}
