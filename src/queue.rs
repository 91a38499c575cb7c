//! The queue: jobs that come over Redis lists in place of requests over HTTP, as oliverye's mcp-gateway had them.
//!
//! A job is claimed, done, and answered; a tool call is noted as sent before it goes out. Whoever claims one has
//! it on lease. Where the lease is over, because its replica died, another takes the job over: it is done anew if
//! it was not sent, and answered with an error if it was, because nobody knows whether the server did it. So every
//! job is answered once, and no call goes out twice.
//!
//! This has a thread of its own: it waits for Redis, which nobody else may.

mod answer;
mod ask;
mod held;
mod redis;
mod work;

use self::redis::{Keyspace, Taken};
use crate::clock;
use crate::conf::Queue;
use crate::gateway::Gateway;
use crate::redis::{Unanswered, Wire};
use anyhow::Context;
use held::Held;
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tollbridge_filters::auth::Principal;
use tollbridge_filters::path::Scope;
use tollbridge_filters::surface::oliverye;
use tollbridge_filters::surface::view::View;
use work::Work;

/// Between two looks where nothing was found: longer and longer.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(400);

/// So many are claimed in one step, that Redis is not held up by it.
const CLAIMED_MAX: u32 = 16;

/// How often it is told what there is.
const TELL_EVERY: Duration = Duration::from_secs(20);
const TELL_AGAIN: Duration = Duration::from_secs(2);

pub struct Consumer {
    gateway: Arc<Gateway>,
    keyspace: Keyspace,
    conf: Queue,
    slots: Arc<Semaphore>,
    held: Arc<Held>,
    /// What Redis said no to last, so that it is logged once.
    refused: Mutex<Option<String>>,
}

