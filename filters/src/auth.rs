//! Authentication: the only maker of a [`Principal`].

mod keys;

use crate::permit::{Grant, Groups};
use crate::rejection::Rejection;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use keys::Keys;
use sha2::{Digest, Sha256};
use std::sync::Arc;

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
    pub groups: Groups,
}

/// Who is calling, proven.
#[derive(Clone, Debug)]
pub struct Principal(Arc<Identity>);

#[derive(Debug)]
struct Identity {
    id: String,
    role: Role,
    grant: Grant,
    groups: Groups,
}

/// No key has this id: ids hold no spaces.
const PUBLIC: &str = "no key";

impl Principal {
    fn new(id: String, role: Role, grant: Grant, groups: Groups) -> Principal {
        Principal(Arc::new(Identity { id, role, grant, groups }))
    }

    /// The stable id of the key record: what sessions are bound to and what logs say.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Somebody without a key, where the registry is open to everybody.
    pub(crate) fn public() -> Principal {
        Principal::new(PUBLIC.to_owned(), Role::User, Grant::Every, Groups::Advisory)
    }

    pub fn is_public(&self) -> bool {
        self.0.id == PUBLIC
    }

    pub fn role(&self) -> Role {
        self.0.role
    }

    pub(crate) fn groups(&self) -> &Groups {
        &self.0.groups
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
    Keys(Keys),
}

impl Keyring {
    /// `strangers`: the groups of whoever comes where there are no keys.
    pub fn new(records: &[KeyRecord], strangers: Groups) -> Keyring {
        if records.is_empty() {
            let groups = strangers;
            return Keyring::Open(Principal::new("anonymous".to_owned(), Role::User, Grant::Every, groups));
        }
        Keyring::Keys(Keys::new(records))
    }

    pub fn authenticate(&self, headers: &HeaderMap) -> Result<Principal, Rejection> {
        match self {
            Keyring::Open(anonymous) => Ok(anonymous.clone()),
            Keyring::Keys(keys) => look_up(keys, bearer(headers)?),
        }
    }

    /// Who may change things: an admin's key goes in a header of its own, or takes the place of any
    /// other.
    pub fn authenticate_admin(&self, headers: &HeaderMap) -> Result<Principal, Rejection> {
        let Keyring::Keys(keys) = self else {
            return Err(Rejection::NoAdminKeys);
        };
        let own = headers.get(ADMIN_KEY).map(|value| value.as_bytes().trim_ascii());
        let token = match own {
            Some(token) => token,
            None if !self.has_admins() => return Err(Rejection::NoAdminKeys),
            None => bearer(headers).map_err(|_| Rejection::AdminKeyRequired)?,
        };
        look_up(keys, token).map_err(|_| match own {
            _ if !self.has_admins() => Rejection::NoAdminKeys,
            Some(_) => Rejection::UnknownAdminKey,
            None => Rejection::UnknownKey,
        })
    }

    /// Whoever a key of the configuration stands for, where the configuration itself names the key: jobs are
    /// done under it, and bring none.
    pub fn named(&self, id: &str) -> Option<Principal> {
        match self {
            Keyring::Open(_) => None,
            Keyring::Keys(keys) => keys.principals().find(|known| known.id() == id).cloned(),
        }
    }

    /// Whether a request brings anything that looks like a key.
    pub fn is_shown(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(AUTHORIZATION) || OTHERS.iter().any(|name| headers.contains_key(*name))
    }

    /// Whether anybody may change things.
    pub fn has_admins(&self) -> bool {
        match self {
            Keyring::Open(_) => false,
            Keyring::Keys(keys) => keys.principals().any(|principal| principal.role() == Role::Admin),
        }
    }
}

/// RouteIQ's header for an admin's key.
const ADMIN_KEY: &str = "x-admin-api-key";

/// Headers that other systems have for a key, with or without `Bearer`.
const OTHERS: [&str; 3] = ["x-litellm-api-key", "x-api-key", ADMIN_KEY];

/// Digest first, for every token: the time until a "no" is the same for all of them.
fn look_up(keys: &Keys, token: &[u8]) -> Result<Principal, Rejection> {
    keys.find(digest(token)).cloned().ok_or(Rejection::UnknownKey)
}

/// The token of the one `Authorization: Bearer` header (RFC 6750, 2.1).
fn bearer(headers: &HeaderMap) -> Result<&[u8], Rejection> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return other_key(headers);
    };
    let value = value.as_bytes();
    if values.next().is_some() {
        return Err(Rejection::MissingKey);
    }
    let (scheme, token) = value.split_at_checked(7).ok_or(Rejection::MissingKey)?;
    let token = token.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty() { Ok(token) } else { Err(Rejection::MissingKey) }
}

/// A key in a header of another system.
fn other_key(headers: &HeaderMap) -> Result<&[u8], Rejection> {
    let value = OTHERS.iter().find_map(|name| headers.get(*name)).ok_or(Rejection::MissingKey)?.as_bytes();
    let token = match value.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token,
        _ => value,
    };
    Some(token.trim_ascii()).filter(|token| !token.is_empty()).ok_or(Rejection::MissingKey)
}

pub fn digest(secret: &[u8]) -> KeyDigest {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests;
