//! The rounds: every contender and every scenario once in each, so that a slow minute of the
//! machine hits them all.

use anyhow::{Context, Result};

use super::Scene;
use super::contender::{Door, Haproxy, Nginx, Peer, Server, Setup, Stub, Tollbridge, settle};
use super::row::Row;
use crate::load::held;
use crate::load::request::Shape;
use crate::measurement::Scenario::{Calls, CallsOverSse, Events, FixedRate, List};
use crate::outcome::{
    AGGREGATED, DIRECT, HAPROXY, LEGACY, LIST, NGINX, NGINX_FILE, NGINX_LEGACY, ONE_SERVER, Outcome, REST_NAMED,
    REST_PLAIN, TOLLBRIDGE, TRACED,
};

/// Enough for calls; streams get proxies of their own.
pub const CONNECTIONS: usize = 4_096;
pub const KEYS: u64 = 100;

/// Of tools that each of two servers has; with them one page of a list is full.
const TOOLS_OF_EACH: &str = "500";
const LIST_FILE: &str = "list.json";

/// How much of what Tollbridge can do at most is asked of it at a fixed rate.
const SHARE: f64 = 0.5;

/// All that was started for the rounds; it ends with this.
struct Stage {
    stub: Stub,
    sse_stub: Stub,
    nginx: Nginx,
    sse_nginx: Nginx,
    haproxy: Option<Haproxy>,
    tollbridge: Option<Tollbridge>,
    lists: Option<Lists>,
    peers: Vec<Peer>,
}

/// A Tollbridge whose key sees two of four servers, and the length of the list that it gives.
struct Lists {
    tollbridge: Tollbridge,
    bytes: usize,
    _stub: Stub,
}

