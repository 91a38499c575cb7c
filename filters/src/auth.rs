//! Authentication: the only maker of a [`Principal`].

use crate::permit::Grant;
use crate::rejection::Rejection;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// SHA-256 of a key. Keys are random and long, so a slow hash would buy nothing.
pub type KeyDigest = [u8; 32];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// May use the management surfaces and the admin listener as well.
    Admin,
    User,
}

/// A key as the configuration or the registry holds it: never the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    pub id: String,
    pub digest: KeyDigest,
    pub role: Role,
    pub grant: Grant,
}

/// Who is calling, proven.
#[derive(Clone, Debug)]
pub struct Principal(Arc<Identity>);

#[derive(Debug)]
struct Identity {
    id: String,
    role: Role,
    grant: Grant,
}

impl Principal {
    fn new(id: String, role: Role, grant: Grant) -> Principal {
        Principal(Arc::new(Identity { id, role, grant }))
    }

    /// The stable id of the key record: what sessions are bound to and what logs say.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    pub fn role(&self) -> Role {
        self.0.role
    }

    pub(crate) fn grant(&self) -> &Grant {
        &self.0.grant
    }
}

/// Every key that opens the gateway.
#[derive(Debug)]
pub enum Keyring {
    /// No keys are configured, which only a loopback listener allows: everybody is `anonymous`.
    Open(Principal),
    Keys(HashMap<KeyDigest, (KeyDigest, Principal)>),
}

impl Keyring {
    pub fn new(records: &[KeyRecord]) -> Keyring {
        if records.is_empty() {
            return Keyring::Open(Principal::new("anonymous".to_owned(), Role::User, Grant::Every));
        }
        let entry = |record: &KeyRecord| {
            let principal = Principal::new(record.id.clone(), record.role, record.grant.clone());
            (record.digest, (record.digest, principal))
        };
        Keyring::Keys(records.iter().map(entry).collect())
    }

    pub fn authenticate(&self, headers: &HeaderMap) -> Result<Principal, Rejection> {
        match self {
            Keyring::Open(anonymous) => Ok(anonymous.clone()),
            Keyring::Keys(keys) => look_up(keys, bearer(headers)?),
        }
    }
}

/// Digest first, for every token: the time until a "no" is the same for all of them. The map is
/// keyed by what an attacker cannot choose (a hash), and the last word is a constant-time compare.
fn look_up(keys: &HashMap<KeyDigest, (KeyDigest, Principal)>, token: &[u8]) -> Result<Principal, Rejection> {
    let presented = digest(token);
    match keys.get(&presented) {
        Some((stored, principal)) if bool::from(stored.ct_eq(&presented)) => Ok(principal.clone()),
        _ => Err(Rejection::UnknownKey),
    }
}

/// The token of the one `Authorization: Bearer` header (RFC 6750, 2.1).
fn bearer(headers: &HeaderMap) -> Result<&[u8], Rejection> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Rejection::MissingKey)?.as_bytes();
    if values.next().is_some() {
        return Err(Rejection::MissingKey);
    }
    let (scheme, token) = value.split_at_checked(7).ok_or(Rejection::MissingKey)?;
    let token = token.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty() { Ok(token) } else { Err(Rejection::MissingKey) }
}

pub fn digest(secret: &[u8]) -> KeyDigest {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests;
