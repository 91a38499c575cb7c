//! The ledger: everything that is stored, as values, and the rules for changing it. A change is
//! judged first and made then, so that what is refused has changed nothing.

mod sets;

use super::record::{Answered, Record, SetRecord};
use crate::manage::Changed;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tollbridge_filters::names::{RESERVED, ServerId};
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::route::Idempotency;
use tollbridge_filters::surface::registration::{Registration, Update};

/// More than anybody has, and a bound on what one admin's loop can do.
const SERVERS_MAX: usize = 10_000;

/// Of one server.
const DEFINITIONS_MAX: usize = 1_000;

/// How long an `Idempotency-Key` is remembered, and how many of them.
const ANSWERS_LAST: u64 = 24 * 60 * 60;
const ANSWERS_MAX: usize = 10_000;

/// One line of the store.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    pub kind: &'static str,
    pub key: String,
    /// `None`: it is gone.
    pub value: Option<String>,
}

const SERVER: &str = "server";
const SET: &str = "set";
const ANSWER: &str = "answer";

#[derive(Clone, Default)]
pub struct Ledger {
    pub generation: u64,
    pub servers: BTreeMap<ServerId, Arc<Record>>,
    pub sets: BTreeMap<String, Arc<SetRecord>>,
    answers: BTreeMap<String, Arc<Answered>>,
    /// Ids and aliases that the configuration file has taken.
    fixed: Arc<BTreeSet<ServerId>>,
}

/// What happens to a server of the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clash {
    Refuse,
    /// RouteIQ's way: the later registration counts.
    Overwrite,
}

impl Ledger {
    /// What a store holds. Rows that cannot be read are refused as a whole: nothing is lost silently.
    pub fn restore(rows: Vec<(String, String, String)>) -> Result<Ledger, String> {
        let mut ledger = Ledger { generation: 1, ..Ledger::default() };
        for (kind, key, value) in rows {
            ledger.put_row(&kind, key, Some(&value))?;
        }
        Ok(ledger)
    }

    /// A row that somebody else has changed, by what it is of: its kind and its key.
    pub fn absorb(&mut self, field: &str, value: Option<&str>) -> Result<(), String> {
        let (kind, key) = field.split_once(' ').ok_or("it has no kind")?;
        self.put_row(kind, key.to_owned(), value)?;
        self.generation += 1;
        Ok(())
    }

    fn put_row(&mut self, kind: &str, key: String, value: Option<&str>) -> Result<(), String> {
        fn put<K: Ord, V: DeserializeOwned>(
            map: &mut BTreeMap<K, Arc<V>>,
            id: K,
            (kind, key, value): (&str, &str, Option<&str>),
        ) -> Result<(), String> {
            match value {
                Some(value) => drop(map.insert(id, Arc::new(read(kind, key, value)?))),
                None => drop(map.remove(&id)),
            }
            Ok(())
        }
        let row = (kind, key.as_str(), value);
        match kind {
            SERVER => put(&mut self.servers, ServerId::derive(&key).map_err(|error| error.to_string())?, row),
            SET => put(&mut self.sets, key.clone(), row),
            ANSWER => put(&mut self.answers, key.clone(), row),
            _ => Err(format!("a row of an unknown kind {kind:?}; was it written by a newer version?")),
        }
    }

    /// Ids and aliases of the configuration file: they cannot be taken.
    pub fn fix(&mut self, taken: BTreeSet<ServerId>) {
        self.fixed = Arc::new(taken);
        self.generation += 1;
    }

    /// What was answered to the same request before.
    pub fn answered(&self, principal: &str, asked: &Idempotency, now: u64) -> Result<Option<Changed>, Rejection> {
        match self.answers.get(&answer_key(principal, &asked.key)) {
            Some(answer) if answer.at + ANSWERS_LAST < now => Ok(None),
            Some(answer) if answer.fingerprint != asked.fingerprint => Err(Rejection::IdempotencyMismatch),
            Some(answer) => Ok(Some(answer.changed.clone())),
            None => Ok(None),
        }
    }

    pub fn remember(&mut self, principal: &str, asked: &Idempotency, changed: &Changed, now: u64) -> Vec<Row> {
        let mut rows = Vec::new();
        if self.answers.len() >= ANSWERS_MAX {
            let oldest = self.answers.iter().min_by_key(|(_, answer)| answer.at).map(|(key, _)| key.clone());
            if let Some(key) = oldest {
                self.answers.remove(&key);
                rows.push(Row { kind: ANSWER, key, value: None });
            }
        }
        let key = answer_key(principal, &asked.key);
        let answer = Answered { fingerprint: asked.fingerprint.clone(), at: now, changed: changed.clone() };
        rows.push(row(ANSWER, &key, &answer));
        self.answers.insert(key, Arc::new(answer));
        rows
    }