impl Scene<'_> {
    pub async fn rounds(&self, outcome: &mut Outcome) -> Result<()> {
        let stage = self.stage(outcome).await?;
        let rows = self.rows(&stage);
        for row in &rows {
            settle(&row.template).await.with_context(|| format!("{} is not ready", row.label))?;
        }
        if self.plan.parts.has("rounds") {
            for round in 1..=self.plan.rounds {
                self.round(&rows, round, outcome).await?;
                self.round(&self.fixed_rate(&rows, round, outcome), round, outcome).await?;
            }
        }
        if self.plan.parts.has("syscalls") {
            self.system_calls(&rows, outcome).await?;
        }
        if self.plan.parts.has("steps") {
            self.steps(&rows, outcome).await?;
        }
        Ok(())
    }

    async fn stage(&self, outcome: &mut Outcome) -> Result<Stage> {
        let Self { plan, place, .. } = self;
        let stub = Stub::start(place, "stub", plan.stub.as_deref(), &[]).await?;
        let sse_stub = Stub::start(place, "sse-stub", None, &["--sse"]).await?;
        let nginx = Nginx::start(place, "nginx", &stub.address, CONNECTIONS).await?;
        let sse_nginx = Nginx::start(place, "sse-nginx", &sse_stub.address, CONNECTIONS).await?;
        let haproxy = match self.has_haproxy(outcome) {
            true => Some(Haproxy::start(place, "haproxy", &stub.address, CONNECTIONS).await?),
            false => None,
        };
        let (mut tollbridge, mut lists) = (None, None);
        if let Some(program) = &plan.tollbridge {
            let servers = vec![
                Server::modern("stub", &stub.address),
                Server::modern("sse-form", &sse_stub.address),
                Server::legacy("legacy", &stub.address),
            ];
            let setup = Setup { keys: KEYS, opens: None, servers };
            tollbridge = Some(Tollbridge::start(place, TOLLBRIDGE, program, &setup).await?);
            lists = Some(self.lists(&nginx, outcome).await?);
        }
        let mut peers = Vec::new();
        for at in &plan.peers {
            let peer = Peer::meet(at, self.plan.patience).await.with_context(|| format!("peer {}", at.name))?;
            if peer.rows.is_empty() {
                let why = format!("{} answers neither modern nor legacy calls", at.name);
                outcome.miss(Some(&at.name), &why);
            }
            peers.push(peer);
        }
        Ok(Stage { stub, sse_stub, nginx, sse_nginx, haproxy, tollbridge, lists, peers })
    }

    /// Starts what answers the lists, and has nginx serve the same answer as a file.
    async fn lists(&self, nginx: &Nginx, outcome: &mut Outcome) -> Result<Lists> {
        let program = self.plan.tollbridge.as_ref().context("it takes part")?;
        let stub = Stub::start(self.place, "tools-stub", None, &["--tools", TOOLS_OF_EACH]).await?;
        let servers = ["seen-1", "seen-2", "unseen-1", "unseen-2"].map(|id| Server::modern(id, &stub.address));
        let setup = Setup { keys: KEYS, opens: Some("seen-*"), servers: servers.into() };
        let tollbridge = Tollbridge::start(self.place, "lists", program, &setup).await?;
        let template = tollbridge.door.template("/mcp", Shape::List, "");
        settle(&template).await?;
        let list = held::list(&template, 1_000).await?;
        nginx.add_file(self.place, NGINX, LIST_FILE, &list)?;
        outcome.list_bytes = Some(list.len());
        Ok(Lists { tollbridge, bytes: list.len(), _stub: stub })
    }

    fn rows(&self, stage: &Stage) -> Vec<Row> {
        let connections = self.plan.connections;
        let mut rows = Vec::new();
        let call = |label: &str, door: &Door, path: &str, shape, tool| {
            Row::new(Calls, label, door, door.template(path, shape, tool), connections)
        };
        let modern = |label: &str, door: &Door| call(label, door, "/mcp", Shape::Modern, "echo");
        // What is compared stands close together.
        rows.push(modern(DIRECT, &stage.stub.door));
        rows.extend(stage.haproxy.iter().map(|haproxy| modern(HAPROXY, &haproxy.door).against(NGINX)));
        rows.push(modern(NGINX, &stage.nginx.door).against(NGINX));
        if let Some(Tollbridge { door, .. }) = &stage.tollbridge {
            rows.extend([
                call(ONE_SERVER, door, "/mcp/stub", Shape::Modern, "echo").against(NGINX),
                call(TRACED, door, "/mcp/stub", Shape::Traced, "echo").against(NGINX),
                call(AGGREGATED, door, "/mcp", Shape::Modern, "stub__echo").against(NGINX),
                call(REST_PLAIN, door, "/mcp/stub/tools/echo", Shape::Plain, "echo").against(NGINX),
                call(REST_NAMED, door, "/llmrouter/mcp/tools/call", Shape::Named, "stub__echo").against(NGINX),
                call(LEGACY, door, "/mcp/legacy", Shape::Legacy, "echo").against(NGINX_LEGACY),
            ]);
        }
        rows.push(call(NGINX_LEGACY, &stage.nginx.door, "/mcp", Shape::Legacy, "echo").against(NGINX_LEGACY));
        for peer in &stage.peers {
            for (label, template) in &peer.rows {
                let against = if template.shape == Shape::Legacy { NGINX_LEGACY } else { NGINX };
                rows.push(Row::new(Calls, label, &peer.door, template.clone(), connections).against(against));
            }
        }
        rows.extend(self.rows_of_streams(stage));
        rows.extend(self.rows_of_lists(stage));
        rows
    }

    /// Calls that are answered by a stream of one event, and streams of many.
    fn rows_of_streams(&self, stage: &Stage) -> Vec<Row> {
        let Self { plan, .. } = self;
        let over_sse = |label: &str, door: &Door, path: &str| {
            let template = door.template(path, Shape::Modern, "echo");
            Row::new(CallsOverSse, label, door, template, plan.connections)
        };
        let events = |label: &str, door: &Door, path: &str| {
            let template = door.template(path, Shape::Modern, "stream");
            Row::new(Events, label, door, template, plan.streams).streaming()
        };
        let mut rows = vec![
            over_sse(DIRECT, &stage.sse_stub.door, "/mcp"),
            over_sse(NGINX, &stage.sse_nginx.door, "/mcp").against(NGINX),
        ];
        let ours = stage.tollbridge.as_ref().map(|tollbridge| &tollbridge.door);
        rows.extend(ours.map(|door| over_sse(ONE_SERVER, door, "/mcp/sse-form").against(NGINX)));
        rows.push(events(DIRECT, &stage.stub.door, "/mcp"));
        rows.push(events(NGINX, &stage.nginx.door, "/mcp").against(NGINX));
        rows.extend(stage.haproxy.iter().map(|haproxy| events(HAPROXY, &haproxy.door, "/mcp").against(NGINX)));
        rows.extend(ours.map(|door| events(ONE_SERVER, door, "/mcp/stub").against(NGINX)));
        rows
    }

    fn rows_of_lists(&self, stage: &Stage) -> Vec<Row> {
        let Some(Lists { tollbridge, bytes, .. }) = &stage.lists else { return Vec::new() };
        let row = |label, door: &Door, path: &str, shape| {
            let mut template = door.template(path, shape, "");
            template.answer_bytes = Some(*bytes);
            Row::new(List, label, door, template, self.plan.connections).against(NGINX_FILE)
        };
        vec![
            row(NGINX_FILE, &stage.nginx.door, &format!("/files/{LIST_FILE}"), Shape::File),
            row(LIST, &tollbridge.door, "/mcp", Shape::List),
        ]
    }

    /// The calls of some contenders again, at half the rate that Tollbridge has reached in this round.
    fn fixed_rate(&self, rows: &[Row], round: u32, outcome: &Outcome) -> Vec<Row> {
        let mut reached = outcome.of(Calls).filter(|measurement| measurement.round == round);
        let reached = reached.find(|measurement| measurement.label == ONE_SERVER);
        let Some(rate) = reached.map(|measurement| measurement.found.per_second * SHARE) else { return Vec::new() };
        let wanted = [DIRECT, NGINX, HAPROXY, ONE_SERVER];
        let rows = rows.iter().filter(|row| row.scenario == Calls && wanted.contains(&row.label.as_str()));
        rows.map(|row| Row { scenario: FixedRate, ..row.clone().per_second(rate) }).collect()
    }
}
