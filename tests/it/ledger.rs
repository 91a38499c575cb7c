//! Many streams over many servers that come and go: nothing is lost, doubled or out of order where a
//! server can resume, and where it cannot the end is seen.

use crate::harness::ledger::{Tally, Wants, World, follow};
use crate::harness::messages::start_discovered;
use crate::harness::scaled;
use crate::harness::source::{Kind, Source, servers};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

struct Scale {
    servers: usize,
    streams: usize,
    lasts: Duration,
    pace: Duration,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_outlive_their_servers() {
    let scale = Scale {
        servers: scaled(8, 20),
        streams: scaled(80, 1_000),
        lasts: Duration::from_secs(scaled(8, 600) as u64),
        pace: Duration::from_millis(scaled(100, 1_000) as u64),
    };
    let (tally, restarts) = run(&scale).await;
    let table = format!(
        "{} streams over {} servers for {:?}, {restarts} restarts: {} events, {} lost, {} doubled or out of order, {} resumed, {} visible ends\n",
        scale.streams, scale.servers, scale.lasts, tally.events, tally.lost, tally.doubled, tally.resumed, tally.ends
    );
    print!("{table}");
    if let Some(directory) = std::env::var_os("TOLLBRIDGE_RESULTS") {
        std::fs::write(std::path::Path::new(&directory).join("streams.txt"), &table)
            .expect("the result can be written");
    }
    assert_eq!((tally.lost, tally.doubled), (0, 0), "{table}");
    assert!(tally.resumed > 0 && tally.ends > 0, "neither kind of end was met: {table}");
    assert!(tally.events > scale.streams as u64, "{table}");
}

/// Of five servers three can resume, one cannot, and one is modern.
fn kind(number: usize) -> Kind {
    match number % 5 {
        0..=2 => Kind::Resumable,
        3 => Kind::Forgetful,
        _ => Kind::Modern,
    }
}

fn wants(number: usize, sources: &[Source]) -> Wants {
    let of = |kind: Kind| (0..sources.len()).filter(move |at| sources[*at].kind == kind).collect::<Vec<_>>();
    let turn = |mut all: Vec<usize>, count: usize| {
        let middle = number % all.len();
        all.rotate_left(middle);
        all.truncate(count);
        all
    };
    match number % 5 {
        0 | 1 => Wants::One(turn(of(Kind::Resumable), 1)[0]),
        2 => Wants::Several(turn(of(Kind::Resumable), 3)),
        3 => Wants::One(turn(of(Kind::Forgetful), 1)[0]),
        _ => Wants::Listen(turn(of(Kind::Modern), 2)),
    }
}

async fn run(scale: &Scale) -> (Tally, usize) {
    let mut sources = Vec::new();
    for number in 0..scale.servers {
        sources.push(Source::start(&format!("s{number}"), kind(number), 0).await);
    }
    let conf = format!("discovery: {{start_wait: 10s}}\nlimits: {{heartbeat: 1s}}\n{}", servers(&sources));
    let gateway = start_discovered(&conf).await;
    let world = Arc::new(World::new(gateway.port, sources));
    let mut followers = JoinSet::new();
    for number in 0..scale.streams {
        followers.spawn(follow(Arc::clone(&world), wants(number, &world.sources)));
    }
    let restarts = tokio::join!(emit(&world, scale), restart(&world, scale)).1;
    world.silent.store(true, Ordering::Relaxed);
    let mut sum = Tally::default();
    followers.join_all().await.into_iter().for_each(|tally| sum += tally);
    (sum, restarts)
}

async fn emit(world: &World, scale: &Scale) {
    let (began, mut pace) = (Instant::now(), tokio::time::interval(scale.pace));
    while began.elapsed() < scale.lasts {
        pace.tick().await;
        world.sources.iter().for_each(Source::emit);
    }
}

/// One server after the other is away for a moment; each fourth has lost its sessions then.
async fn restart(world: &World, scale: &Scale) -> usize {
    let (began, mut restarts) = (Instant::now(), 0);
    let mut pace = tokio::time::interval(scale.lasts / 40);
    while began.elapsed() + scale.lasts / 5 < scale.lasts {
        pace.tick().await;
        let source = &world.sources[restarts % world.sources.len()];
        if restarts % 4 == 3 {
            source.forget_sessions();
        }
        source.restart(Duration::from_millis(200)).await;
        restarts += 1;
    }
    restarts
}
