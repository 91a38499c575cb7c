//! What is answered from the snapshot, without asking anybody: `server/discover`, `initialize`,
//! `ping`, every list, and tools as model APIs and client generators want them described.

pub mod definitions;
mod introduction;
mod list;
pub mod openapi;
mod rest;
mod search;

pub use list::Lists;
pub use rest::{Telling, differences};
pub use search::Searches;

use crate::clock;
use crate::gateway::Gateway;
use bytes::Bytes;
use tollbridge_filters::catalog::{Kind, Snapshot};
use tollbridge_filters::jsonrpc::Envelope;
use tollbridge_filters::path::Scope;
use tollbridge_filters::route::{Answer, Question};
use tollbridge_filters::session::Session;

/// An answer, ready to be written.
pub struct Answered {
    /// `None`: 202, nothing to say.
    pub body: Option<Body>,
    /// The session id that `initialize` gives out.
    pub session: Option<String>,
}

/// A body in two pieces, so that a long list is never copied for the id before it.
pub struct Body {
    pub front: Bytes,
    pub rest: Bytes,
}

pub fn answer(gateway: &Gateway, snapshot: &Snapshot, answer: &Answer) -> Answered {
    let result = match &answer.question {
        Question::Nothing => {
            return Answered { body: None, session: None };
        }
        Question::Ping => Bytes::from_static(b"{}"),
        Question::Discover => introduction::discover(snapshot, answer),
        Question::SearchTools { query, most } => search::answer(gateway, snapshot, answer, query, *most),
        Question::List { kind: Kind::Tool, .. } if stands_for_all(gateway, answer) => {
            list::meta_tools(snapshot, answer).into()
        }
        Question::List { kind, after } => {
            let page = gateway.live().conf.limits.page;
            let page = gateway.lists.page(snapshot, answer, *kind, after.as_deref(), page);
            return Answered { body: Some(Body::closed(answer, page)), session: None };
        }
        Question::Initialize(version) => return initialize(gateway, snapshot, answer, version),
    };
    Answered { body: Some(Body::result(answer, result)), session: None }
}

/// Whether two tools stand for all of them there.
fn stands_for_all(gateway: &Gateway, answer: &Answer) -> bool {
    gateway.live().filters.meta_tools && answer.scope == Scope::All
}

fn initialize(gateway: &Gateway, snapshot: &Snapshot, answer: &Answer, version: &str) -> Answered {
    let result = introduction::initialize(snapshot, answer, version);
    let session = Session {
        key: gateway.sessions.new_key(),
        scope: answer.scope.clone(),
        version: version.to_owned(),
        capabilities: answer.envelope.capabilities().unwrap_or("{}").to_owned(),
        client_info: answer.envelope.client_info().unwrap_or("{}").to_owned(),
        issued: clock::now(),
    };
    let session = session.seal(&gateway.live().filters.sealer, &answer.principal, &random(|nonce| nonce));
    Answered { body: Some(Body::result(answer, result)), session }
}

/// Fresh randomness from the operating system. Without it no session id is safe, and there is
/// nothing better to do than to end the process.
pub fn random<const N: usize, T>(make: impl FnOnce([u8; N]) -> T) -> T {
    let mut bytes = [0; N];
    if let Err(error) = getrandom::fill(&mut bytes) {
        tracing::error!(%error, "the operating system gives no randomness");
        std::process::abort();
    }
    make(bytes)
}

impl Body {
    fn result(answer: &Answer, result: Bytes) -> Body {
        Body::closed(answer, [result.as_ref(), b"}"].concat().into())
    }

    /// A result that has what closes the answer behind it.
    fn closed(answer: &Answer, rest: Bytes) -> Body {
        let id = answer.envelope.id().unwrap_or("null");
        Body { front: format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"#).into(), rest }
    }

    /// The answer to a request that asks for nothing but to be done.
    pub fn empty_result(envelope: &Envelope) -> Body {
        let id = envelope.id().unwrap_or("null");
        Body { front: format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into(), rest: Bytes::new() }
    }

    pub fn bytes(&self) -> usize {
        self.front.len() + self.rest.len()
    }
}