/// Begins to do jobs, if that is configured.
pub fn start(gateway: &Arc<Gateway>) -> anyhow::Result<()> {
    let Some(conf) = gateway.live().conf.queue.clone() else {
        return Ok(());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // What is spawned here runs on the thread below.
    let entered = runtime.enter();
    let wire = Wire::begin(&conf.store, &[])?;
    drop(entered);
    let consumer = Arc::new(Consumer {
        gateway: Arc::clone(gateway),
        keyspace: Keyspace::new(wire, &conf),
        slots: Arc::new(Semaphore::new(conf.in_flight)),
        held: Arc::default(),
        refused: Mutex::default(),
        conf,
    });
    let thread = std::thread::Builder::new().name("queue".to_owned());
    thread.spawn(move || runtime.block_on(consumer.run())).context("no thread for the queue")?;
    Ok(())
}

impl Consumer {
    async fn run(self: Arc<Consumer>) {
        tokio::join!(self.keep_claiming(), self.keep_leases(), self.keep_taking_over(), self.keep_telling());
    }

    /// Whoever stops leaves the jobs to others, and so does a replica that does not know what there is.
    fn may_begin(&self) -> bool {
        let gateway = &self.gateway;
        !gateway.lifecycle.is_draining() && gateway.is_ready() && self.keyspace.is_up() && !gateway.budget.is_spent()
    }

    async fn keep_claiming(self: &Arc<Consumer>) {
        let mut again = LOOK_AGAIN;
        loop {
            let slots = self.free_slots().await;
            if self.claim(slots).await > 0 {
                again = LOOK_AGAIN;
                continue;
            }
            tokio::time::sleep(again).await;
            again = (again * 2).min(LOOK_AGAIN_MAX);
        }
    }

    /// As many as are free, at least one.
    async fn free_slots(&self) -> Option<OwnedSemaphorePermit> {
        let mut slots = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        let more = u32::try_from(self.slots.available_permits()).unwrap_or(u32::MAX).min(CLAIMED_MAX - 1);
        if let Ok(more) = Arc::clone(&self.slots).try_acquire_many_owned(more) {
            slots.merge(more);
        }
        Some(slots)
    }

    async fn claim(self: &Arc<Consumer>, slots: Option<OwnedSemaphorePermit>) -> usize {
        let Some(slots) = slots.filter(|_| self.may_begin()) else { return 0 };
        let bytes_max = self.gateway.live().conf.limits.body_bytes;
        match self.keyspace.claim(slots.num_permits(), bytes_max).await {
            Ok(claimed) => {
                self.gateway.metrics.queue_poison.inc_by(claimed.poisoned);
                let found = claimed.jobs.len();
                self.begin(claimed.jobs, slots);
                found
            }
            Err(why) => {
                self.note_refused(&why);
                0
            }
        }
    }

    fn begin(self: &Arc<Consumer>, jobs: Vec<Taken>, mut slots: OwnedSemaphorePermit) {
        for taken in jobs {
            // There are never more of them than were asked for.
            if let Some(slot) = slots.split(1) {
                let held = self.held.hold(&self.gateway, &taken, slot);
                tokio::spawn(Work::new(Arc::clone(self), taken, held).run());
            }
        }
    }

    /// Also right after Redis was away, before others may think that nobody is here.
    async fn keep_leases(&self) {
        let mut up = self.keyspace.watch();
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.conf.lease / 3) => {}
                _ = up.changed() => {}
            }
            let held = self.held.tries();
            if self.keyspace.is_up()
                && !held.is_empty()
                && let Err(why) = self.keyspace.renew(&held).await
            {
                self.note_refused(&why);
            }
        }
    }

    /// While Redis was away nobody could renew, so whoever lives gets the time to do it.
    async fn keep_taking_over(self: &Arc<Consumer>) {
        let mut up = self.keyspace.watch();
        loop {
            // The sender lives as long as this does.
            let _ = up.wait_for(|up| *up).await;
            self.refused.lock().unwrap_or_else(PoisonError::into_inner).take();
            tokio::select! {
                _ = up.wait_for(|up| !*up) => {}
                () = self.take_over() => {}
            }
        }
    }

    async fn take_over(self: &Arc<Consumer>) {
        tokio::time::sleep(self.conf.lease).await;
        loop {
            tokio::time::sleep(self.conf.lease / 4).await;
            loop {
                let Some(slots) = self.free_slots().await.filter(|_| self.may_begin()) else { break };
                match self.keyspace.take_over(slots.num_permits()).await {
                    Ok(taken) if taken.is_empty() => break,
                    Ok(taken) => {
                        tracing::info!(jobs = taken.len(), "jobs of a replica that is gone were taken over");
                        self.begin(taken, slots);
                    }
                    Err(why) => {
                        self.note_refused(&why);
                        break;
                    }
                }
            }
        }
    }

    /// For whoever pushes jobs and wants to know what there is.
    async fn keep_telling(&self) {
        loop {
            let again = match self.may_begin() {
                false => LOOK_AGAIN,
                true if self.tell().await => TELL_EVERY,
                true => TELL_AGAIN,
            };
            tokio::time::sleep(again).await;
        }
    }

    async fn tell(&self) -> bool {
        let principal = self.gateway.live().filters.keyring.named(&self.conf.principal);
        let Some((status, inventory)) = principal.map(|principal| self.told(&principal)) else { return true };
        let told = self.keyspace.tell(&status, &inventory).await;
        told.inspect_err(|why| self.note_refused(why)).is_ok()
    }

    fn told(&self, principal: &Principal) -> (String, String) {
        let snapshot = self.gateway.registry.snapshot();
        let view = View { snapshot: &snapshot, principal, scope: &Scope::All };
        let (servers, tools) = (view.servers().count(), view.tools().count());
        let timestamp = clock::millis() as f64 / 1e3;
        let status = json!({"status": "healthy", "servers": servers, "tools": tools, "timestamp": timestamp});
        (status.to_string(), oliverye::tools(&view, None).to_string())
    }

    fn note_refused(&self, why: &Unanswered) {
        let why = why.to_string();
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.as_ref() != Some(&why) {
            tracing::warn!(%why, "the queue cannot go on");
            *refused = Some(why);
        }
    }
}
