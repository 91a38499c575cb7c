//! Another process takes over while calls and streams are under way.

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::http::Client;
use crate::harness::ledger::{Tally, Wants, World, follow};
use crate::harness::messages::{call, legacy, legacy_call, legacy_request, start_discovered};
use crate::harness::reader::{Reader, open_session};
use crate::harness::source::{Kind, Source, servers};
use crate::harness::{eventually, scaled};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

const KINDS: [Kind; 3] = [Kind::Resumable, Kind::Resumable, Kind::Modern];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_an_upgrade() {
    let mut sources = Vec::new();
    for (number, kind) in KINDS.into_iter().enumerate() {
        sources.push(Source::start(&format!("s{number}"), kind, 0).await);
    }
    let conf =
        format!("discovery: {{interval: 1h, start_wait: 10s}}\nlimits: {{heartbeat: 1s}}\n{}", servers(&sources));
    let mut gateway = start_discovered(&conf).await;
    let world = Arc::new(World::new(gateway.port, sources));
    let mut followers = JoinSet::new();
    for number in 0..20 {
        let wants =
            [Wants::One(0), Wants::One(1), Wants::Several(vec![0, 1]), Wants::Listen(vec![2])][number % 4].clone();
        followers.spawn(follow(Arc::clone(&world), wants));
    }
    let (load, over) = (Arc::new(Load::default()), Arc::new(AtomicBool::new(false)));
    let mut workers = JoinSet::new();
    for number in 0..6 {
        let session = open_session(gateway.port, "/mcp", KEY).await.unwrap();
        workers.spawn(work(gateway.port, number, session, Arc::clone(&load), Arc::clone(&over)));
    }
    let emitting = {
        let (world, over) = (Arc::clone(&world), Arc::clone(&over));
        tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(50));
            while !over.load(Ordering::Relaxed) {
                pace.tick().await;
                world.sources.iter().for_each(Source::emit);
            }
        })
    };
    let rounds = scaled(2, 20);
    for round in 0..rounds {
        let before = load.good.load(Ordering::Relaxed);
        gateway.upgrade().await;
        assert!(load.good.load(Ordering::Relaxed) > before, "calls went on in round {round}");
    }
    over.store(true, Ordering::Relaxed);
    workers.join_all().await;
    emitting.await.unwrap();
    world.silent.store(true, Ordering::Relaxed);
    let mut tally = Tally::default();
    followers.join_all().await.into_iter().for_each(|each| tally += each);
    let failed = load.failed.lock().unwrap();
    println!("{rounds} upgrades: {} calls, {} failed; {tally:?}", load.good.load(Ordering::Relaxed), failed.len());
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!((tally.lost, tally.doubled), (0, 0), "{tally:?}");
    assert!(tally.resumed > 0, "no stream went on in another process: {tally:?}");
}

#[derive(Default)]
struct Load {
    good: AtomicU64,
    failed: std::sync::Mutex<Vec<String>>,
}

/// Calls in both eras, over connections that are kept for as long as the gateway keeps them.
async fn work(port: u16, number: usize, session: String, load: Arc<Load>, over: Arc<AtomicBool>) {
    let mut kept: Option<Client> = None;
    let mut pace = tokio::time::interval(Duration::from_millis(2));
    while !over.load(Ordering::Relaxed) {
        pace.tick().await;
        let mut client = match kept.take() {
            Some(client) => client,
            None => match Client::connect(port).await {
                Ok(client) => client,
                Err(error) => {
                    load.failed.lock().unwrap().push(format!("refused: {error}"));
                    continue;
                }
            },
        };
        let answer = match number % 2 {
            0 => legacy_call(&mut client, "/mcp", KEY, &session, "s0__say", "{}").await,
            _ => call(&mut client, "/mcp", "s2__say", "{}").await,
        };
        match answer {
            Ok(answer) if answer.status == 200 => {
                load.good.fetch_add(1, Ordering::Relaxed);
                if answer.header("connection") != Some("close") && number != 2 {
                    kept = Some(client);
                }
            }
            Ok(answer) => load.failed.lock().unwrap().push(format!("{} {}", answer.status, answer.text())),
            Err(error) => load.failed.lock().unwrap().push(format!("worker {number}: {error}")),
        }
    }
}

/// What servers gave to a client's session is known after a restart as well.
#[tokio::test]
async fn sessions_outlive_a_restart() {
    let source = Source::start("s", Kind::Resumable, 0).await;
    let server = format!("servers:\n  s: {{url: \"{}\", era: legacy, health: {{interval: 1h}}}}", source.url());
    let mut gateway = start_discovered(&format!("discovery: {{interval: 1h, start_wait: 10s}}\n{server}")).await;
    let session = open_session(gateway.port, "/mcp", KEY).await.unwrap();
    let ended = open_session(gateway.port, "/mcp", KEY).await.unwrap();
    let say = async |port: u16, session: &str| {
        let mut client = Client::connect(port).await.unwrap();
        legacy_call(&mut client, "/mcp", KEY, session, "s__say", "{}").await.unwrap().status
    };
    assert_eq!(say(gateway.port, &session).await, 200);
    let lines = legacy(KEY, Some(&ended));
    assert_eq!(gateway.client().await.request("DELETE", "/mcp", &lines).await.unwrap().status, 200);
    gateway.process.signal("TERM");
    gateway.ended(25).await;
    gateway.start_again().await;
    assert_eq!(say(gateway.port, &ended).await, 404, "what was ended stays ended");
    let before = source.sessions();
    assert_eq!(say(gateway.port, &session).await, 200);
    assert_eq!(source.sessions(), before, "the call went on in the session that the server knows");
}

