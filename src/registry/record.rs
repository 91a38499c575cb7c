//! What a store keeps: registrations, application sessions, and what was answered under an
//! `Idempotency-Key`. Each is the text of one row.

use crate::conf::{Endpoints, Server};
use crate::manage::Changed;
use crate::upstream::Guard;
use http::{HeaderName, HeaderValue, Uri};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use tollbridge_filters::catalog::{AuthType, Origin, Profile, Set};
use tollbridge_filters::names::ServerId;
use tollbridge_filters::redact;
use tollbridge_filters::surface::registration::{Registration, Update};

/// A registered server. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub external_id: String,
    pub name: String,
    pub url: String,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub alias: Option<String>,
    #[serde(default)]
    pub tools: Vec<String>,
    #[serde(default)]
    pub resources: Vec<String>,
    #[serde(default)]
    pub definitions: Vec<String>,
    #[serde(default)]
    pub access_groups: Vec<String>,
    #[serde(default)]
    pub metadata: Map<String, Value>,
    #[serde(default)]
    pub auth_type: String,
    /// Secret. The file of the store is readable by its owner alone.
    #[serde(default)]
    pub credentials: Vec<(String, String)>,
    #[serde(default)]
    pub forward_headers: Vec<String>,
    #[serde(default)]
    pub public: bool,
    /// The application session that it belongs to.
    #[serde(default)]
    pub set: Option<String>,
    pub registered: u64,
    pub updated: u64,
}

impl Record {
    pub fn new(external_id: String, registration: Registration, set: Option<String>, now: u64) -> Record {
        Record {
            name: registration.name.unwrap_or_else(|| external_id.clone()),
            external_id,
            url: registration.url,
            description: registration.description,
            alias: registration.alias,
            tools: registration.tools,
            resources: registration.resources,
            definitions: registration.definitions,
            access_groups: registration.access_groups,
            metadata: registration.metadata,
            auth_type: spell(registration.auth_type).to_owned(),
            credentials: registration.credentials,
            forward_headers: registration.forward_headers,
            public: false,
            set,
            registered: now,
            updated: now,
        }
    }

    /// Whether another URL leads to the same host and port; a credential is shown nowhere else.
    pub fn is_at(&self, url: &str) -> bool {
        let place = |url: &str| {
            url.parse::<Uri>().ok().map(|uri| (uri.scheme_str().map(str::to_owned), uri.authority().cloned()))
        };
        place(&self.url).is_some_and(|own| Some(own) == place(url))
    }

    pub fn with(mut self, update: Update) -> Record {
        fn put<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        put(&mut self.name, update.name);
        put(&mut self.url, update.url);
        put(&mut self.tools, update.tools);
        put(&mut self.resources, update.resources);
        put(&mut self.access_groups, update.access_groups);
        put(&mut self.metadata, update.metadata);
        put(&mut self.forward_headers, update.forward_headers);
        put(&mut self.description, update.description.map(Some));
        put(&mut self.alias, update.alias.map(Some));
        if let Some((auth_type, credentials)) = update.auth {
            spell(auth_type).clone_into(&mut self.auth_type);
            self.credentials = credentials;
        }
        self
    }

    pub fn profile(&self) -> Profile {
        Profile {
            external_id: self.external_id.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            url: redact::url(&self.url),
            alias: self.alias.as_deref().and_then(|alias| ServerId::derive(alias).ok()),
            tools: self.tools.clone(),
            resources: self.resources.clone(),
            auth_type: read_spelled(&self.auth_type),
            access_groups: self.access_groups.clone(),
            metadata: redact::object(&self.metadata),
            origin: Origin::Store,
            set: self.set.clone(),
            public: self.public,
            definitions: self.definitions.clone(),
            registered: self.registered,
            updated: self.updated,
        }
    }
}

impl Record {
    /// The server as it is reached; `None` where that cannot be, which registering has looked at.
    pub fn server(&self, id: &ServerId, guard: &Arc<Guard>) -> Option<Server> {
        let uri: Uri = self.url.parse().ok()?;
        let endpoints = Endpoints::at(uri);
        let credential = |(name, value): &(String, String)| {
            let mut value = HeaderValue::from_str(value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        };
        let credentials = self.credentials.iter().filter_map(credential).collect();
        let forward_headers = self.forward_headers.iter().filter_map(|name| name.parse().ok()).collect();
        let (profile, guard) = (self.profile(), Some(Arc::clone(guard)));
        Some(Server {
            profile,
            credentials,
            forward_headers,
            guard,
            ..Server::at(id.clone(), &self.external_id, endpoints)
        })
    }
}

const SPELLINGS: [(AuthType, &str); 5] = [
    (AuthType::None, "none"),
    (AuthType::Bearer, "bearer"),
    (AuthType::ApiKey, "api_key"),
    (AuthType::Basic, "basic"),
    (AuthType::Header, "header"),
];

fn spell(auth_type: AuthType) -> &'static str {
    SPELLINGS.iter().find(|(known, _)| *known == auth_type).map_or("none", |(_, spelled)| spelled)
}

fn read_spelled(text: &str) -> AuthType {
    SPELLINGS.iter().find(|(_, spelled)| *spelled == text).map_or(AuthType::None, |(known, _)| *known)
}

/// An application session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetRecord {
    pub principal: String,
    pub created: u64,
    pub expires: u64,
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// Servers that others use as well.
    #[serde(default)]
    pub members: BTreeSet<String>,
}

impl SetRecord {
    pub fn set(&self) -> Arc<Set> {
        let members = self.members.iter().filter_map(|id| ServerId::derive(id).ok()).collect();
        let mut set = Set::new(&self.principal, self.created, self.expires);
        (set.members, set.metadata) = (members, self.metadata.clone());
        Arc::new(set)
    }
}

/// What was answered to a request with an `Idempotency-Key`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answered {
    pub fingerprint: String,
    pub at: u64,
    pub changed: Changed,
}
