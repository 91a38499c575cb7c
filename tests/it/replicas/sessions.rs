//! A session of a client's is every replica's.

use super::fleet::sharing;
use crate::harness::eventually;
use crate::harness::gateway::{Gateway, KEY};
use crate::harness::messages::{legacy, legacy_call, legacy_request, start_discovered};
use crate::harness::reader::{Next, Reader, open_session};
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL};
use crate::harness::redis::Redis;
use crate::harness::source::{Kind, Source, servers};
use serde_json::json;
use std::time::Duration;

/// Gateways before sources, with nothing asked on their own account while something is counted.
struct Stage {
    redis: Redis,
    gateways: Vec<Gateway>,
    sources: Vec<Source>,
    session: String,
}

/// Probes open sessions of their own.
fn unprobed(servers: &str) -> String {
    servers.replace("era: legacy}", "era: legacy, health: {interval: 1h}}")
}

impl Stage {
    async fn set(replicas: usize) -> Stage {
        let sources = vec![Source::start("a", Kind::Resumable, 0).await, Source::start("b", Kind::Resumable, 0).await];
        let redis = Redis::start().await;
        let rest =
            format!("discovery: {{interval: 1h}}\n{}{}", sharing(&redis.url(), ""), unprobed(&servers(&sources)));
        let mut gateways = Vec::new();
        for _ in 0..replicas {
            gateways.push(start_discovered(&rest).await);
        }
        let session = open_session(gateways[0].port, "/mcp", KEY).await.unwrap();
        Stage { redis, gateways, sources, session }
    }

    async fn status(&self, at: usize, tool: &str) -> u16 {
        let mut client = self.gateways[at].client().await;
        legacy_call(&mut client, "/mcp", KEY, &self.session, tool, "{}").await.unwrap().status
    }

    async fn attach(&self, at: usize, last: Option<&str>) -> Result<Reader, u16> {
        let attached = Reader::attach(self.gateways[at].port, "/mcp", KEY, &self.session, last).await;
        attached.map_err(|answer| answer.status)
    }

    async fn send(&self, at: usize, message: &str) -> u16 {
        let lines = legacy(KEY, Some(&self.session));
        self.gateways[at].client().await.post("/mcp", &lines, message.as_bytes()).await.unwrap().status
    }
}

#[tokio::test]
async fn any_replica_takes_any_message() {
    let stage = Stage::set(3).await;
    let before = stage.sources[0].sessions();
    for at in [1, 0, 2, 1] {
        assert_eq!(stage.status(at, "a__say").await, 200, "at {at}");
    }
    assert_eq!(stage.sources[0].sessions(), before + 1, "one session with the server for all of them");
    // A server asks in the course of a call at one replica, and is answered at another.
    let lines = legacy(KEY, Some(&stage.session));
    let body = legacy_request("1", "tools/call", r#"{"name":"a__ask","arguments":{"id":7}}"#);
    let mut call = Reader::ask(stage.gateways[0].port, "POST", "/mcp", &lines, &body).await.unwrap();
    let asked = call.message().await;
    let answer = json!({"jsonrpc": "2.0", "id": asked.data["id"], "result": {"action": "accept", "content": "yes"}});
    assert_eq!(stage.send(2, &answer.to_string()).await, 202);
    assert_eq!(call.message().await.data["result"]["structuredContent"], "yes");
    // A request at one is cancelled at another.
    let body = legacy_request("9", "tools/call", r#"{"name":"b__ask","arguments":{"id":8}}"#);
    let mut call = Reader::ask(stage.gateways[0].port, "POST", "/mcp", &lines, &body).await.unwrap();
    call.message().await;
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}}"#;
    assert_eq!(stage.send(1, cancelled).await, 202);
    let hears = || async {
        let heard = stage.sources[1].answers();
        heard
            .iter()
            .any(|said| said["method"] == "notifications/cancelled" && said["params"]["requestId"] == 9)
            .then_some(())
    };
    eventually("the server hears of it", 5, hears).await;
    // It ends at one, and is no more at the others.
    let gone = stage.gateways[1].client().await.request("DELETE", "/mcp", &legacy(KEY, Some(&stage.session))).await;
    assert_eq!(gone.unwrap().status, 200);
    for at in 0..3 {
        eventually("it has ended everywhere", 1, || async { (stage.status(at, "a__say").await == 404).then_some(()) })
            .await;
        assert_eq!(stage.attach(at, None).await.err(), Some(404));
    }
    for source in &stage.sources {
        eventually("it has ended at the servers", 5, || async { (source.sessions() == 0).then_some(()) }).await;
    }
}