    /// Registers a server; gives its id, and whether it is a new one.
    pub fn register(
        &mut self,
        external_id: &str,
        registration: Registration,
        clash: Clash,
        now: u64,
    ) -> Result<(ServerId, bool, Vec<Row>), Rejection> {
        let id = server_id(external_id)?;
        self.check_free(&id, external_id)?;
        let before = self.servers.get(&id).map(Arc::clone);
        if before.is_some() && clash == Clash::Refuse {
            return Err(Rejection::ServerExists(external_id.to_owned()));
        }
        // `a.b` and `a-b` have one id of ours, and are two servers all the same.
        if let Some(before) = before.as_ref().filter(|before| before.external_id != external_id) {
            return Err(Rejection::ServerExists(before.external_id.clone()));
        }
        let shared = self.servers.values().filter(|record| record.set.is_none()).count();
        if before.is_none() && shared >= SERVERS_MAX {
            return Err(Rejection::TooMany(SERVERS_MAX));
        }
        self.check_alias(&id, registration.alias.as_deref())?;
        let mut record = Record::new(external_id.to_owned(), registration, None, now);
        if let Some(before) = &before {
            (record.registered, record.public) = (before.registered, before.public);
        }
        let rows = self.put(&id, record);
        Ok((id, before.is_none(), rows))
    }

    /// Puts a registration in the place of one that is there.
    pub fn replace(
        &mut self,
        name: &str,
        registration: Registration,
        now: u64,
    ) -> Result<(ServerId, Vec<Row>), Rejection> {
        let (id, before) = self.own(name)?;
        self.check_alias(&id, registration.alias.as_deref())?;
        let mut record = Record::new(before.external_id.clone(), registration, before.set.clone(), now);
        (record.registered, record.public) = (before.registered, before.public);
        if record.credentials.is_empty() && record.auth_type == before.auth_type && record.is_at(&before.url) {
            record.credentials.clone_from(&before.credentials);
        }
        let rows = self.put(&id, record);
        Ok((id, rows))
    }

    /// Changes what an update says, and nothing else.
    pub fn update(&mut self, name: &str, update: Update, now: u64) -> Result<(ServerId, Vec<Row>), Rejection> {
        let (id, before) = self.own(name)?;
        self.check_alias(&id, update.alias.as_deref())?;
        let says_auth = update.auth.is_some();
        let mut record = Record { updated: now, ..(*before).clone() }.with(update);
        if !says_auth && !record.is_at(&before.url) {
            record.credentials.clear();
        }
        let rows = self.put(&id, record);
        Ok((id, rows))
    }

    pub fn unregister(&mut self, name: &str) -> Result<(ServerId, Arc<Record>, Vec<Row>), Rejection> {
        let (id, record) = self.own(name)?;
        let mut rows = vec![Row { kind: SERVER, key: id.to_string(), value: None }];
        self.servers.remove(&id);
        self.generation += 1;
        rows.extend(self.leave_sets(&id));
        Ok((id, record, rows))
    }

    /// Declares a tool at a server.
    pub fn declare(
        &mut self,
        name: &str,
        tool: &str,
        definition: &str,
        now: u64,
    ) -> Result<(Arc<Record>, Vec<Row>), Rejection> {
        let (id, before) = self.own(name)?;
        let mut record = (*before).clone();
        let is_other = |known: &String| tool_name(known).as_deref() != Some(tool);
        record.definitions.retain(is_other);
        record.definitions.push(definition.to_owned());
        // Where the registration names what may be used, that is the list to be on.
        if !record.tools.is_empty() && !record.tools.iter().any(|known| known == tool) {
            record.tools.push(tool.to_owned());
        }
        if record.definitions.len() > DEFINITIONS_MAX || record.tools.len() > DEFINITIONS_MAX {
            return Err(Rejection::TooMany(DEFINITIONS_MAX));
        }
        record.updated = now;
        let rows = self.put(&id, record);
        Ok((before, rows))
    }

