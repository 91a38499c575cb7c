//! Where registrations and application sessions are kept: in a file of this process, or in a Redis that
//! replicas share.

use super::embedded::{Embedded, Unusable};
use super::ledger::{Ledger, Row};
use super::shared::{Shared, Standing};
use crate::conf::{self, Conf};
use crate::manage::Changed;
use crate::redis::Wire;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::watch;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::rejection::Rejection;

/// Judges a change and makes it; what is refused has changed nothing. Where others change the same, it is
/// judged again, on what is there then.
pub type Act = Box<dyn Fn(&mut Ledger) -> Result<(Changed, Vec<Row>), Rejection> + Send>;

pub struct Store {
    kind: Kind,
    ledger: watch::Receiver<Arc<Ledger>>,
}

enum Kind {
    Embedded(Embedded),
    Shared(Shared),
}

impl Store {
    /// `path`: the file, or where the last of what Redis told is kept. `taken`: ids that the configuration
    /// file has.
    pub fn open(conf: &Conf, path: Option<&Path>, taken: BTreeSet<ServerId>) -> anyhow::Result<Store> {
        Ok(match &conf.registry.store {
            conf::Store::Embedded => Store::embedded(conf, path, taken)?,
            conf::Store::Redis(redis) => {
                let shared = Shared::open(redis, conf, path, taken)?;
                Store { ledger: shared.ledger(), kind: Kind::Shared(shared) }
            }
        })
    }

    /// Where nothing can be written, and nobody has said that there should be a file, the gateway serves all
    /// the same.
    fn embedded(conf: &Conf, path: Option<&Path>, taken: BTreeSet<ServerId>) -> Result<Store, Unusable> {
        let embedded = match path {
            None => Embedded::in_memory(taken)?,
            Some(path) => match Embedded::open(path, taken.clone()) {
                Err(Unusable::NotMade { .. }) if conf.registry.path.is_none() => {
                    let path = path.display();
                    tracing::warn!(%path, "the registry cannot be written there; what is registered ends with this process");
                    Embedded::in_memory(taken)?
                }
                opened => opened?,
            },
        };
        Ok(Store { ledger: embedded.ledger(), kind: Kind::Embedded(embedded) })
    }

    /// What is kept.
    pub fn ledger(&self) -> Arc<Ledger> {
        Arc::clone(&self.ledger.borrow())
    }

    /// Tells of every ledger from now on.
    pub fn watch(&self) -> watch::Receiver<Arc<Ledger>> {
        let mut ledgers = self.ledger.clone();
        ledgers.mark_unchanged();
        ledgers
    }

    /// What seals where the configuration names no key: kept, so that sessions outlive the process.
    pub fn seal(&self) -> Option<[u8; 32]> {
        match &self.kind {
            Kind::Embedded(embedded) => Some(embedded.seal),
            Kind::Shared(_) => None,
        }
    }

    /// The way to what replicas share, if they do.
    pub fn wire(&self) -> Option<Arc<Wire>> {
        match &self.kind {
            Kind::Embedded(_) => None,
            Kind::Shared(shared) => Some(shared.wire()),
        }
    }

    /// How far what is known here is what is kept there; `None` where that is the same.
    pub fn standing(&self) -> Option<Standing> {
        match &self.kind {
            Kind::Embedded(_) => None,
            Kind::Shared(shared) => Some(shared.standing()),
        }
    }

    /// Tells the ledger which ids the configuration file has; nothing of it is stored.
    pub async fn fix(&self, taken: BTreeSet<ServerId>) {
        let act: Act = Box::new(move |ledger| {
            ledger.fix(taken.clone());
            Ok((Changed::Kept, Vec::new()))
        });
        // Where nothing can be changed any more, the next change says so.
        let _ = match &self.kind {
            Kind::Embedded(embedded) => embedded.change(act).await,
            Kind::Shared(shared) => shared.note(act).await,
        };
    }

    /// Makes a change. When this returns it is kept, or it was refused.
    pub async fn change(&self, act: Act) -> Result<Changed, Rejection> {
        match &self.kind {
            Kind::Embedded(embedded) => embedded.change(act).await,
            Kind::Shared(shared) => shared.change(act).await,
        }
    }

    /// Lets go of the file, so that the process that takes over can have it. What is known stays known, but
    /// nothing is changed any more.
    pub async fn release(&self) {
        if let Kind::Embedded(embedded) = &self.kind {
            embedded.release().await;
        }
    }
}

/// Nobody is there to make a change.
pub(super) fn gone() -> Rejection {
    Rejection::Store("this process has let go of it; ask again".to_owned())
}