/// The client's stream is at one replica, and a session with a server is opened at another.
#[tokio::test]
async fn a_stream_hears_of_what_others_open() {
    let stage = Stage::set(2).await;
    let mut stream = stage.attach(0, None).await.unwrap();
    assert_eq!(stage.status(1, "a__say").await, 200);
    stage.sources[0].emit();
    assert_eq!(stream.message().await.data["params"]["data"]["n"], 1);
    // There is one, wherever it is.
    assert_eq!(stage.attach(1, None).await.err(), Some(409));
    drop(stream);
    let attach = || async { stage.attach(1, None).await.ok() };
    let mut second = eventually("the seat is free", 2, attach).await;
    stage.sources[0].emit();
    let told = second.message().await.data;
    assert!(told["params"]["data"]["n"].as_u64() >= Some(1), "{told}");
}

#[tokio::test]
async fn a_stream_goes_on_at_another_replica() {
    let mut stage = Stage::set(2).await;
    let mut stream = stage.attach(0, None).await.unwrap();
    for tool in ["a__say", "b__say"] {
        assert_eq!(stage.status(1, tool).await, 200);
    }
    let mut seen = Vec::new();
    let mut last = None;
    for _ in 0..3 {
        stage.sources.iter().for_each(Source::emit);
        for _ in 0..2 {
            let event = stream.message().await;
            seen.push((event.data["params"]["data"]["source"].to_string(), event.data["params"]["data"]["n"].as_u64()));
            last = event.id.or(last);
        }
    }
    // Whoever resumes takes the place of the first one, which lives.
    let mut second = stage.attach(1, last.as_deref()).await.unwrap();
    assert_eq!(stream.end().await, Next::End);
    stage.sources.iter().for_each(Source::emit);
    for _ in 0..2 {
        let event = second.message().await;
        seen.push((event.data["params"]["data"]["source"].to_string(), event.data["params"]["data"]["n"].as_u64()));
        last = event.id.or(last);
    }
    // And of one that is gone.
    stage.gateways[1].process.kill();
    stage.sources.iter().for_each(Source::emit);
    let mut third = stage.attach(0, last.as_deref()).await.unwrap();
    for _ in 0..2 {
        let event = third.message().await;
        seen.push((event.data["params"]["data"]["source"].to_string(), event.data["params"]["data"]["n"].as_u64()));
    }
    seen.sort();
    let wanted: Vec<_> =
        ["\"a\"", "\"b\""].into_iter().flat_map(|name| (1..=5).map(move |n| (name.to_owned(), Some(n)))).collect();
    assert_eq!(seen, wanted);
}

/// A replica that is gone holds no seat for long, also where the client has nothing to resume from.
#[tokio::test]
async fn the_seat_of_a_replica_that_is_gone_is_free() {
    let mut stage = Stage::set(2).await;
    let _stream = stage.attach(0, None).await.unwrap();
    assert_eq!(stage.attach(1, None).await.err(), Some(409));
    stage.gateways[0].process.kill();
    eventually("it is free", 6, || async { stage.attach(1, None).await.ok().map(drop) }).await;
}

/// Two replicas that need a session with the same server at the same time end up with one.
#[tokio::test]
async fn what_is_opened_twice_is_closed_once() {
    let stage = Stage::set(2).await;
    let before = stage.sources[0].sessions();
    let (one, other) = tokio::join!(stage.status(0, "a__say"), stage.status(1, "a__say"));
    assert_eq!((one, other), (200, 200));
    let one_is_left = || async { (stage.sources[0].sessions() == before + 1).then_some(()) };
    eventually("one is left", 5, one_is_left).await;
    for at in [0, 1] {
        assert_eq!(stage.status(at, "a__say").await, 200);
    }
    assert_eq!(stage.sources[0].sessions(), before + 1);
}

