//! What operators decide about a shared registry, from the command line. Every replica follows, because the
//! decision is in the store.

use super::disk::{Disk, LastSeen};
use super::redis::{Decision, Foreign, Keyspace, Much, random_hex};
use super::store::{Act, Store};
use super::version::Version;
use super::{Clash, Ledger};
use crate::clock;
use crate::conf::{self, Conf, Topology};
use crate::manage::Changed;
use crate::redis::Wire;
use crate::upstream::Guard;
use anyhow::{Context, Result, anyhow};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::surface::body::Fields;
use tollbridge_filters::surface::registration::Registration;
use tollbridge_filters::surface::{Surface, routeiq};

/// How long the store is waited for.
const CONNECT_LAST: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Show,
    Init,
    Adopt,
    Restore,
    /// Although what is in Redis is newer.
    RestoreOlder,
}

/// Does it, and says what was done.
pub fn act(verb: Verb, conf: &Conf, file: &Path) -> Result<String> {
    let conf::Store::Redis(shared) = &conf.registry.store else {
        return Err(anyhow!("the registry is a file of one process; only the store redis is shared and decided about"));
    };
    let disk = conf.registry_path(Some(file)).map(|path| Disk::at(&path));
    let last = disk.map(|disk| disk.read()).transpose().context("what was seen last cannot be read")?.flatten();
    let last = last.map(|(last, _)| last);
    wait(async {
        let keyspace = Keyspace::new(connect(shared).await?);
        let found = keyspace.read(None, Much::All).await?;
        let version = found.version();
        match verb {
            Verb::Show => Ok(format!(
                "in Redis: {}\non this disk: {}",
                told(version),
                told(last.as_ref().map(|last| &last.version))
            )),
            Verb::Init if version.is_some() => Err(anyhow!("there is a registry: {}", told(version))),
            Verb::Init => {
                let begun = keyspace.change(None, &[], random_hex()).await?;
                Ok(format!("begun: {}", told(Some(&begun.context("another has begun it at this moment")?))))
            }
            Verb::Adopt if version.is_none() && last.is_none() => {
                Err(anyhow!("there is no registry in Redis, and none was seen here; `init` begins one"))
            }
            Verb::Adopt => {
                let generation = keyspace.decide(Decision::Adopt, clock::millis()).await?;
                let empty = if version.is_none() { ", and it is empty" } else { "" };
                Ok(format!(
                    "what is in Redis counts, from generation {generation} on{empty}; replicas adopt it now, and keep what they knew (.snapshot-before)"
                ))
            }
            Verb::Restore | Verb::RestoreOlder => {
                let last: &LastSeen =
                    last.as_ref().context("nothing was seen here; run it where a gateway keeps `registry.path`")?;
                let is_older = version
                    .is_some_and(|now| now.epoch == last.version.epoch && now.generation > last.version.generation);
                if is_older && verb == Verb::Restore {
                    return Err(anyhow!(
                        "what was seen here is older: {}; in Redis is {}. What was changed since would be lost; `restore --older` does it all the same",
                        told(Some(&last.version)),
                        told(version)
                    ));
                }
                let generation = keyspace.decide(Decision::Restore(last), clock::millis()).await?;
                Ok(format!(
                    "what was seen here last is in Redis as generation {generation}, {} rows; replicas adopt it now",
                    last.rows.len()
                ))
            }
        }
    })
}

/// Takes over what RouteIQ has registered in a Redis. What is registered here already stays as it is.
pub fn import(conf: &Conf, file: &Path, from: Option<&str>) -> Result<String> {
    let from = match (from, &conf.registry.store) {
        (Some(url), _) => conf::Shared { redis: conf::read_redis(url).map_err(|why| anyhow!(why))?, ca: None },
        (None, conf::Store::Redis(shared)) => shared.clone(),
        (None, conf::Store::Embedded) => {
            return Err(anyhow!("say where RouteIQ's Redis is: --from redis://HOST:PORT/DB"));
        }
    };
    if matches!(from.redis.topology, Topology::Cluster(_)) {
        return Err(anyhow!("keys of a cluster cannot be listed; name the node that has them"));
    }
    let foreign = wait(async { Ok(Foreign::new(connect(&from).await?).servers().await?) })?;
    // A gateway that runs keeps its snapshot itself; a file of one process must be free.
    let path = conf.registry_path(Some(file)).filter(|_| conf.registry.store == conf::Store::Embedded);
    let store = Store::open(conf, path.as_deref(), crate::gateway::taken(conf))?;
    wait(async {
        let guard = Guard::of(conf);
        let (mut taken, mut lines) = (0, Vec::new());
        for (key, text) in foreign {
            match take(&store, &guard, &text).await {
                Ok(id) => {
                    taken += 1;
                    lines.push(format!("{key}: registered as {id}"));
                }
                Err(why @ Rejection::Store(_)) => return Err(anyhow!("{}\n{key}: {why}", lines.join("\n"))),
                Err(why) => lines.push(format!("{key}: left out: {why}")),
            }
        }
        lines.push(format!("{taken} registered"));
        Ok(lines.join("\n"))
    })
}

async fn take(store: &Store, guard: &Guard, text: &str) -> Result<String, Rejection> {
    let registration = routeiq::read_registration(Fields::read(text.as_bytes())?, Surface::Early)?;
    let url = guard.url(&registration.url).map_err(|_| Rejection::OutboundForbidden)?;
    guard.check(&url).await.map_err(|_| Rejection::OutboundForbidden)?;
    let id = registration.external_id.clone().or(registration.name.clone()).unwrap_or_default();
    store.change(registering(id.clone(), registration)).await?;
    Ok(id)
}

fn registering(id: String, registration: Registration) -> Act {
    let now = clock::now();
    Box::new(move |ledger: &mut Ledger| {
        let (own, is_new, rows) = ledger.register(&id, registration.clone(), Clash::Refuse, now)?;
        Ok((Changed::Registered { id: own.to_string(), external_id: id.clone(), is_new }, rows))
    })
}

async fn connect(shared: &conf::Shared) -> Result<Arc<Wire>> {
    let wire = Wire::begin(shared, &[])?;
    let mut up = wire.watch();
    let connected = tokio::time::timeout(CONNECT_LAST, up.wait_for(|up| *up)).await;
    connected.context("Redis is not there; is `registry.url` right?")??;
    Ok(wire)
}

fn wait<T>(what: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(what)
}

fn told(version: Option<&Version>) -> String {
    match version {
        Some(Version { epoch, generation, .. }) => format!("generation {generation} of the registry {epoch}"),
        None => "none".to_owned(),
    }
}