    /// These servers are public, and no others; servers of the file are named for nothing.
    pub fn make_public(&mut self, names: &[String]) -> Result<Vec<Row>, Rejection> {
        let mut chosen = BTreeSet::new();
        for name in names {
            chosen.insert(self.own(name)?.0);
        }
        let servers: Vec<(ServerId, Arc<Record>)> =
            self.servers.iter().map(|(id, record)| (id.clone(), Arc::clone(record))).collect();
        let changed = servers.into_iter().filter(|(id, record)| record.public != chosen.contains(id));
        let rows = changed.flat_map(|(id, record)| {
            let public = chosen.contains(&id);
            self.put(&id, Record { public, ..(*record).clone() })
        });
        Ok(rows.collect())
    }

    fn put(&mut self, id: &ServerId, record: Record) -> Vec<Row> {
        let written = row(SERVER, id.as_str(), &record);
        self.servers.insert(id.clone(), Arc::new(record));
        self.generation += 1;
        vec![written]
    }

    /// A server that an API may change: by its id as it was given, by ours, or by its alias.
    fn own(&self, name: &str) -> Result<(ServerId, Arc<Record>), Rejection> {
        let unknown = || Rejection::UnknownServer(name.to_owned());
        let id = ServerId::derive(name).map_err(|_| unknown())?;
        if self.fixed.contains(&id) {
            return Err(Rejection::ReadOnly(name.to_owned()));
        }
        let by_alias = || {
            let is_meant = |record: &Arc<Record>| record.alias.as_deref().is_some_and(|alias| is_alias(alias, &id));
            self.servers.iter().find(|(_, record)| is_meant(record))
        };
        let found = self.servers.get_key_value(&id).or_else(by_alias);
        match found.filter(|(_, record)| record.set.is_none()) {
            Some((id, record)) => Ok((id.clone(), Arc::clone(record))),
            None => Err(unknown()),
        }
    }

    fn check_free(&self, id: &ServerId, external_id: &str) -> Result<(), Rejection> {
        if self.fixed.contains(id) {
            return Err(Rejection::ReadOnly(external_id.to_owned()));
        }
        let is_alias = |record: &Arc<Record>| record.alias.as_deref().is_some_and(|alias| is_alias(alias, id));
        match self.servers.values().any(is_alias) {
            true => Err(Rejection::ServerExists(external_id.to_owned())),
            false => Ok(()),
        }
    }

    /// An alias is an id of its own: no other server's, and no other server's alias.
    fn check_alias(&self, id: &ServerId, alias: Option<&str>) -> Result<(), Rejection> {
        let Some(alias) = alias else { return Ok(()) };
        let wanted = server_id(alias)?;
        let others = self.servers.iter().filter(|(known, _)| *known != id);
        let mut taken = others.flat_map(|(known, record)| {
            let alias = record.alias.as_deref().and_then(|alias| ServerId::derive(alias).ok());
            [Some(known.clone()), alias].into_iter().flatten()
        });
        if self.fixed.contains(&wanted) || taken.any(|taken| taken == wanted) {
            return Err(Rejection::ServerExists(alias.to_owned()));
        }
        Ok(())
    }
}

fn is_alias(alias: &str, id: &ServerId) -> bool {
    ServerId::derive(alias).is_ok_and(|alias| alias == *id)
}

/// An id that an API may give to a server: `search` too is a path of the gateway's own.
fn server_id(external_id: &str) -> Result<ServerId, Rejection> {
    let id = ServerId::derive(external_id).map_err(|error| Rejection::BadServerId(error.to_string()))?;
    // In a path, `.` and `..` are read as something else.
    if !external_id.chars().any(|c| c.is_ascii_alphanumeric()) {
        return Err(Rejection::BadServerId(format!("{external_id:?} holds no letter or digit; choose another id")));
    }
    let is_taken = id.as_str() == "search" || RESERVED.contains(&id.as_str());
    let reserved = || Rejection::BadServerId(format!("{external_id:?} is a reserved word; choose another id"));
    if is_taken { Err(reserved()) } else { Ok(id) }
}

fn tool_name(definition: &str) -> Option<String> {
    let tool: serde_json::Value = serde_json::from_str(definition).ok()?;
    tool.get("name")?.as_str().map(str::to_owned)
}

fn answer_key(principal: &str, key: &str) -> String {
    format!("{principal} {key}")
}

fn row(kind: &'static str, key: &str, value: &impl Serialize) -> Row {
    // These are plain structs with text keys; writing them cannot fail.
    Row { kind, key: key.to_owned(), value: serde_json::to_string(value).ok() }
}

fn read<T: DeserializeOwned>(kind: &str, key: &str, value: &str) -> Result<T, String> {
    serde_json::from_str(value).map_err(|error| format!("the {kind} {key:?} cannot be read: {error}"))
}
