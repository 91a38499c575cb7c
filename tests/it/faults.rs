//! Endpoints that die, hang or talk nonsense under load. A ledger says what became of every call:
//! each has a nonce, and each server counts the nonces it has executed.

mod load;

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::http::Client;
use crate::harness::messages::{call, initialize, legacy_call, list, start_discovered};
use crate::harness::peer::{Peer, Sdk};
use crate::harness::process::free_port;
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL};
use crate::harness::relay::{Mode, Relay};
use crate::harness::{eventually, scaled};
use load::{AFTER, CLIENTS, DURING, Load};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const ENDPOINTS: usize = 3;
const SHORT: &str = "health: {interval: 1s, timeout: 500ms}, timeout: {connect: 500ms, call: 2s}";

#[derive(Clone, Copy, PartialEq)]
enum Era {
    Modern,
    Legacy,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// `kill -9`, and started anew.
    Killed,
    /// `SIGSTOP` and `SIGCONT`.
    Stopped,
    /// What a relay before the server makes of it.
    Relayed(Mode),
}

#[tokio::test]
async fn an_endpoint_is_killed() {
    endures(Era::Modern, Fault::Killed).await;
}

#[tokio::test]
async fn an_endpoint_is_stopped() {
    endures(Era::Modern, Fault::Stopped).await;
}

#[tokio::test]
async fn an_endpoint_refuses_connections() {
    endures(Era::Modern, Fault::Relayed(Mode::Refuse)).await;
}

#[tokio::test]
async fn an_endpoint_resets_connections() {
    endures(Era::Modern, Fault::Relayed(Mode::Reset)).await;
}

#[tokio::test]
async fn an_endpoint_answers_500() {
    endures(Era::Modern, Fault::Relayed(Mode::Fail)).await;
}

#[tokio::test]
async fn an_endpoint_answers_500_in_json_rpc() {
    endures(Era::Modern, Fault::Relayed(Mode::FailInJson)).await;
}

#[tokio::test]
async fn an_endpoint_answers_probes_but_no_calls() {
    endures(Era::Modern, Fault::Relayed(Mode::FailCalls)).await;
}

#[tokio::test]
async fn an_endpoint_answers_probes_and_lets_calls_hang() {
    endures(Era::Modern, Fault::Relayed(Mode::HangCalls)).await;
}

