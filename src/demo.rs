//! `tollbridge demo`: two real MCP servers, one of each era, the gateway before them and a client that
//! shows what it does, in one process and without set-up. Nothing here is used when a gateway serves.

mod client;
mod handout;
mod page;
mod reply;
mod request;
#[cfg(test)]
mod tests;
mod tools;
mod tour;
mod upstream;

use anyhow::{Context, ensure};
use page::Page;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;
use upstream::Era;

/// Where the demonstration listens, and the key that opens it.
struct Site {
    gateway: SocketAddr,
    admin: SocketAddr,
    key: String,
}

impl Site {
    fn url(&self) -> String {
        format!("http://{}/mcp", self.gateway)
    }

    fn configuration(&self, modern: SocketAddr, legacy: SocketAddr) -> String {
        let Site { gateway, admin, key } = self;
        format!(
            "listen: {gateway}\n\
             admin: {{listen: \"{admin}\"}}\n\
             keys:\n\
             - {{id: demo, key: \"{key}\"}}\n\
             servers:\n\
             \x20 {modern_id}: {{url: \"http://{modern}/mcp\"}}\n\
             \x20 {legacy_id}: {{url: \"http://{legacy}/mcp\"}}\n\
             drain: {{accept: 100ms, exit: 2s}}\n\
             access_log: off\n",
            modern_id = Era::Modern.server_id(),
            legacy_id = Era::Legacy.server_id(),
        )
    }
}

/// Runs everything until Ctrl-C. An error when the gateway failed, or a step of the walk-through did.
pub fn run() -> anyhow::Result<()> {
    let begin = Instant::now();
    let (modern, modern_addr) = local_listener(0)?;
    let (legacy, legacy_addr) = local_listener(0)?;
    let (held, gateway) = preferred_listener(8080)?;
    let (also_held, admin) = preferred_listener(9090)?;
    let site = Site { gateway, admin, key: crate::keys::new() };
    let conf = crate::conf::parse(&site.configuration(modern_addr, legacy_addr), &|_| None)?;

    upstream::spawn(vec![(Era::Modern, modern), (Era::Legacy, legacy)])?;
    // The gateway binds for itself. Should another process take a port in between, its start fails and says so.
    drop((held, also_held));
    let failures = Arc::new(AtomicUsize::new(0));
    let counted = failures.clone();
    thread::Builder::new().name("demo tour".to_owned()).spawn(move || show(&site, begin, &counted))?;

    crate::server::run(conf, None, crate::server::Start::Open)?;
    let failures = failures.load(Ordering::Relaxed);
    ensure!(failures == 0, "steps of the demonstration that failed: {failures}");
    Ok(())
}

/// One of the two servers alone, until it is killed: the peer of integration tests.
pub fn serve(era: &str, port: u16) -> anyhow::Result<()> {
    let era = Era::named(era).with_context(|| format!("no era {era:?}: it is modern or legacy"))?;
    let (listener, addr) = local_listener(port)?;
    println!("listening {}", addr.port());
    upstream::serve(vec![(era, listener)])
}

/// A closed stdout (`tollbridge demo | head`) ends the show; the gateway goes on.
fn show(site: &Site, begin: Instant, failures: &AtomicUsize) {
    let mut page = Page::stdout();
    let _ = tour::walk(site, begin, &mut page, failures).and_then(|()| handout::print(site, &mut page));
}

fn local_listener(port: u16) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("port {port}"))?;
    let addr = listener.local_addr()?;
    Ok((listener, addr))
}

fn preferred_listener(port: u16) -> anyhow::Result<(TcpListener, SocketAddr)> {
    local_listener(port).or_else(|_| local_listener(0))
}
