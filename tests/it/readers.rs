//! What clients can do to a gateway that streams: read nothing, and begin without going on.

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::http::Client;
use crate::harness::messages::{call, legacy, legacy_call, legacy_request, start_discovered};
use crate::harness::reader::open_session;
use crate::harness::source::{Kind, Source, servers};
use crate::harness::{eventually, median, p99, scaled};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

/// `limits.stream_bytes` at its default, and what a stream takes beside its queue: buffers of the two
/// connections, an event that is being written, and the session.
const STREAM_BYTES: u64 = 256 * 1024;
const BESIDE_BYTES: u64 = 256 * 1024;

/// `limits.socket_bytes` at its default, of which Linux makes twice as much (socket(7)).
const SOCKET_BYTES: u64 = 2 * 128 * 1024;

const EVENT_BYTES: usize = 32 * 1024;

/// Whoever does not read holds nothing but its own share, delays nobody, and is cut. Others are asked how
/// they fare without them and beside them in turns: what else the machine does happens to both.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_never_read_cost_what_is_stated() {
    let (count, rounds) = (scaled(60, 1_000), scaled(2, 9));
    let sources = [
        Source::start("a", Kind::Resumable, EVENT_BYTES).await,
        Source::start("b", Kind::Resumable, EVENT_BYTES).await,
        Source::start("m", Kind::Modern, 0).await,
    ];
    let limits = format!("limits: {{heartbeat: 1s, write_timeout: {}s}}", scaled(10, 60));
    let conf = format!("discovery: {{interval: 1h, start_wait: 10s}}\n{limits}\n{}", servers(&sources));
    let gateway = start_discovered(&conf).await;
    let (mut alone, mut beside, mut before, mut held, mut in_system) = (Vec::new(), Vec::new(), 0, 0, 0);
    let mut deaf = Vec::new();
    for _ in 0..rounds {
        drop(std::mem::take(&mut deaf));
        await_streams(&gateway, 0).await;
        await_idleness(&gateway).await;
        measure(gateway.port, &mut alone).await;
        if before == 0 {
            before = gateway.resident_bytes();
        }
        for number in 0..count {
            deaf.push(attach(gateway.port, number).await);
        }
        await_streams(&gateway, count).await;
        // More than the buffers of the system and of the gateway together take.
        let mut pace = tokio::time::interval(Duration::from_millis(5));
        for _ in 0..scaled(300, 250) {
            pace.tick().await;
            sources.iter().for_each(Source::emit);
        }
        await_idleness(&gateway).await;
        held = held.max(gateway.resident_bytes());
        in_system = in_system.max(waits_in_system(gateway.port, &sources));
        measure(gateway.port, &mut beside).await;
    }
    let (windows, alone, beside) = (alone.len(), median(alone), median(beside));
    let table = format!(
        "{count} readers that never read: resident {} KiB, then {} KiB ({} KiB each), at most {} KiB in a socket; p99 of others {alone:?}, then {beside:?}; medians of {windows} windows each\n",
        before >> 10,
        held >> 10,
        (held.saturating_sub(before) / count as u64) >> 10,
        in_system >> 10,
    );
    print!("{table}");
    if let Some(directory) = std::env::var_os("TOLLBRIDGE_RESULTS") {
        std::fs::write(std::path::Path::new(&directory).join("readers.txt"), &table)
            .expect("the result can be written");
    }
    // Of a few the process's own growth is a large part.
    let most = before + count as u64 * (STREAM_BYTES + BESIDE_BYTES) + scaled(8 << 20, 0) as u64;
    assert!(held <= most, "{held} bytes, {most} are stated");
    assert!(in_system <= SOCKET_BYTES, "{in_system} bytes in one socket, {SOCKET_BYTES} are stated");
    // A fifth; at smoke scale, beside other tests, also what a slice of a busy machine is.
    let allowed = alone.mul_f64(1.2) + Duration::from_millis(scaled(10, 0) as u64);
    assert!(beside <= allowed, "{table}{allowed:?} are allowed");
    eventually("they are cut", 90, || async {
        sources.iter().for_each(Source::emit);
        (gateway.sample("tollbridge_open_streams").await == 0.0).then_some(())
    })
    .await;
    assert!(gateway.access_log().contains("\"outcome\":\"slow_reader\""));
    drop(deaf);
}

