//! How long a start takes, from the program's start to its first answer, and what memory it takes
//! before anything has been asked of it.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::Scene;
use super::child::Child;
use super::contender::{Haproxy, Nginx, Server, Setup, Stub, Tollbridge};
use super::rounds::{CONNECTIONS, KEYS};
use crate::outcome::{HAPROXY, NGINX, Outcome, Start, TOLLBRIDGE};

impl Scene<'_> {
    pub async fn starts(&self, outcome: &mut Outcome) -> Result<()> {
        let stub = Stub::start(self.place, "starts-stub", None, &[]).await?;
        let haproxy = self.has_haproxy(outcome);
        let setup = Setup { keys: KEYS, opens: None, servers: vec![Server::modern("stub", &stub.address)] };
        for number in 1..=self.plan.starts {
            let nginx = Nginx::start(self.place, &format!("start-nginx-{number}"), &stub.address, CONNECTIONS).await?;
            note(NGINX, &nginx.child, self.plan.rest, outcome).await?;
            drop(nginx);
            if haproxy {
                let name = format!("start-haproxy-{number}");
                let haproxy = Haproxy::start(self.place, &name, &stub.address, CONNECTIONS).await?;
                note(HAPROXY, &haproxy.child, self.plan.rest, outcome).await?;
            }
            if let Some(program) = &self.plan.tollbridge {
                let name = format!("start-tollbridge-{number}");
                let tollbridge = Tollbridge::start(self.place, &name, program, &setup).await?;
                note(TOLLBRIDGE, &tollbridge.child, self.plan.rest, outcome).await?;
            }
        }
        Ok(())
    }
}

async fn note(label: &str, child: &Child, rest: Duration, outcome: &mut Outcome) -> Result<()> {
    sleep(rest).await;
    let memory = child.processes()?.memory()?;
    let ms = child.ready_after.as_secs_f64() * 1e3;
    eprintln!("start, {label}: {ms:.1} ms, {} KiB", memory.rss_kib);
    outcome.starts.push(Start { label: label.to_owned(), ms, rss_kib: memory.rss_kib, pss_kib: memory.pss_kib });
    Ok(())
}