/// For some seconds both processes serve. What one of them opens at a server the other goes on with, and what
/// ends at one of them has ended at both.
#[tokio::test]
async fn a_session_is_the_same_at_both_processes() {
    let source = Source::start("s", Kind::Resumable, 0).await;
    let server = format!("servers:\n  s: {{url: \"{}\", era: legacy, health: {{interval: 1h}}}}", source.url());
    let mut gateway = start_discovered(&format!("discovery: {{interval: 1h, start_wait: 10s}}\n{server}")).await;
    let port = gateway.port;
    let begin = async || open_session(port, "/mcp", KEY).await.unwrap();
    let (early, late, unread, ended) = (begin().await, begin().await, begin().await, begin().await);
    // Connections that the first process keeps: its next answer on each is its last.
    let mut before = Vec::new();
    for _ in 0..4 {
        let mut client = gateway.client().await;
        let lines = legacy(KEY, Some(&early));
        let ping = legacy_request("1", "ping", "{}");
        assert_eq!(client.post("/mcp", &lines, ping.as_bytes()).await.unwrap().status, 200);
        before.push(client);
    }
    let next = gateway.succeed();
    let handing_over = || async { gateway.log().contains("handing over").then_some(()) };
    eventually("the first process hands over", 20, handing_over).await;
    eventually("both serve", 20, || async { after(port, &early).await }).await;
    let sessions = source.sessions();

    assert_eq!(say(&mut before.pop().unwrap(), &early).await.unwrap(), (200, true), "by the first process");
    assert_eq!(source.sessions(), sessions + 1, "it was opened there");
    assert_eq!(say(&mut after(port, &early).await.unwrap(), &early).await.unwrap(), (200, false));
    assert_eq!(source.sessions(), sessions + 1, "the second process goes on in what the first one has opened");

    assert_eq!(say(&mut after(port, &late).await.unwrap(), &late).await.unwrap(), (200, false));
    assert_eq!(source.sessions(), sessions + 2, "it was opened there");
    assert_eq!(say(&mut before.pop().unwrap(), &late).await.unwrap(), (200, true), "by the first process");
    assert_eq!(source.sessions(), sessions + 2, "and the first one goes on in what the second one has opened");

    let lines = legacy(KEY, Some(&ended));
    let answer = before.pop().unwrap().request("DELETE", "/mcp", &lines).await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "by the first process");
    assert_eq!(say(&mut after(port, &early).await.unwrap(), &ended).await.unwrap().0, 404);

    assert_eq!(say(&mut before.pop().unwrap(), &unread).await.unwrap(), (200, true), "by the first process");
    assert_eq!(source.sessions(), sessions + 3, "it was opened there");
    gateway.ended(30).await;
    gateway.process = next;
    let is_over = || async { (!gateway.file("gateway.overlap").exists()).then_some(()) };
    eventually("what was told is taken in", 20, is_over).await;
    for session in [&early, &late, &unread] {
        assert_eq!(say(&mut gateway.client().await, session).await.unwrap(), (200, false));
    }
    assert_eq!(source.sessions(), sessions + 3);
    assert_eq!(say(&mut gateway.client().await, &ended).await.unwrap().0, 404);
}

/// The status of a call, and whether it is the last one on its connection.
async fn say(client: &mut Client, session: &str) -> Option<(u16, bool)> {
    let answer = legacy_call(client, "/mcp", KEY, session, "s__say", "{}").await.ok()?;
    Some((answer.status, answer.header("connection") == Some("close")))
}

/// A connection to the second process: the one that does not end after an answer.
async fn after(port: u16, session: &str) -> Option<Client> {
    for _ in 0..100 {
        let mut client = Client::connect(port).await.ok()?;
        let lines = legacy(KEY, Some(session));
        let ping = legacy_request("1", "ping", "{}");
        let answer = client.post("/mcp", &lines, ping.as_bytes()).await.ok()?;
        if answer.status == 200 && answer.header("connection") != Some("close") {
            return Some(client);
        }
    }
    None
}

/// An event is one of a session with a server. Where that session is not known any more, a stream from there on
/// would leave out what the client takes for read.
#[tokio::test]
async fn a_stream_does_not_go_on_in_another_session() {
    let source = Source::start("s", Kind::Resumable, 0).await;
    let mut gateway =
        start_discovered(&format!("discovery: {{start_wait: 10s}}\n{}", servers(std::slice::from_ref(&source)))).await;
    for path in ["/mcp/s", "/mcp"] {
        let session = open_session(gateway.port, path, KEY).await.unwrap();
        let mut client = gateway.client().await;
        let tool = if path == "/mcp" { "s__say" } else { "say" };
        let answer = legacy_call(&mut client, path, KEY, &session, tool, "{}").await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let mut stream = Reader::attach(gateway.port, path, KEY, &session, None).await.unwrap();
        source.emit();
        let last = stream.message().await.id;
        assert!(last.is_some());
        let sessions = source.sessions();
        gateway.restart().await;
        let refused = Reader::attach(gateway.port, path, KEY, &session, last.as_deref()).await.err().unwrap();
        assert_eq!(refused.status, 404, "{path}: {}", refused.text());
        assert_eq!(source.sessions(), sessions, "no other session was opened");
    }
}

/// Nobody is there to take over, so nothing happens.
#[tokio::test]
async fn a_successor_must_be_there() {
    let source = Source::start("s", Kind::Modern, 0).await;
    let mut gateway = Gateway::start(&servers(std::slice::from_ref(&source))).await;
    gateway.process.signal("QUIT");
    eventually("it says so", 5, || async { gateway.log().contains("nobody waits to take over").then_some(()) }).await;
    assert_eq!(call(&mut gateway.client().await, "/mcp", "s__say", "{}").await.unwrap().status, 200);
    assert!(gateway.process.ended().is_none());
}