/// Every other one reads a single server, the rest both.
async fn attach(port: u16, number: usize) -> TcpStream {
    let path = if number.is_multiple_of(2) { "/mcp" } else { "/mcp/a" };
    let session = open_session(port, path, KEY).await.unwrap();
    if path == "/mcp" {
        for tool in ["a__say", "b__say"] {
            let mut client = Client::connect(port).await.unwrap();
            let answer = legacy_call(&mut client, path, KEY, &session, tool, "{}").await.unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(([127, 0, 0, 1], port).into()).await.unwrap();
    let lines = legacy(KEY, Some(&session)).join("\r\n").replace("application/json, ", "");
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n\r\n").as_bytes()).await.unwrap();
    stream
}

async fn await_streams(gateway: &Gateway, count: usize) {
    let open = || async { (gateway.sample("tollbridge_open_streams").await == count as f64).then_some(()) };
    eventually("all streams are open, or none", 30, open).await;
}

async fn await_idleness(gateway: &Gateway) {
    let (mut used, mut idle) = (gateway.cpu_time(), 0);
    eventually("nothing moves", 60, || {
        let now = gateway.cpu_time();
        idle = if now == std::mem::replace(&mut used, now) { idle + 1 } else { 0 };
        std::future::ready((idle == 10).then_some(()))
    })
    .await;
}

/// The most that waits in one socket, to be sent by the gateway or to be read by it.
fn waits_in_system(port: u16, sources: &[Source]) -> u64 {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the system's table of connections");
    let port_of = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    let waits = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [local, remote, queues] = [fields.get(1)?, fields.get(2)?, fields.get(4)?];
        let (to_send, to_read) = queues.split_once(':')?;
        if port_of(local) == Some(port) {
            return u64::from_str_radix(to_send, 16).ok();
        }
        let is_server = sources.iter().any(|source| port_of(remote) == Some(source.port));
        is_server.then(|| u64::from_str_radix(to_read, 16).ok())?
    });
    waits.max().unwrap_or(0)
}

/// The 99th percentile of three windows of calls, one after the other.
async fn measure(port: u16, windows: &mut Vec<Duration>) {
    let mut client = Client::connect(port).await.unwrap();
    for _ in 0..3 {
        let mut took = Vec::new();
        for _ in 0..scaled(500, 5_000) {
            let began = Instant::now();
            assert_eq!(call(&mut client, "/mcp", "m__say", "{}").await.unwrap().status, 200);
            took.push(began.elapsed());
        }
        windows.push(p99(took));
    }
}

/// `initialize` keeps nothing, whether it is right, wrong or given up in the middle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_beginnings_leaves_nothing() {
    let (source, count) = (Source::start("s", Kind::Resumable, 0).await, scaled(5_000, 1_000_000));
    let conf = format!(
        "access_log: off\ndiscovery: {{interval: 1h, start_wait: 10s}}\n{}",
        servers(std::slice::from_ref(&source))
    );
    let gateway = start_discovered(&conf).await;
    // What the allocator keeps for itself is there after the first ones.
    flood(gateway.port, scaled(5_000, 50_000)).await;
    let before = gateway.resident_bytes();
    flood(gateway.port, count).await;
    let grown = gateway.resident_bytes().saturating_sub(before);
    println!("{count} beginnings: {} KiB more", grown >> 10);
    assert!(grown < 8 << 20, "{grown} bytes more");
    assert_eq!(gateway.sample("tollbridge_sessions").await, 0.0, "none of them is a session that is held");
    assert_eq!(call(&mut gateway.client().await, "/mcp", "nothing", "{}").await.unwrap().status, 200);
}

async fn flood(port: u16, count: usize) {
    const WORKERS: usize = 16;
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        workers.spawn(async move {
            let mut client = Client::connect(port).await.unwrap();
            for number in (worker..count).step_by(WORKERS) {
                if number % 100 == 0 {
                    abort(port).await;
                    continue;
                }
                let params = match number % 3 {
                    0 => {
                        r#"{"protocolVersion":"2025-11-25","capabilities":[],"clientInfo":{"name":"t","version":"1"}}"#
                    }
                    1 => r#"{"capabilities":{}}"#,
                    _ => {
                        r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}"#
                    }
                };
                let body = legacy_request("0", "initialize", params);
                let answer = client.post("/mcp", &legacy(KEY, None), body.as_bytes()).await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        });
    }
    workers.join_all().await;
}

/// Goes away in the middle of its body.
async fn abort(port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let lines = legacy(KEY, None).join("\r\n");
    let head = format!("POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\nContent-Length: 500\r\n\r\n{{\"jsonrpc\"");
    stream.write_all(head.as_bytes()).await.unwrap();
}
