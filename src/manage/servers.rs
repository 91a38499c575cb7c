//! What each change needs to know before the ledger is asked, and what it asks of the ledger.

use super::{Changed, Make};
use crate::answer::random;
use crate::gateway::Gateway;
use crate::registry::{Clash, Ledger, SetRecord};
use crate::upstream::{Blocked, Guard};
use serde_json::{Map, Value};
use std::sync::Arc;
use tollbridge_filters::auth::Principal;
use tollbridge_filters::catalog::Origin;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::path::Scope;
use tollbridge_filters::rejection::{FieldFault, Rejection};
use tollbridge_filters::route::What;
use tollbridge_filters::surface::Surface;
use tollbridge_filters::surface::oliverye::{self, Added, Named};
use tollbridge_filters::surface::registration::Registration;
use tollbridge_filters::surface::view::View;

/// An application session ends so long after it was made, whether it is used or not.
const SET_LASTS: u64 = 60 * 60;

const SLUG_CHARACTERS_MAX: usize = 128;

pub(super) struct Acting<'a> {
    pub gateway: &'a Gateway,
    pub guard: Arc<Guard>,
    pub principal: String,
    pub surface: Surface,
    pub now: u64,
}

impl Acting<'_> {
    /// What must be known before the ledger is asked: whether URLs may be reached, which server is meant.
    pub async fn prepare(&self, what: What, principal: &Principal) -> Result<Make, Rejection> {
        let now = self.now;
        Ok(match what {
            What::Register(registration) => self.register(registration).await?,
            What::Replace(id, registration) => {
                self.check(&registration).await?;
                Box::new(move |ledger| {
                    let (own, rows) = ledger.replace(&id, registration.clone(), now)?;
                    let external_id = external_id(ledger, &own);
                    Ok((Changed::Replaced { id: own.to_string(), external_id }, rows))
                })
            }
            What::Update(id, update) => {
                if let Some(url) = &update.url {
                    self.check_url(url).await?;
                }
                Box::new(move |ledger| {
                    let (own, rows) = ledger.update(&id, update.clone(), now)?;
                    let external_id = external_id(ledger, &own);
                    Ok((Changed::Replaced { id: own.to_string(), external_id }, rows))
                })
            }
            What::Unregister(id) => Box::new(move |ledger| {
                let (_, record, rows) = ledger.unregister(&id)?;
                Ok((Changed::Unregistered { external_id: record.external_id.clone() }, rows))
            }),
            What::DeclareTool { server, name, definition } => Box::new(move |ledger| {
                let (record, rows) = ledger.declare(&server, &name, &definition, now)?;
                Ok((Changed::Declared { server: record.external_id.clone(), tool: name.clone() }, rows))
            }),
            What::MakePublic(ids) => Box::new(move |ledger| {
                let rows = ledger.make_public(&ids)?;
                Ok((Changed::MadePublic(ids.clone()), rows))
            }),
            What::AddServers { set, servers } => self.add(set, servers).await?,
            What::RemoveServer { set, named } => self.remove(set, &named, principal)?,
            What::CreateSet(metadata) => self.create_set(metadata, principal),
            What::DropSet(id) => {
                let principal = self.principal.clone();
                Box::new(move |ledger| {
                    let rows = ledger.drop_set(&id, &principal, now)?;
                    Ok((Changed::SetDropped { id: id.clone() }, rows))
                })
            }
        })
    }

    async fn register(&self, registration: Registration) -> Result<Make, Rejection> {
        self.check(&registration).await?;
        let now = self.now;
        let clash = match self.surface {
            Surface::Early | Surface::Routeiq | Surface::Rpc => Clash::Overwrite,
            _ => Clash::Refuse,
        };
        // LiteLLM makes ids up; the others take the name for one.
        let given = registration.external_id.clone();
        let external_id = match (given, self.surface, &registration.name) {
            (Some(id), ..) => id,
            (None, Surface::Litellm, _) | (None, _, None) => random_hex(),
            (None, _, Some(name)) => slug(name),
        };
        Ok(Box::new(move |ledger| {
            let (id, is_new, rows) = ledger.register(&external_id, registration.clone(), clash, now)?;
            Ok((Changed::Registered { id: id.to_string(), external_id: external_id.clone(), is_new }, rows))
        }))
    }

    async fn check(&self, registration: &Registration) -> Result<(), Rejection> {
        self.check_url(&registration.url).await
    }

    async fn check_url(&self, url: &str) -> Result<(), Rejection> {
        let uri = self.guard.url(url).map_err(blocked)?;
        self.guard.check(&uri).await.map_err(blocked)
    }

    async fn add(&self, set: Option<String>, servers: Vec<Added>) -> Result<Make, Rejection> {
        let mut checked = Vec::new();
        for (name, server) in servers {
            let server = match server {
                Ok(registration) => self.check(&registration).await.map(|()| registration),
                Err(why) => Err(why),
            };
            checked.push((name, server));
        }
        let (principal, now) = (self.principal.clone(), self.now);
        Ok(Box::new(move |ledger| {
            if let Some(set) = &set {
                ledger.set(set, &principal, now)?;
            }
            let (mut added, mut failed, mut rows) = (Vec::new(), Vec::new(), Vec::new());
            for (name, server) in &checked {
                let made = server.clone().and_then(|registration| match &set {
                    Some(set) => ledger.add_to_set(set, registration, now),
                    None => {
                        let (id, _, rows) = ledger.register(&slug(name), registration, Clash::Refuse, now)?;
                        Ok((id, rows))
                    }
                });
                match made {
                    Ok((id, written)) => {
                        added.push(id.to_string());
                        rows.extend(written);
                    }
                    Err(why) => failed.push((name.clone(), why.to_string())),
                }
            }
            Ok((Changed::Added { set: set.clone(), added, failed }, rows))
        }))
    }

    fn remove(&self, set: Option<String>, named: &Named, principal: &Principal) -> Result<Make, Rejection> {
        let snapshot = self.gateway.registry.snapshot();
        let scope = set.clone().map_or(Scope::All, Scope::Set);
        if let Some(set) = &set {
            let known = snapshot.set(set, principal, self.now);
            known.ok_or_else(|| Rejection::UnknownSet(set.clone()))?;
        }
        let view = View { snapshot: &snapshot, principal, scope: &scope };
        let server = oliverye::server(&view, named).ok_or_else(|| match named {
            Named::Uuid(text) | Named::Name(text) => Rejection::UnknownServer(text.clone()),
        })?;
        let (id, name, uuid) = (server.id.clone(), server.profile.name.clone(), oliverye::uuid(server));
        let tools = view.tool_names(server).len();
        Ok(Box::new(move |ledger| {
            let rows = match &set {
                Some(set) => ledger.remove_from_set(set, &id),
                None => ledger.unregister(id.as_str())?.2,
            };
            Ok((Changed::Removed { set: set.clone(), name: name.clone(), uuid: uuid.clone(), tools }, rows))
        }))
    }

    /// A new session has the servers of the configuration file, as the original loads its own list.
    fn create_set(&self, metadata: Map<String, Value>, principal: &Principal) -> Make {
        let snapshot = self.gateway.registry.snapshot();
        let visible = snapshot.visible(principal, &Scope::All);
        let members = visible.filter(|server| server.profile.origin == Origin::File);
        let set = SetRecord {
            principal: self.principal.clone(),
            created: self.now,
            expires: self.now + SET_LASTS,
            metadata,
            members: members.map(|server| server.id.to_string()).collect(),
        };
        let (id, now) = (random(|bytes| oliverye::format_uuid(bytes, 4)), self.now);
        Box::new(move |ledger| {
            let rows = ledger.create_set(&id, set.clone(), now)?;
            Ok((Changed::SetCreated { id: id.clone() }, rows))
        })
    }
}

fn external_id(ledger: &Ledger, id: &ServerId) -> String {
    ledger.servers.get(id).map_or_else(|| id.to_string(), |record| record.external_id.clone())
}

pub(super) fn blocked(blocked: Blocked) -> Rejection {
    match blocked {
        Blocked::Malformed(why) => {
            Rejection::Field { name: "url".to_owned(), fault: FieldFault::BadUrl(why.to_owned()) }
        }
        Blocked::Forbidden => Rejection::OutboundForbidden,
    }
}

/// An id out of a name: what an id may hold, and a dash for everything else.
fn slug(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let dashed: String = name.chars().map(|c| if allowed(c) { c } else { '-' }).take(SLUG_CHARACTERS_MAX).collect();
    let trimmed = dashed.trim_matches('-').to_owned();
    if trimmed.is_empty() { random_hex() } else { trimmed }
}

fn random_hex() -> String {
    random(|bytes: [u8; 8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