/// It says so itself: no failure, but no reason to ask it again and again.
#[tokio::test]
async fn an_endpoint_that_has_too_much_to_do_is_spared() {
    let (good, busy) = (Recorder::start(Speaks::Modern, &[TOOL]).await, Recorder::start(Speaks::Modern, &[TOOL]).await);
    busy.answers(|_| Reply::Status("429 Too Many Requests", "Retry-After: 2\r\n".to_owned(), Vec::new()));
    let urls = [good.url(), busy.url()];
    let gateway = start_discovered(&format!("servers:\n  rec: {{endpoints: {urls:?}}}")).await;
    let mut client = gateway.client().await;
    let mut refused = 0;
    for _ in 0..200 {
        let answer = call(&mut client, "/mcp", "rec__say", "{}").await.unwrap();
        match answer.status {
            200 => {}
            _ => {
                assert_eq!(answer.error_code(), Some(-31005), "{}", answer.text());
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 1, "calls that an endpoint got which had asked for a pause");
}

#[tokio::test]
async fn an_endpoint_speaks_no_http() {
    endures(Era::Modern, Fault::Relayed(Mode::Garbage)).await;
}

#[tokio::test]
async fn an_endpoint_speaks_no_json() {
    endures(Era::Modern, Fault::Relayed(Mode::NoJson)).await;
}

#[tokio::test]
async fn an_endpoint_is_overloaded() {
    endures(Era::Modern, Fault::Relayed(Mode::Overloaded)).await;
}

#[tokio::test]
async fn an_endpoint_speaks_json_that_is_no_answer() {
    endures(Era::Modern, Fault::Relayed(Mode::NoAnswer)).await;
}

#[tokio::test]
async fn an_endpoint_ends_its_streams_within_the_answer() {
    endures(Era::Modern, Fault::Relayed(Mode::HalfEvent)).await;
}

#[tokio::test]
async fn an_endpoint_sends_half_of_its_answers() {
    endures(Era::Modern, Fault::Relayed(Mode::Half)).await;
}

#[tokio::test]
async fn an_endpoint_answers_nothing() {
    endures(Era::Modern, Fault::Relayed(Mode::Nothing)).await;
}

/// Sessions stick to their endpoints; those of one that is gone must not go down with it.
#[tokio::test]
async fn an_endpoint_with_sessions_is_killed() {
    endures(Era::Legacy, Fault::Killed).await;
}

#[tokio::test]
async fn an_endpoint_with_sessions_is_stopped() {
    endures(Era::Legacy, Fault::Stopped).await;
}

#[tokio::test]
async fn an_endpoint_with_sessions_answers_500() {
    endures(Era::Legacy, Fault::Relayed(Mode::Fail)).await;
}

#[tokio::test]
async fn an_endpoint_with_sessions_answers_probes_but_no_calls() {
    endures(Era::Legacy, Fault::Relayed(Mode::FailCalls)).await;
}

#[tokio::test]
async fn an_endpoint_with_sessions_ends_its_streams_without_an_answer() {
    endures(Era::Legacy, Fault::Relayed(Mode::NoEvent)).await;
}

#[tokio::test]
async fn an_endpoint_with_sessions_answers_nothing() {
    endures(Era::Legacy, Fault::Relayed(Mode::Nothing)).await;
}

/// Three endpoints of one server under load; the first has the fault, and recovers.
async fn endures(era: Era, fault: Fault) {
    let sdk = if era == Era::Modern { Sdk::TypeScriptV2 } else { Sdk::TypeScriptV1 };
    let mut peers: Vec<Peer> = (0..ENDPOINTS).map(|_| Peer::start(sdk)).collect();
    let relay = matches!(fault, Fault::Relayed(_)).then(|| Relay::start(peers[0].port));
    let mut urls: Vec<String> = peers.iter().map(Peer::url).collect();
    if let Some(relay) = &relay {
        urls[0] = relay.url();
    }
    let gateway = start_discovered(&format!("servers:\n  ts: {{endpoints: {urls:?}, {SHORT}}}")).await;
    let mut load = Load::start(&gateway, era);
    eventually("every endpoint has calls", 10, || async {
        calls(&peers, "before").await.iter().all(|calls| *calls > 20).then_some(())
    })
    .await;

    let waiting = in_flight(&peers, era).await;
    load.enter(DURING);
    match fault {
        Fault::Killed => peers[0].process.kill(),
        Fault::Stopped => peers[0].process.signal("STOP"),
        Fault::Relayed(mode) => relay.as_ref().expect("a relay").turn(mode),
    }
    // As long as it takes to wait in vain, to be found out and to be probed.
    tokio::time::sleep(Duration::from_secs(scaled(3, 30) as u64)).await;
    load.enter(AFTER);
    match fault {
        Fault::Killed => peers[0].restart(),
        Fault::Stopped => peers[0].process.signal("CONT"),
        Fault::Relayed(_) => relay.as_ref().expect("a relay").turn(Mode::Pass),
    }
    eventually("it gets calls again", 10, || async { (calls(&peers, "after").await[0] > 0).then_some(()) }).await;
    let outcomes = load.stop().await;

    let executed = executed(&peers).await;
    for (nonce, outcome) in &outcomes {
        let times = executed.get(nonce).copied().unwrap_or_default();
        let fits = match outcome {
            // What the killed server counted died with it.
            Ok(()) if fault == Fault::Killed && nonce.starts_with("before") => times <= 1,
            Ok(()) => times == 1,
            Err(_) => times <= 1,
        };
        assert!(fits, "{fault:?}: {nonce} was executed {times} times; {outcome:?}");
    }
    let failed: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).collect();
    eprintln!("{fault:?}: {} calls, {} failed", outcomes.len(), failed.len());
    // Those that began before and failed were under way there, whatever the ledgers said a moment earlier.
    let under_way = failed.iter().filter(|(nonce, _)| nonce.starts_with("before")).count();
    let allowed = waiting.max(under_way) + 5;
    assert!(failed.len() <= allowed, "{fault:?}: {} calls failed, not {allowed}: {failed:?}", failed.len());
}

/// How many clients can have been waiting for the first endpoint: a third, as the least busy one is
/// chosen, or those whose last call was there.
async fn in_flight(peers: &[Peer], era: Era) -> usize {
    if era == Era::Modern {
        return CLIENTS.div_ceil(ENDPOINTS);
    }
    let mut last = BTreeMap::new();
    for (number, peer) in peers.iter().enumerate() {
        let stats = peer.stats().await;
        for nonce in stats["calls"].as_object().expect("a ledger").keys() {
            let [client, turn] = [1, 2].map(|at| nonce.split('-').nth(at).expect("a nonce").parse::<usize>().unwrap());
            let known = last.entry(client).or_insert((turn, number));
            *known = (turn, number).max(*known);
        }
    }
    last.values().filter(|(_, number)| *number == 0).count()
}

/// How many calls of this phase each endpoint has executed.
async fn calls(peers: &[Peer], phase: &str) -> Vec<usize> {
    let mut calls = Vec::new();
    for peer in peers {
        let stats = peer.stats().await;
        let nonces = stats["calls"].as_object().expect("a ledger").keys();
        calls.push(nonces.filter(|nonce| nonce.starts_with(phase)).count());
    }
    calls
}

async fn executed(peers: &[Peer]) -> BTreeMap<String, u64> {
    let mut executed = BTreeMap::new();
    for peer in peers {
        for (nonce, times) in peer.stats().await["calls"].as_object().expect("a ledger") {
            *executed.entry(nonce.clone()).or_default() += times.as_u64().expect("a count");
        }
    }
    executed
}

/// Lists are never held up, whoever dies; they say what they are worth.
#[tokio::test]
async fn a_dead_server_hides_no_other() {
    let (alive, mut dies, hangs) =
        (Peer::start(Sdk::TypeScriptV2), Peer::start(Sdk::TypeScriptV2), Peer::start(Sdk::TypeScriptV2));
    let gateway = start_discovered(&format!(
        "servers:\n  alive: {{url: \"{}\", {SHORT}}}\n  dies: {{url: \"{}\", {SHORT}}}\n  hangs: {{url: \"{}\", {SHORT}}}\n  never: {{url: \"http://127.0.0.1:{}/mcp\", {SHORT}}}",
        alive.url(),
        dies.url(),
        hangs.url(),
        free_port(),
    ))
    .await;
    let mut client = gateway.client().await;
    let states = async |client: &mut Client| {
        let began = Instant::now();
        let tools = list(client, "/mcp", KEY, "tools/list").await;
        assert!(began.elapsed() < Duration::from_millis(100), "a list took {:?}", began.elapsed());
        let names: Vec<&str> =
            tools["tools"].as_array().unwrap().iter().filter_map(|tool| tool["name"].as_str()).collect();
        for server in ["alive", "dies", "hangs"] {
            assert!(names.contains(&format!("{server}__echo").as_str()), "no {server}: {names:?}");
        }
        tools["_meta"]["dev.tollbridge/servers"].clone()
    };
    let before = states(&mut client).await;
    assert_eq!(
        (&before["dies"]["state"], &before["never"]["state"]),
        (&"ready".into(), &"unreachable".into()),
        "{before}"
    );

    dies.process.kill();
    hangs.process.signal("STOP");
    let until = Instant::now() + Duration::from_secs(10);
    let found = loop {
        let found = states(&mut client).await;
        if ["dies", "hangs"].iter().all(|server| found[server]["state"] == "stale") {
            break found;
        }
        assert!(Instant::now() < until, "not stale: {found}");
    };
    for (server, state) in [("alive", "ready"), ("dies", "stale"), ("hangs", "stale"), ("never", "unreachable")] {
        assert_eq!(found[server]["state"], state, "{found}");
        assert_eq!(found[server]["since"].is_string(), state != "ready", "{server}: {found}");
    }
    let answer = call(&mut client, "/mcp", "alive__echo", r#"{"text":"hi"}"#).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = call(&mut client, "/mcp", "dies__echo", r#"{"text":"hi"}"#).await.unwrap();
    assert_eq!((answer.status, answer.error_code()), (502, Some(-31001)), "{}", answer.text());
    assert_eq!(answer.json()["error"]["data"]["outcome"], "not_sent", "{}", answer.text());

    dies = Peer::start_at(Sdk::TypeScriptV2, dies.port);
    hangs.process.signal("CONT");
    eventually("both are ready again", 10, || async {
        let tools = list(&mut gateway.client().await, "/mcp", KEY, "tools/list").await;
        let servers = &tools["_meta"]["dev.tollbridge/servers"];
        ["dies", "hangs"].iter().all(|server| servers[server]["state"] == "ready").then_some(())
    })
    .await;
    let answer = call(&mut client, "/mcp", "dies__echo", r#"{"text":"hi"}"#).await.unwrap();
    assert_eq!(answer.status, 200, "{} {}", answer.text(), dies.port);
}

#[tokio::test]
async fn a_name_without_address_does_not_take_the_other_endpoints_with_it() {
    let peer = Peer::start(Sdk::TypeScriptV2);
    let endpoints = format!("[\"http://nobody.invalid:1/mcp\", \"{}\"]", peer.url());
    let gateway = Gateway::start(&format!("servers:\n  ts: {{endpoints: {endpoints}}}")).await;
    eventually("the endpoint that is there is used", 10, || async {
        let mut client = gateway.client().await;
        let response = call(&mut client, "/mcp", "ts__echo", r#"{"text":"x"}"#).await.ok()?;
        (response.status == 200).then_some(())
    })
    .await;
}

/// An upgrade, say.
#[tokio::test]
async fn a_server_may_come_back_in_the_other_era() {
    let mut peer = Peer::start(Sdk::TypeScriptV1);
    let servers = format!("discovery: {{interval: 1s}}\nservers:\n  ts: {{url: \"{}\", {SHORT}}}", peer.url());
    let gateway = start_discovered(&servers).await;
    for next in [Sdk::TypeScriptV2, Sdk::TypeScriptV1] {
        // A round of probes, so that they know it as what it was.
        tokio::time::sleep(Duration::from_secs(2)).await;
        peer.process.kill();
        peer = Peer::start_at(next, peer.port);
        eventually(&format!("{next:?} is served"), 15, || async {
            let mut client = gateway.client().await;
            let answer = if next == Sdk::TypeScriptV2 {
                call(&mut client, "/mcp", "ts__echo", r#"{"text":"x"}"#).await
            } else {
                let session = initialize(&mut client, "/mcp", KEY).await;
                legacy_call(&mut client, "/mcp", KEY, &session, "ts__echo", r#"{"text":"x"}"#).await
            };
            (answer.ok()?.json()["result"]["structuredContent"]["text"] == "x").then_some(())
        })
        .await;
        let until = Instant::now() + Duration::from_secs(scaled(4, 10) as u64);
        while Instant::now() < until {
            let tools = list(&mut gateway.client().await, "/mcp", KEY, "tools/list").await;
            assert_ne!(tools["_meta"]["dev.tollbridge/servers"]["ts"]["state"], "stale", "{next:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
