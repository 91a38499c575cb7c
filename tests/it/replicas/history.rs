//! Random changes by three writers at three replicas, while Redis is killed, stopped, cut off, demoted, and flushed
//! and filled again by an operator: what was acknowledged, refused and left open must fit one order of things for
//! every server.

mod order;

use super::fleet::{operate, replicas};
use crate::harness::gateway::{ADMIN_KEY, Gateway};
use crate::harness::http::{Client, Response};
use crate::harness::redis::Redis;
use crate::harness::rest::{bearer, rest};
use crate::harness::{eventually, scaled};
use order::{Act, Done, Op, contradiction};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const SERVERS: u64 = 12;
const WRITERS: usize = 3;

/// So many changes are left at least when Redis is flushed, so that every writer asks once more: else a replica
/// finds out when it reads all of it, every 30 s.
const FLUSHED_BEFORE: usize = 100;

/// A small generator, so that a seed gives the same run of operations.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

struct World {
    began: Instant,
    log: Mutex<Vec<Op>>,
    left: AtomicUsize,
    is_over: AtomicBool,
}

impl World {
    fn goes_on_for(&self, operations: usize) -> bool {
        self.left.load(Ordering::SeqCst) >= operations
    }

    /// Waits until so many more operations have ended, or none is left.
    async fn goes_on(&self, operations: u64) {
        let ended = || self.log.lock().unwrap().len() as u64;
        let wanted = ended() + operations;
        let is_there = || async { (ended() >= wanted || self.is_over.load(Ordering::SeqCst)).then_some(()) };
        eventually("operations go on", 60, is_there).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_fit_one_order() {
    for seed in 0..scaled(1, 5) as u64 {
        run(0x9E37_79B9_7F4A_7C15 ^ (seed + 1), scaled(1_000, 100_000)).await;
    }
}

async fn run(seed: u64, operations: usize) {
    let mut redis = Redis::start().await;
    let gateways = replicas(&redis, WRITERS).await;
    let (log, left, is_over) = (Mutex::default(), AtomicUsize::new(operations), AtomicBool::new(false));
    let world = Arc::new(World { began: Instant::now(), log, left, is_over });
    let mut writers = JoinSet::new();
    for (number, gateway) in gateways.iter().enumerate() {
        let random = Random(seed.rotate_left(16 * number as u32 + 1));
        writers.spawn(write(Arc::clone(&world), gateway.port, number, random));
    }
    let writing = async {
        writers.join_all().await;
        world.is_over.store(true, Ordering::SeqCst);
    };
    let ((), faults) = tokio::join!(writing, go_wrong(&world, &mut redis, &gateways, Random(seed)));
    let mut log = std::mem::take(&mut *world.log.lock().unwrap());
    log.extend(final_reads(&world, &gateways).await);
    bound_open(&mut log);
    let open = log.iter().filter(|op| op.done == Done::Open).count();
    println!(
        "seed {seed:#x}: {} operations, {open} left open, {faults} faults, {:?}",
        log.len(),
        world.began.elapsed()
    );
    assert!(faults > 0 && open < operations / 4, "{faults} faults, {open} of {operations} left open");
    for server in 0..SERVERS {
        let of: Vec<Op> = log.iter().filter(|op| op.server == server).cloned().collect();
        assert!(of.len() > operations / 100, "{} operations of s{server}", of.len());
        assert_eq!(contradiction(&of), None, "seed {seed:#x}, server s{server}");
    }
    for gateway in &gateways {
        assert_eq!(gateway.sample("tollbridge_registry_went_back").await, 0.0, "nothing was lost");
    }
}

async fn write(world: Arc<World>, port: u16, writer: usize, mut random: Random) {
    let mut client = None;
    let mut number = 0;
    // Whoever is refused does not ask all the time.
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while world.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        number += 1;
        let (server, value) = (random.below(SERVERS), format!("w{writer}-{number}"));
        let act = match random.below(4) {
            0 => Act::Create(value),
            1 | 2 => Act::Overwrite(value),
            _ => Act::Delete,
        };
        let begun = world.began.elapsed();
        let done = ask(&mut client, port, server, &act).await;
        let op = Op { server, writer, act, begun, ended: world.began.elapsed(), done };
        let is_refused = matches!(op.done, Done::Open | Done::Untouched);
        world.log.lock().unwrap().push(op);
        if is_refused {
            pace.tick().await;
        }
    }
}

async fn ask(client: &mut Option<Client>, port: u16, server: u64, act: &Act) -> Done {
    let id = format!("s{server}");
    let url = "http://127.0.0.1:9/mcp";
    let (line, body) = match act {
        Act::Create(name) => {
            ("POST /v1/mcp/server".to_owned(), json!({"server_id": id, "server_name": name, "url": url}))
        }
        Act::Overwrite(name) => {
            ("POST /llmrouter/mcp/servers".to_owned(), json!({"server_id": id, "name": name, "url": url}))
        }
        _ => (format!("DELETE /llmrouter/mcp/servers/{id}"), Value::Null),
    };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let headers = [bearer(ADMIN_KEY), "Content-Type: application/json".to_owned()];
    if client.is_none() {
        *client = Some(Client::connect(port).await.expect("the gateway is there"));
    }
    let answer = client.as_mut().expect("a connection").ask(&line, &headers, body.as_bytes()).await;
    match answer {
        Ok(answer) => judge(&answer, act),
        Err(_) => {
            *client = None;
            Done::Open
        }
    }
}

fn judge(answer: &Response, act: &Act) -> Done {
    match (answer.status, act) {
        (200..=202, _) => Done::Yes,
        (400, Act::Create(_)) | (404, Act::Delete) => Done::Refused,
        (503, _) if answer.text().contains("is not known") => Done::Open,
        (503, _) => Done::Untouched,
        _ => panic!("{} {}", answer.status, answer.text()),
    }
}

/// A replica makes one change after the other, each on what the store says at that moment. So one that was left
/// open has happened by the time when its writer has got two further answers, or not at all.
fn bound_open(log: &mut [Op]) {
    log.sort_by_key(|op| op.begun);
    let mut answered: Vec<VecDeque<Duration>> = vec![VecDeque::new(); WRITERS + 1];
    for op in log.iter_mut().rev() {
        let later = &mut answered[op.writer];
        match op.done {
            Done::Open => op.ended = later.get(1).copied().unwrap_or(Duration::MAX),
            Done::Yes | Done::Refused => {
                later.push_front(op.ended);
                later.truncate(2);
            }
            Done::Untouched => {}
        }
    }
}

/// Faults one after the other until everything is written; gives how many.
async fn go_wrong(world: &World, redis: &mut Redis, gateways: &[Gateway], mut random: Random) -> usize {
    let mut faults = 0;
    world.goes_on(50).await;
    flush_and_restore(redis, gateways).await;
    while !world.is_over.load(Ordering::SeqCst) {
        // A hundred faults or so in a run.
        world.goes_on(20 + random.below(scaled(200, 1_200) as u64)).await;
        match random.below(50) {
            0 if world.goes_on_for(FLUSHED_BEFORE) => flush_and_restore(redis, gateways).await,
            1..10 => {
                redis.cli(&["REPLICAOF", "127.0.0.1", "1"]);
                world.goes_on(random.below(50)).await;
                redis.cli(&["REPLICAOF", "NO", "ONE"]);
            }
            10..20 => {
                redis.kill();
                world.goes_on(random.below(50)).await;
                redis.start_again().await;
            }
            20..30 => {
                redis.signal("STOP");
                // How long it hangs is what differs: nobody is answered meanwhile.
                tokio::time::sleep(Duration::from_millis(random.below(1_000))).await;
                redis.signal("CONT");
            }
            30..38 => drop(redis.cli(&["CLIENT", "KILL", "TYPE", "normal"])),
            38..45 => drop(redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"])),
            _ => drop(redis.cli(&["CLIENT", "PAUSE", "300", "ALL"])),
        }
        faults += 1;
    }
    faults
}

/// Nothing is taken over from what is empty; the operator goes to the replica that knows most.
async fn flush_and_restore(redis: &Redis, gateways: &[Gateway]) {
    redis.cli(&["FLUSHALL"]);
    let mut known = Vec::new();
    for gateway in gateways {
        let is_saved = || async {
            let alarmed = gateway.sample("tollbridge_registry_went_back").await == 1.0;
            let text = std::fs::read(gateway.file("gateway.snapshot")).ok()?;
            let snapshot: Value = serde_json::from_slice(&text).ok()?;
            let generation = snapshot["version"]["generation"].as_u64()?;
            (alarmed && generation as f64 == gateway.sample("tollbridge_registry_generation").await)
                .then_some(generation)
        };
        known.push((eventually("it is alarmed, and has saved what it knows", 20, is_saved).await, gateway));
    }
    let (_, best) = known.into_iter().max_by_key(|(generation, _)| *generation).expect("a replica");
    let restored = operate(best, &["restore"]);
    assert!(restored.status.success(), "{restored:?}");
    for gateway in gateways {
        eventually("it goes on", 10, || async {
            (gateway.sample("tollbridge_registry_went_back").await == 0.0).then_some(())
        })
        .await;
    }
}

/// What each replica says in the end, when it can be written again.
async fn final_reads(world: &World, gateways: &[Gateway]) -> Vec<Op> {
    let last = json!({"server_id": "last", "server_name": "last", "url": "http://127.0.0.1:9/mcp"});
    eventually("it can be written", 10, || async {
        (rest(&gateways[0], "POST /v1/mcp/server", &last).await.status == 201).then_some(())
    })
    .await;
    let mut reads = Vec::new();
    for gateway in gateways {
        super::fleet::lists(gateway, "last", 2).await;
        let begun = world.began.elapsed();
        let listed = rest(gateway, "GET /v1/mcp/server", &Value::Null).await.json();
        let ended = world.began.elapsed();
        for server in 0..SERVERS {
            let id = format!("s{server}");
            let shown = listed.as_array().unwrap().iter().find(|shown| shown["server_id"] == id.as_str());
            let name = shown.map(|shown| shown["server_name"].as_str().expect("a name").to_owned());
            reads.push(Op { server, writer: WRITERS, act: Act::Read(name), begun, ended, done: Done::Yes });
        }
    }
    reads
}
