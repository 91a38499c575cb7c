//! Replicas that die, and replicas that are replaced: nobody notices but who was just being served.

use super::fleet::sharing;
use super::load::{Call, Load, arrived, echo};
use crate::harness::balancer::Balancer;
use crate::harness::gateway::{Gateway, KEY};
use crate::harness::ledger::{Tally, Wants, World, follow};
use crate::harness::messages::{initialize, legacy_call, start_discovered};
use crate::harness::recorder::{Recorder, Speaks};
use crate::harness::redis::Redis;
use crate::harness::source::{Kind, Source};
use crate::harness::{eventually, scaled};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Servers and gateways before them.
struct Stage {
    _redis: Redis,
    old: Recorder,
    new: Recorder,
    gateways: Vec<Gateway>,
}

impl Stage {
    async fn set(more: &str) -> Stage {
        let (redis, old, new) = (Redis::start().await, echo(Speaks::Legacy).await, echo(Speaks::Modern).await);
        let rest = format!(
            "discovery: {{interval: 1h, start_wait: 10s}}\nlimits: {{heartbeat: 1s}}\n{}servers:\n  old: {{url: \"{}\", era: legacy}}\n  new: {{url: \"{}\", era: modern}}\n{more}",
            sharing(&redis.url(), ""),
            old.url(),
            new.url()
        );
        let mut gateways = Vec::new();
        for _ in 0..3 {
            gateways.push(start_discovered(&rest).await);
        }
        Stage { _redis: redis, old, new, gateways }
    }

    fn ports(&self) -> Vec<u16> {
        self.gateways.iter().map(|gateway| gateway.port).collect()
    }

