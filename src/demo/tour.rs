//! The walk-through: one client of each era goes through the gateway, and every answer is checked. What is
//! printed as done was done.

use super::page::Page;
use super::reply::Reply;
use super::request::Request;
use super::upstream::Era;
use super::{Site, client};
use anyhow::{Context, bail, ensure};
use serde_json::json;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const START_WAIT: Duration = Duration::from_secs(10);

/// Fails only when nothing can be printed any more; failed steps are counted in `failures`.
pub(super) fn walk(site: &Site, begin: Instant, page: &mut Page, failures: &AtomicUsize) -> io::Result<()> {
    let mut tour = Tour { site, page, failures };
    tour.welcome(begin)?;
    tour.modern_client()?;
    tour.legacy_client()?;
    match failures.load(Ordering::Relaxed) {
        0 => Ok(()),
        failures => page.failed(&format!("steps above that went wrong: {failures}")),
    }
}

struct Tour<'a> {
    site: &'a Site,
    page: &'a mut Page,
    failures: &'a AtomicUsize,
}

impl Tour<'_> {
    fn welcome(&mut self, begin: Instant) -> io::Result<()> {
        let ready = wait_until_ready(self.site);
        let [modern, legacy] = [Era::Modern, Era::Legacy].map(Era::server_id);
        self.page.heading("Tollbridge, with two MCP servers behind it")?;
        self.page.line(&format!("  gateway   {}", self.site.url()))?;
        self.page.line(&format!("  operators http://{}/metrics", self.site.admin))?;
        self.page.line(&format!("  key       {}   (made up for this run)", self.site.key))?;
        self.page.line(&format!("  behind it {modern} speaks 2026-07-28 only, without sessions"))?;
        self.page.line(&format!("            {legacy} speaks up to 2025-11-25 only, with sessions"))?;
        // Until the gateway bridges the eras.
        self.page.line("            each client sees the server of its own era")?;
        match ready {
            Ok(()) => self.page.line(&format!("  ready     after {} ms", begin.elapsed().as_millis())),
            Err(error) => self.fail(&error),
        }
    }

    fn modern_client(&mut self) -> io::Result<()> {
        self.page.heading("A modern client: every request stands alone")?;
        let site = self.site;
        self.step(&Request::modern(site, 1, "server/discover", json!({})), |reply| {
            let versions = &reply.result()?["supportedVersions"];
            ensure!(versions.to_string().contains("2026-07-28"), "supportedVersions is {versions}");
            Ok(())
        })?;
        self.list(&Request::modern(site, 2, "tools/list", json!({})), Era::Modern)?;
        let params = json!({"name": format!("{}__echo", Era::Modern.server_id()), "arguments": {"text": "hello"}});
        self.step(&Request::modern(site, 3, "tools/call", params), |reply| reply.says("hello"))?;
        self.step(&counting(site), |reply| {
            let progress = reply.notifications("notifications/progress");
            ensure!(progress == 3, "{progress} progress events instead of 3");
            reply.says("counted to 3")
        })?;
        Ok(())
    }

    fn legacy_client(&mut self) -> io::Result<()> {
        self.page.heading("A legacy client: initialize, then a session")?;
        let site = self.site;
        let opened = self.step(&Request::initialize(site), |reply| {
            ensure!(!reply.session.is_empty(), "no Mcp-Session-Id");
            reply.result().map(drop)
        })?;
        let Some(Reply { session, .. }) = opened else {
            return self.page.note("Without a session the legacy client ends here.");
        };
        self.page.note(&format!("Mcp-Session-Id: {session:.60}"))?;
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.step(&Request::legacy(site, &session, initialized), Reply::accepted)?;
        let list = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}});
        self.list(&Request::legacy(site, &session, list), Era::Legacy)?;
        let params = json!({"name": format!("{}__add", Era::Legacy.server_id()), "arguments": {"a": 2, "b": 3}});
        let call = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": params});
        self.step(&Request::legacy(site, &session, call), |reply| reply.says("5"))?;
        self.step(&Request::delete(site, &session), Reply::accepted)?;
        Ok(())
    }

    /// `tools/list`, which must name the tools of the client's own era.
    fn list(&mut self, request: &Request, era: Era) -> io::Result<()> {
        let wanted = format!("{}__echo", era.server_id());
        let listed = self.step(request, |reply| {
            ensure!(reply.tools()?.contains(&wanted.as_str()), "{wanted} is not in the list");
            Ok(())
        })?;
        let Some(reply) = listed else { return Ok(()) };
        let names = reply.tools().unwrap_or_default();
        self.page.note(&format!("{} tools: {}", names.len(), names.join(" ")))
    }

    /// Sends, prints, checks. None when the step failed, which is printed and counted.
    fn step(
        &mut self,
        request: &Request,
        check: impl FnOnce(&Reply) -> anyhow::Result<()>,
    ) -> io::Result<Option<Reply>> {
        self.page.sent(format!("{} /mcp  {}", request.verb, request.method()).trim_end(), request.body.as_ref())?;
        match self.exchange(request).and_then(|reply| check(&reply).map(|()| reply)) {
            Ok(reply) => Ok(Some(reply)),
            Err(error) => self.fail(&error).map(|()| None),
        }
    }

    fn exchange(&mut self, request: &Request) -> anyhow::Result<Reply> {
        let begin = Instant::now();
        let mut answer = client::send(self.site.gateway, request)?;
        let kind = answer.header("content-type").to_owned();
        let session = answer.header("mcp-session-id").to_owned();
        let status = answer.status.as_u16();
        self.page.answered(format!("{status} {kind}").trim_end(), begin.elapsed())?;
        let mut messages = Vec::new();
        answer.each_message(|message| {
            match kind.as_str() {
                "text/event-stream" => self.page.event(begin.elapsed(), &message)?,
                _ => self.page.message(&message)?,
            }
            messages.push(message);
            Ok(())
        })?;
        Ok(Reply { status, session, messages })
    }

    fn fail(&mut self, error: &anyhow::Error) -> io::Result<()> {
        // Printed first: that nobody reads any more is no failure of the gateway.
        self.page.failed(&format!("{error:#}"))?;
        self.failures.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A call that tells of its progress, so its answer is a stream.
pub(super) fn counting(site: &Site) -> Request {
    let name = format!("{}__count", Era::Modern.server_id());
    Request::modern(site, 4, "tools/call", json!({"name": name, "arguments": {"n": 3}})).with_progress("demo")
}

fn wait_until_ready(site: &Site) -> anyhow::Result<()> {
    let end = Instant::now() + START_WAIT;
    loop {
        match client::get(site.admin, "/readyz") {
            Ok(answer) if answer.status.is_success() => return Ok(()),
            _ if Instant::now() < end => thread::sleep(Duration::from_millis(10)),
            Ok(answer) => bail!("the gateway is not ready: /readyz says {}", answer.status),
            Err(error) => return Err(error).context("the gateway does not answer on /readyz"),
        }
    }
}