#[tokio::test]
async fn what_is_known_goes_on_without_redis() {
    let mut stage = Stage::set(3).await;
    for at in [0, 1] {
        assert_eq!(stage.status(at, "a__say").await, 200);
    }
    stage.redis.kill();
    for at in [0, 1] {
        assert_eq!(stage.status(at, "a__say").await, 200, "known at {at}");
        assert_eq!(stage.status(at, "b__say").await, 200, "a server that was not needed before");
    }
    let unknown = legacy_call(&mut stage.gateways[2].client().await, "/mcp", KEY, &stage.session, "a__say", "{}").await;
    let unknown = unknown.unwrap();
    assert_eq!((unknown.status, unknown.error_code()), (503, Some(-31008)), "{}", unknown.text());
    // One that begins now goes on where it has begun.
    let new = open_session(stage.gateways[2].port, "/mcp", KEY).await.unwrap();
    let mut client = stage.gateways[2].client().await;
    let answer = legacy_call(&mut client, "/mcp", KEY, &new, "a__say", "{}").await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let lines = legacy(KEY, Some(&stage.session));
    let ended = stage.gateways[0].client().await.request("DELETE", "/mcp", &lines).await.unwrap();
    assert_eq!(ended.status, 503, "that it has ended cannot be kept: {}", ended.text());
    // One that has lost everything is given back what is known.
    stage.redis.forget();
    stage.redis.start_again().await;
    let is_kept = || async { (stage.redis.dump().matches("o:a").count() == 2).then_some(()) };
    eventually("it was given back what is known", 5, is_kept).await;
    eventually("it goes on everywhere", 5, || async { (stage.status(2, "a__say").await == 200).then_some(()) }).await;
    let left = || async { (stage.sources[0].sessions() == 2).then_some(()) };
    eventually("with the sessions that were there", 5, left).await;
    let mut client = stage.gateways[0].client().await;
    let answer = legacy_call(&mut client, "/mcp", KEY, &new, "a__say", "{}").await.unwrap();
    assert_eq!(answer.status, 200, "what began without Redis is everybody's afterwards: {}", answer.text());
    assert_eq!(stage.sources[0].sessions(), 2);
}

