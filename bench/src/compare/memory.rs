//! What quiet streams and idle sessions cost in memory: each contender is started anew, and holds
//! more and more of them.

use std::sync::Arc;

use anyhow::Result;
use tokio::time::sleep;

use super::Scene;
use super::contender::{Door, Haproxy, Nginx, Server, Setup, Stub, Tollbridge, settle};
use super::rounds::KEYS;
use crate::load::held;
use crate::load::request::{Progress, Shape, Template};
use crate::outcome::{HAPROXY, Held, LEGACY_STREAMS, NGINX, Outcome, SESSIONS, STREAMS};
use crate::process::Processes;

/// File descriptors that are neither a client's connection nor a server's.
const OTHER_FDS: usize = 500;

impl Scene<'_> {
    pub async fn memory(&self, outcome: &mut Outcome) -> Result<()> {
        // nginx sets its connections aside at once, so it is given what it will need and no more. With
        // less than a sixteenth of them free it would begin to close some.
        let most = self.plan.held_streams.iter().max().copied().unwrap_or_default();
        let connections = (2 * most * 16 / 15 + OTHER_FDS).min(self.fds);
        {
            // A stub for each, so that no two of them fight for the ports of closed connections.
            let stub = Stub::start(self.place, "held-stub-1", None, &[]).await?;
            let nginx = Nginx::start(self.place, "held-nginx", &stub.address, connections).await?;
            self.hold(NGINX, &nginx.door, "/mcp", Shape::Modern, outcome).await?;
        }
        if self.has_haproxy(outcome) {
            let stub = Stub::start(self.place, "held-stub-2", None, &[]).await?;
            let haproxy = Haproxy::start(self.place, "held-haproxy", &stub.address, connections / 2).await?;
            self.hold(HAPROXY, &haproxy.door, "/mcp", Shape::Modern, outcome).await?;
        }
        for (label, name, path, shape) in [
            (STREAMS, "held-modern", "/mcp/stub", Shape::Modern),
            (LEGACY_STREAMS, "held-legacy", "/mcp/legacy", Shape::Legacy),
            (SESSIONS, "held-sessions", "/mcp/legacy", Shape::Legacy),
        ] {
            let Some(program) = &self.plan.tollbridge else { continue };
            let stub = Stub::start(self.place, &format!("{name}-stub"), None, &[]).await?;
            let server = match shape {
                Shape::Legacy => Server::legacy("legacy", &stub.address),
                _ => Server::modern("stub", &stub.address),
            };
            let setup = Setup { keys: KEYS, opens: None, servers: vec![server] };
            let tollbridge = Tollbridge::start(self.place, name, program, &setup).await?;
            let door = &tollbridge.door;
            settle(&door.template(path, shape, "echo")).await?;
            if label == SESSIONS {
                let template = Arc::new(door.template(path, shape, "echo"));
                self.hold_sessions(label, &template, &door.processes, outcome).await?;
            } else {
                self.hold(label, door, path, shape, outcome).await?;
            }
        }
        Ok(())
    }

    /// Holds the streams of the plan, step by step.
    async fn hold(&self, label: &str, door: &Door, path: &str, shape: Shape, outcome: &mut Outcome) -> Result<()> {
        let mut template = door.template(path, shape, "quiet");
        template.progress = Progress::Told;
        template.text.clear();
        let template = Arc::new(template);
        self.weigh(label, 0, &door.processes, outcome).await?;
        let mut streams = Vec::new();
        for count in &self.plan.held_streams {
            match held::streams(&template, count.saturating_sub(streams.len())).await {
                Ok(more) => streams.extend(more),
                Err(error) => {
                    outcome.fail(format!("{label}: {count} were not held: {error:#}"));
                    break;
                }
            }
            self.weigh(label, *count, &door.processes, outcome).await?;
        }
        Ok(())
    }

    /// Opens the sessions of the plan, each with one call that is over; no stream is open.
    async fn hold_sessions(
        &self,
        label: &str,
        template: &Arc<Template>,
        of: &Processes,
        outcome: &mut Outcome,
    ) -> Result<()> {
        self.weigh(label, 0, of, outcome).await?;
        let mut opened = 0;
        for count in &self.plan.held_sessions {
            if let Err(error) = held::sessions(template, count.saturating_sub(opened)).await {
                outcome.fail(format!("{label}: {count} were not opened: {error:#}"));
                break;
            }
            opened = *count;
            self.weigh(label, *count, of, outcome).await?;
        }
        Ok(())
    }

    /// Reads the memory of a process that has come to rest.
    async fn weigh(&self, label: &str, count: usize, processes: &Processes, outcome: &mut Outcome) -> Result<()> {
        sleep(self.plan.rest).await;
        let memory = processes.memory()?;
        eprintln!("memory, {label}, {count}: {} KiB", memory.rss_kib);
        let (count, rss_kib, pss_kib) = (count as u64, memory.rss_kib, memory.pss_kib);
        outcome.held.push(Held { label: label.to_owned(), count, rss_kib, pss_kib });
        Ok(())
    }
}
