//! A legacy session as its client holds it: sealed, bound to the principal and to one endpoint, so
//! that `initialize` needs no store. What servers answered lives in the binary's session store.

mod recent;

pub use recent::Recent;

use crate::auth::Principal;
use crate::era::LEGACY;
use crate::path::Scope;
use crate::seal::{Binding, Nonce, Sealer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The random part of a session id: names it in stores and logs.
pub type SessionKey = u128;

/// A sealed id is at most 512 bytes, so what it holds is at most this.
const PLAIN_BYTES_MAX: usize = 340;

#[derive(Clone, Debug)]
pub struct Session {
    pub key: SessionKey,
    pub scope: Scope,
    /// The revision that `initialize` settled on.
    pub version: String,
    /// The client's, as it sent them (cut to the names where they are too long to carry).
    pub capabilities: String,
    pub client_info: String,
    /// Seconds since 1970.
    pub issued: u64,
}

#[derive(Serialize, Deserialize)]
struct Sealed<'s> {
    k: SessionKey,
    v: &'s str,
    t: u64,
    #[serde(borrow)]
    c: &'s RawValue,
    #[serde(borrow)]
    i: &'s RawValue,
}

impl Session {
    /// What the upstream sessions of a principal's REST calls hang on: its own, and the same for all of
    /// them, because REST callers know of no session. An application session has its own.
    pub fn of_rest(principal: &Principal, scope: &Scope, client_info: &str) -> Session {
        let set = if let Scope::Set(set) = scope { set.as_str() } else { "" };
        let digest = Sha256::digest(format!("rest\0{}\0{set}", principal.id()));
        let key = digest.iter().take(16).fold(0, |key: u128, byte| key << 8 | u128::from(*byte));
        Session {
            key,
            scope: Scope::All,
            version: LEGACY[0].to_owned(),
            capabilities: "{}".to_owned(),
            client_info: client_info.to_owned(),
            issued: 0,
        }
    }

    /// Whether no client was ever given it.
    pub fn is_rest(&self) -> bool {
        self.issued == 0
    }

    /// The id that the client gets.
    pub fn seal(&self, sealer: &Sealer, principal: &Principal, nonce: &Nonce) -> Option<String> {
        let whole = self.encode(&self.capabilities, &self.client_info)?;
        let plain = if whole.len() <= PLAIN_BYTES_MAX {
            whole
        } else {
            self.encode(&names_only(&self.capabilities), r#"{"name":"client","version":"0"}"#)?
        };
        sealer.seal(&binding(principal, &self.scope), nonce, plain.as_bytes())
    }

    /// The session behind an id, if this principal was given it at this endpoint.
    pub fn open(sealer: &Sealer, principal: &Principal, scope: &Scope, sealed: &str) -> Option<Session> {
        let plain = sealer.open(&binding(principal, scope), sealed)?;
        let content: Sealed<'_> = serde_json::from_slice(&plain).ok()?;
        Some(Session {
            key: content.k,
            scope: scope.clone(),
            version: content.v.to_owned(),
            capabilities: content.c.get().to_owned(),
            client_info: content.i.get().to_owned(),
            issued: content.t,
        })
    }

    pub fn age(&self, now: u64) -> Duration {
        Duration::from_secs(now.saturating_sub(self.issued))
    }

    fn encode(&self, capabilities: &str, client_info: &str) -> Option<String> {
        let content = Sealed {
            k: self.key,
            v: &self.version,
            t: self.issued,
            c: serde_json::from_str(capabilities).ok()?,
            i: serde_json::from_str(client_info).ok()?,
        };
        serde_json::to_string(&content).ok()
    }
}

fn binding<'b>(principal: &'b Principal, scope: &'b Scope) -> Binding<'b> {
    let scope = match scope {
        Scope::All => "",
        Scope::One(server) => server.as_str(),
        // No legacy session is ever opened there.
        Scope::Set(set) => set.as_str(),
    };
    Binding { purpose: "session", principal: principal.id(), scope }
}

/// The capabilities that the revisions know, without their settings.
fn names_only(capabilities: &str) -> String {
    let sent: serde_json::Map<String, serde_json::Value> = serde_json::from_str(capabilities).unwrap_or_default();
    let known = ["roots", "sampling", "elicitation", "tasks"].into_iter().filter(|name| sent.contains_key(*name));
    let kept: Vec<String> = known.map(|name| format!("\"{name}\":{{}}")).collect();
    format!("{{{}}}", kept.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{KeyRecord, Keyring, Role, digest};
    use crate::permit::{Grant, Groups};

    fn principal(id: &str) -> Principal {
        let (grant, groups) = (Grant::Every, Groups::Advisory);
        let record = KeyRecord { id: id.into(), digest: digest(b"key"), role: Role::User, grant, groups };
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::AUTHORIZATION, "Bearer key".parse().unwrap());
        Keyring::new(&[record], Groups::Advisory).authenticate(&headers).unwrap()
    }

    fn session(capabilities: &str) -> Session {
        Session {
            key: u128::MAX,
            scope: Scope::All,
            version: "2025-11-25".into(),
            capabilities: capabilities.into(),
            client_info: r#"{"name":"c","version":"1"}"#.into(),
            issued: 1_000,
        }
    }

    #[test]
    fn it_comes_back_to_its_owner() {
        let sealer = Sealer::new(&[[1; 32]]);
        let id = session(r#"{"roots":{"listChanged":true}}"#).seal(&sealer, &principal("app"), &[3; 24]).unwrap();
        let recent = Recent::default();
        let open = |principal: &Principal, scope: &Scope| {
            let opened = Session::open(&sealer, principal, scope, &id);
            // The second time it is remembered, or not.
            for _ in 0..2 {
                let again = recent.open(&sealer, principal, scope, &id);
                assert_eq!(again.map(|session| session.key), opened.as_ref().map(|session| session.key));
            }
            opened
        };
        let opened = open(&principal("app"), &Scope::All).unwrap();
        assert_eq!(opened.key, u128::MAX);
        assert_eq!(opened.capabilities, r#"{"roots":{"listChanged":true}}"#);
        assert!(open(&principal("other"), &Scope::All).is_none());
        let elsewhere = Scope::One(crate::names::ServerId::derive("search").unwrap());
        assert!(open(&principal("app"), &elsewhere).is_none());
        assert_eq!((opened.age(2_000), opened.age(0)), (Duration::from_secs(1_000), Duration::ZERO));
    }

    #[test]
    fn an_id_is_at_most_512_bytes() {
        let long = format!(r#"{{"experimental":{{"x":"{}"}},"sampling":{{"tools":{{}}}}}}"#, "y".repeat(4_000));
        let sealer = Sealer::new(&[[1; 32]]);
        let id = session(&long).seal(&sealer, &principal("app"), &[3; 24]).unwrap();
        assert!(id.len() <= 512, "{}", id.len());
        let opened = Session::open(&sealer, &principal("app"), &Scope::All, &id).unwrap();
        assert_eq!(opened.capabilities, r#"{"sampling":{}}"#);
    }
}