/// What is idle at one replica may be used at another; what is idle at all of them is closed once.
#[tokio::test]
async fn what_nobody_uses_is_closed() {
    let server = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    server.answers(|call| Reply::Json(call.result(r#"{"content":[]}"#)));
    let redis = Redis::start().await;
    let rest = format!(
        "discovery: {{interval: 1h}}\nsession: {{idle: 2s}}\n{}servers: {{rec: {{url: \"{}\", era: legacy, health: {{interval: 1h}}}}}}\n",
        sharing(&redis.url(), ""),
        server.url()
    );
    let mut gateways = [start_discovered(&rest).await, start_discovered(&rest).await];
    let session = open_session(gateways[0].port, "/mcp", KEY).await.unwrap();
    let say = async |at: &Gateway| {
        legacy_call(&mut at.client().await, "/mcp", KEY, &session, "rec__say", "{}").await.unwrap().status
    };
    let closed = || server.requests().iter().filter(|request| request.verb() == "DELETE").count();
    let before = closed();
    assert_eq!(say(&gateways[0]).await, 200);
    // For longer than a session may be idle, at the other one alone.
    let mut pace = tokio::time::interval(Duration::from_millis(500));
    for _ in 0..10 {
        pace.tick().await;
        assert_eq!(say(&gateways[1]).await, 200);
    }
    assert_eq!(closed(), before, "it is in use");
    eventually("it is closed", 10, || async { (closed() == before + 1).then_some(()) }).await;
    // It comes back where it is needed; and what a replica that is gone has left is closed by another.
    assert_eq!(say(&gateways[0]).await, 200);
    eventually("it was said that it is used", 5, || async {
        (redis.cli(&["ZCARD", "tb:{ses}:used"]).trim() == "1").then_some(())
    })
    .await;
    gateways[0].process.kill();
    eventually("it is closed by the other", 15, || async { (closed() == before + 2).then_some(()) }).await;
}

/// What servers gave is nobody's to read but the gateways'.
#[tokio::test]
async fn no_session_of_a_server_is_in_redis_in_clear() {
    let stage = Stage::set(1).await;
    assert_eq!(stage.status(0, "a__say").await, 200);
    let subscribe = legacy_request("5", "resources/subscribe", r#"{"uri":"test://a"}"#);
    stage.send(0, &subscribe).await;
    let dump = stage.redis.dump();
    assert!(
        dump.contains("o:a") && !dump.contains("a-1") && !dump.contains("a-2") && !dump.contains("test://"),
        "{dump}"
    );
}

/// Many sessions, a subscriber that is cut off again and again: what they are compared with settles.
#[tokio::test]
async fn comparing_sessions_comes_to_an_end() {
    let stage = Stage::set(1).await;
    for _ in 0..1_200 {
        let session = open_session(stage.gateways[0].port, "/mcp", KEY).await.unwrap();
        let mut client = stage.gateways[0].client().await;
        let answer = legacy_call(&mut client, "/mcp", KEY, &session, "a__say", "{}").await.unwrap();
        assert_eq!(answer.status, 200);
    }
    stage.redis.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    let commands = || {
        let stats = stage.redis.cli(&["INFO", "stats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
        line.and_then(|count| count.trim().parse::<u64>().ok()).expect("a count")
    };
    // Each session is looked at once, which is soon over.
    let mut windows = tokio::time::interval(Duration::from_secs(2));
    windows.tick().await;
    let (mut before, mut left) = (commands(), 10);
    loop {
        windows.tick().await;
        let now = commands();
        if now - before < 200 {
            break;
        }
        left -= 1;
        assert!(left > 0, "{} commands in the last two seconds", now - before);
        before = now;
    }
}

/// What a client asked for while nobody could be told of it is known to all of them afterwards; and where two
/// replicas have opened a session with the same server meanwhile, one is left, and the client is told.
#[tokio::test]
async fn what_happened_without_redis_is_settled_afterwards() {
    let mut stage = Stage::set(2).await;
    for at in [0, 1] {
        assert_eq!(stage.status(at, "a__say").await, 200);
    }
    stage.redis.kill();
    let level = legacy_request("5", "logging/setLevel", r#"{"level":"debug"}"#);
    assert_eq!(stage.send(0, &level).await, 200);
    for at in [0, 1] {
        assert_eq!(stage.status(at, "b__say").await, 200, "at {at}");
    }
    assert_eq!(stage.sources[1].sessions(), 2, "one of each replica");
    stage.redis.start_again().await;
    let one_is_left = || async { (stage.sources[1].sessions() == 1).then_some(()) };
    eventually("one is left", 10, one_is_left).await;
    let mut statuses = [stage.status(0, "b__say").await, stage.status(1, "b__say").await];
    statuses.sort();
    assert_eq!(statuses, [200, 404], "whose session is gone is told so, once");
    for at in [0, 1] {
        assert_eq!(stage.status(at, "b__say").await, 200, "at {at}");
    }
    assert!(stage.redis.dump().contains("level"), "what was asked for is kept");
}

/// Redis forgets everything, and nobody's connection breaks: it is given back what is known.
#[tokio::test]
async fn a_store_that_forgets_is_reminded() {
    let stage = Stage::set(2).await;
    assert_eq!(stage.status(0, "a__say").await, 200);
    for message in [
        legacy_request("5", "logging/setLevel", r#"{"level":"debug"}"#),
        legacy_request("6", "resources/subscribe", r#"{"uri":"test://a"}"#),
    ] {
        stage.send(0, &message).await;
    }
    let fields = || {
        let dump = stage.redis.dump();
        ["o:a", "level"].iter().filter(|field| dump.contains(*field)).count()
    };
    eventually("it is kept", 5, || async { (fields() == 2).then_some(()) }).await;
    // Both have asked it by what it remembers itself.
    let asked = || {
        let stats = stage.redis.cli(&["INFO", "commandstats"]);
        let calls = stats.split("cmdstat_get:calls=").nth(1).and_then(|rest| rest.split(',').next());
        calls.and_then(|calls| calls.parse::<usize>().ok()).unwrap_or(0)
    };
    let before = asked();
    eventually("it has been looked at", 5, || async { (asked() >= before + 4).then_some(()) }).await;
    stage.redis.cli(&["FLUSHALL"]);
    eventually("it is kept again", 5, || async { (fields() == 2).then_some(()) }).await;
    assert_eq!(stage.status(1, "a__say").await, 200);
}

/// The process that takes over asks Redis, like any other replica.
#[tokio::test]
async fn a_process_that_takes_over_goes_on_with_every_session() {
    let mut stage = Stage::set(1).await;
    for tool in ["a__say", "b__say"] {
        assert_eq!(stage.status(0, tool).await, 200);
    }
    let mut stream = stage.attach(0, None).await.unwrap();
    stage.sources[0].emit();
    let last = stream.message().await.id;
    stage.gateways[0].upgrade().await;
    assert_eq!(stream.end().await, Next::End);
    let mut stream = stage.attach(0, last.as_deref()).await.unwrap();
    // The server counts in the session that was there before.
    stage.sources[0].emit();
    assert_eq!(stream.message().await.data["params"]["data"]["n"], 2);
    for tool in ["a__say", "b__say"] {
        assert_eq!(stage.status(0, tool).await, 200);
    }
}