    /// What arrived twice, and what was answered without having arrived.
    fn wrong(&self, calls: &[Call]) -> (usize, usize) {
        let arrived = arrived(&[&self.old, &self.new]);
        let doubled = arrived.values().filter(|times| **times > 1).count();
        let answered = calls.iter().filter(|call| call.failed.is_none());
        (doubled, answered.filter(|call| !arrived.contains_key(&call.nonce)).count())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_takes_with_it_what_it_was_serving() {
    let mut stage = Stage::set("").await;
    let (rounds, clients) = (scaled(3, 50), 6);
    let load = Load::start(&stage.ports(), clients).await;
    let ports = stage.ports();
    load.has_called(&ports, Instant::now(), 200).await;
    let mut deaths = Vec::new();
    for round in 0..rounds {
        let victim = &mut stage.gateways[round % 3];
        let under_way = load.under_way.load(Ordering::SeqCst);
        victim.process.kill();
        let died = Instant::now();
        deaths.push((victim.port, died, under_way));
        // What begins a second later succeeds, while one of three is still gone.
        load.has_called(&ports, died + Duration::from_secs(1), 100).await;
        victim.start_again().await;
        load.has_called(&[victim.port], Instant::now(), 20).await;
    }
    let calls = load.end().await;
    let failed: Vec<&Call> = calls.iter().filter(|call| call.failed.is_some()).collect();
    // Those of a replica that was killed while they were under way at it.
    let is_victims = |call: &&&Call| {
        let of = deaths.iter().filter(|(port, ..)| *port == call.port);
        of.into_iter().any(|(_, at, _)| call.begun <= *at && at.duration_since(call.begun) < Duration::from_secs(5))
    };
    let victims = failed.iter().filter(is_victims).count();
    let under_way: usize = deaths.iter().map(|(.., under_way)| under_way).sum();
    let (doubled, made_up) = stage.wrong(&calls);
    let lost = failed.iter().filter(|call| call.failed.as_deref().is_some_and(|why| why.contains("404"))).count();
    let table = format!(
        "{rounds} replicas killed under load: {} calls, {} failed, {victims} of them under way at the one that was killed \
         ({under_way} were under way in all), {lost} sessions lost, {doubled} doubled, {made_up} answered by nobody\n",
        calls.len(),
        failed.len()
    );
    record("deaths.txt", &table);
    assert!(calls.len() > 100 * rounds, "{table}");
    assert_eq!(failed.len(), victims, "{table}{:?}", failed.iter().take(5).collect::<Vec<_>>());
    assert!(victims <= under_way, "{table}");
    assert_eq!((lost, doubled, made_up), (0, 0, 0), "{table}");
}

/// Tells the balancer of every change of readiness, as Kubernetes does with a Service.
async fn keep_leading(
    balancer: &Balancer,
    admin: Vec<(u16, u16)>,
    led_to: watch::Sender<Vec<u16>>,
    is_over: &AtomicBool,
) {
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    while !is_over.load(Ordering::SeqCst) {
        let mut ready = Vec::new();
        for (port, admin) in &admin {
            let asked = async { crate::harness::http::Client::connect(*admin).await?.get("/readyz").await };
            if asked.await.is_ok_and(|answer| answer.status == 200) {
                ready.push(*port);
            }
        }
        if ready != *led_to.borrow() && !ready.is_empty() {
            balancer.lead_to(&ready);
            led_to.send_replace(ready);
        }
        pace.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_that_all_replicas_are_replaced() {
    let sources = vec![
        Source::start("s0", Kind::Resumable, 0).await,
        Source::start("s1", Kind::Resumable, 0).await,
        Source::start("s2", Kind::Forgetful, 0).await,
    ];
    let lines: String = sources
        .iter()
        .map(|source| format!("  {}: {{url: \"{}\", era: legacy}}\n", source.name, source.url()))
        .collect();
    let mut stage = Stage::set(&lines).await;
    let balancer = Balancer::start(&stage.ports()).await;
    let restarts = scaled(2, 20);
    let load = Load::start(&[balancer.port], 4).await;
    let world = Arc::new(World::new(balancer.port, sources));
    let mut followers = JoinSet::new();
    for number in 0..scaled(6, 30) {
        let wants = [Wants::Several(vec![0, 1]), Wants::One(0), Wants::One(2)][number % 3].clone();
        followers.spawn(follow(Arc::clone(&world), wants));
    }
    let is_over = AtomicBool::new(false);
    let (led_to, mut leads) = watch::channel(Vec::new());
    let admin = stage.gateways.iter().map(|gateway| (gateway.port, gateway.admin_port)).collect();
    let replacing = async {
        for restart in 0..restarts {
            let gateway = &mut stage.gateways[restart % 3];
            gateway.process.signal("TERM");
            gateway.ended(40).await;
            gateway.start_again().await;
            let port = gateway.port;
            leads.wait_for(|ports| ports.contains(&port)).await.expect("somebody leads");
            load.has_called(&[balancer.port], Instant::now(), 100).await;
        }
        eventually("a stream goes on where it broke off", 30, || async {
            (world.resumed.load(Ordering::Relaxed) > 0).then_some(())
        })
        .await;
        is_over.store(true, Ordering::SeqCst);
    };
    let emitting = async {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        while !is_over.load(Ordering::SeqCst) {
            world.sources.iter().for_each(Source::emit);
            pace.tick().await;
        }
    };
    tokio::join!(keep_leading(&balancer, admin, led_to, &is_over), replacing, emitting);
    let calls = load.end().await;
    world.silent.store(true, Ordering::Relaxed);
    let mut tally = Tally::default();
    followers.join_all().await.into_iter().for_each(|of_one| tally += of_one);
    let failed: Vec<&Call> = calls.iter().filter(|call| call.failed.is_some()).collect();
    let (doubled, made_up) = stage.wrong(&calls);
    let table = format!(
        "{restarts} replicas replaced behind nginx: {} calls, {} failed, {doubled} doubled, {made_up} answered by nobody; \
         streams: {} events, {} lost, {} doubled or out of order, {} resumed, {} visible ends\n",
        calls.len(),
        failed.len(),
        tally.events,
        tally.lost,
        tally.doubled,
        tally.resumed,
        tally.ends
    );
    record("replacements.txt", &table);
    assert!(calls.len() > 100 * restarts, "{table}");
    assert_eq!(failed.len(), 0, "{table}{:?}", failed.iter().take(5).collect::<Vec<_>>());
    assert_eq!((doubled, made_up), (0, 0), "{table}");
    assert_eq!((tally.lost, tally.doubled), (0, 0), "{table}");
    assert!(tally.resumed > 0 && tally.events > 100, "{table}");
}

fn record(name: &str, table: &str) {
    print!("{table}");
    if let Some(directory) = std::env::var_os("TOLLBRIDGE_RESULTS") {
        std::fs::write(std::path::Path::new(&directory).join(name), table).expect("the result can be written");
    }
}

/// A client that asks at one replica for what another was just told of waits for no longer than a second.
#[tokio::test]
async fn a_session_is_good_at_every_replica_at_once() {
    let stage = Stage::set("").await;
    for turn in 0..scaled(20, 200) {
        let (first, next) = (&stage.gateways[turn % 3], &stage.gateways[(turn + 1) % 3]);
        let session = initialize(&mut first.client().await, "/mcp", KEY).await;
        let say = async |at: &Gateway| {
            let mut client = at.client().await;
            legacy_call(&mut client, "/mcp", KEY, &session, "old__say", r#"{"nonce":"x"}"#).await.unwrap()
        };
        let before = stage.old.of("initialize").len();
        for at in [first, next, first] {
            let answer = say(at).await;
            assert_eq!((answer.status, answer.error_code()), (200, None), "{}", answer.text());
        }
        assert_eq!(stage.old.of("initialize").len(), before + 1, "one session with the server");
    }
    eventually("the sessions are counted", 3, || async {
        (stage.gateways[0].sample("tollbridge_sessions").await > 0.0).then_some(())
    })
    .await;
}
