//! Application sessions in the ledger: sets of servers with an owner and an end.

use super::{ANSWER, ANSWERS_LAST, Ledger, Row, SERVER, SET, row};
use crate::registry::record::{Record, SetRecord};
use std::sync::Arc;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::surface::registration::Registration;

const SETS_MAX: usize = 10_000;
const SETS_OF_ONE_MAX: usize = 100;
const SERVERS_OF_SET_MAX: usize = 100;

/// Over all sets of a principal, and of everybody: what users add must not keep operators out.
const SERVERS_OF_ONE_MAX: usize = 100;
const SERVERS_OF_SETS_MAX: usize = 5_000;

impl Ledger {
    /// A server that is no more is in no set.
    pub(super) fn leave_sets(&mut self, id: &ServerId) -> Vec<Row> {
        let holds = |set: &Arc<SetRecord>| set.members.contains(id.as_str());
        let keys: Vec<String> = self.sets.iter().filter(|(_, set)| holds(set)).map(|(key, _)| key.clone()).collect();
        keys.iter().filter_map(|key| self.leave_set(key, id)).collect()
    }

    pub fn create_set(&mut self, id: &str, set: SetRecord, now: u64) -> Result<Vec<Row>, Rejection> {
        let mut rows = self.expire(now);
        let own = self.sets.values().filter(|known| known.principal == set.principal).count();
        if own >= SETS_OF_ONE_MAX {
            return Err(Rejection::TooMany(SETS_OF_ONE_MAX));
        }
        if self.sets.len() >= SETS_MAX {
            return Err(Rejection::TooMany(SETS_MAX));
        }
        rows.push(row(SET, id, &set));
        self.sets.insert(id.to_owned(), Arc::new(set));
        self.generation += 1;
        Ok(rows)
    }

    /// A set of this principal's, if it has not expired.
    pub fn set(&self, id: &str, principal: &str, now: u64) -> Result<&Arc<SetRecord>, Rejection> {
        let own = self.sets.get(id).filter(|set| set.principal == principal && set.expires > now);
        own.ok_or_else(|| Rejection::UnknownSet(id.to_owned()))
    }

    pub fn drop_set(&mut self, id: &str, principal: &str, now: u64) -> Result<Vec<Row>, Rejection> {
        self.set(id, principal, now)?;
        Ok(self.forget_set(id))
    }

    /// Adds a server that the set alone sees.
    pub fn add_to_set(
        &mut self,
        set: &str,
        registration: Registration,
        now: u64,
    ) -> Result<(ServerId, Vec<Row>), Rejection> {
        let name = registration.name.clone().unwrap_or_default();
        let of_set = |record: &&Arc<Record>| record.set.as_deref() == Some(set);
        if self.servers.values().filter(of_set).any(|record| record.name == name) {
            return Err(Rejection::ServerExists(name));
        }
        if self.servers.values().filter(of_set).count() >= SERVERS_OF_SET_MAX {
            return Err(Rejection::TooMany(SERVERS_OF_SET_MAX));
        }
        let owner = self.sets.get(set).map(|set| set.principal.clone());
        let is_own = |record: &&Arc<Record>| {
            let owner_of = record.set.as_ref().and_then(|set| self.sets.get(set)).map(|set| &set.principal);
            owner_of.is_some() && owner_of == owner.as_ref()
        };
        if self.servers.values().filter(is_own).count() >= SERVERS_OF_ONE_MAX {
            return Err(Rejection::TooMany(SERVERS_OF_ONE_MAX));
        }
        if self.servers.values().filter(|record| record.set.is_some()).count() >= SERVERS_OF_SETS_MAX {
            return Err(Rejection::TooMany(SERVERS_OF_SETS_MAX));
        }
        let id = private_id(set, &name)?;
        let rows = self.put(&id, Record::new(name, registration, Some(set.to_owned()), now));
        Ok((id, rows))
    }

    /// Takes a server out of a set; one that was added to it is gone with that.
    pub fn remove_from_set(&mut self, set: &str, id: &ServerId) -> Vec<Row> {
        if self.servers.get(id).is_some_and(|record| record.set.as_deref() == Some(set)) {
            self.servers.remove(id);
            self.generation += 1;
            return vec![Row { kind: SERVER, key: id.to_string(), value: None }];
        }
        self.leave_set(set, id).into_iter().collect()
    }

    /// Sets end after their time, with what was added to them.
    pub fn expire(&mut self, now: u64) -> Vec<Row> {
        let over: Vec<String> =
            self.sets.iter().filter(|(_, set)| set.expires <= now).map(|(id, _)| id.clone()).collect();
        let mut rows: Vec<Row> = over.iter().flat_map(|id| self.forget_set(id)).collect();
        let old: Vec<String> = self
            .answers
            .iter()
            .filter(|(_, answer)| answer.at + ANSWERS_LAST < now)
            .map(|(key, _)| key.clone())
            .collect();
        for key in old {
            self.answers.remove(&key);
            rows.push(Row { kind: ANSWER, key, value: None });
        }
        rows
    }

    fn forget_set(&mut self, id: &str) -> Vec<Row> {
        self.sets.remove(id);
        self.generation += 1;
        let mut rows = vec![Row { kind: SET, key: id.to_owned(), value: None }];
        let gone = self.servers.extract_if(.., |_, record| record.set.as_deref() == Some(id));
        rows.extend(gone.map(|(id, _)| Row { kind: SERVER, key: id.to_string(), value: None }));
        rows
    }

    fn leave_set(&mut self, set_id: &str, server: &ServerId) -> Option<Row> {
        let mut set = (**self.sets.get(set_id)?).clone();
        set.members.remove(server.as_str());
        let changed = row(SET, set_id, &set);
        self.sets.insert(set_id.to_owned(), Arc::new(set));
        self.generation += 1;
        Some(changed)
    }
}

/// The id of a server that belongs to a set: nobody can guess it, and it clashes with none.
fn private_id(set: &str, name: &str) -> Result<ServerId, Rejection> {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(format!("{set}\0{name}"));
    let hex: String = digest.iter().take(14).map(|byte| format!("{byte:02x}")).collect();
    ServerId::derive(&format!("set-{hex}")).map_err(|error| Rejection::BadServerId(error.to_string()))
}
