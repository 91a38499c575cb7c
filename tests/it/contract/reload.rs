//! Reloading: all of a configuration or nothing of it, and no call notices.

use crate::harness::eventually;
use crate::harness::gateway::{Gateway, KEY, OTHER_KEY};
use crate::harness::http::Client;
use crate::harness::messages::{call, list, modern, request, start_discovered};
use crate::harness::peer::{Peer, Sdk};
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

#[tokio::test]
async fn servers_come_and_go_while_calls_to_another_go_on() {
    let kept = Peer::start(Sdk::PythonV2);
    let (gone, added) = (Peer::start(Sdk::RustModern), Peer::start(Sdk::RustModern));
    let servers = |other: &str, peer: &Peer| {
        format!("servers:\n  kept: {{url: \"{}\"}}\n  {other}: {{url: \"{}\"}}", kept.url(), peer.url())
    };
    let gateway = Arc::new(start_discovered(&servers("gone", &gone)).await);
    assert_eq!(offering(&gateway).await, ["gone", "kept"], "before the reload");

    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> =
        (0..8).map(|caller| tokio::spawn(keep_calling(Arc::clone(&gateway), caller, Arc::clone(&stop)))).collect();
    eventually("calls are under way", 10, || async {
        (gateway.sample("tollbridge_in_flight").await > 0.0).then_some(())
    })
    .await;
    gateway.reconfigure(&servers("added", &added));
    eventually("the other server is there, and the one that was removed is not", 10, || async {
        (offering(&gateway).await == ["added", "kept"]).then_some(())
    })
    .await;
    let mut client = gateway.client().await;
    let removed = call(&mut client, "/mcp", "gone__echo", r#"{"text":"x"}"#).await.unwrap();
    assert_eq!(removed.error_code(), Some(-32602), "{}", removed.text());
    stop.store(true, Ordering::Relaxed);

    let mut answered = 0;
    for caller in callers {
        answered += caller.await.expect("no call of it failed");
    }
    let ledger = kept.stats().await["calls"].as_object().expect("calls by nonce").clone();
    assert!(answered >= 8, "only {answered} calls were made");
    assert_eq!(ledger.len(), answered, "calls that the server saw, and that were answered");
    assert!(ledger.values().all(|times| times == 1), "a call was sent twice: {ledger:?}");
}

/// Connections send the same head with every call, and what was decided of it is remembered: not beyond a reload.
#[tokio::test]
async fn what_is_no_longer_allowed_is_refused_on_connections_that_are_open() {
    let server = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let servers = |id: &str| format!("servers:\n  {id}: {{url: \"{}\", era: modern}}", server.url());
    let gateway = start_discovered(&servers("s")).await;
    let ask = async |client: &mut Client, key: &str| {
        let body = request("1", "tools/call", r#""name":"say","arguments":{},"#);
        client.post("/mcp/s", &modern(key, "tools/call", Some("say")), body.as_bytes()).await.unwrap().status
    };
    let (removed, kept) = (Mutex::new(gateway.client().await), Mutex::new(gateway.client().await));
    for _ in 0..3 {
        let removed = ask(&mut *removed.lock().await, KEY).await;
        assert_eq!((removed, ask(&mut *kept.lock().await, OTHER_KEY).await), (200, 200));
    }
    gateway.reconfigure(&format!("keys: [{{id: other, key: {OTHER_KEY}}}]\n{}", servers("t")));
    gateway.process.signal("HUP");
    for (client, key, refused) in [(removed, KEY, 401), (kept, OTHER_KEY, 404)] {
        eventually("it is refused", 10, || async {
            (ask(&mut *client.lock().await, key).await == refused).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_cannot_be_adopted_changes_nothing() {
    let peer = Peer::start(Sdk::RustModern);
    let servers = format!("servers:\n  s: {{url: \"{}\"}}", peer.url());
    let gateway = start_discovered(&servers).await;
    let reloads = async |result: &str| {
        let series = format!("tollbridge_config_reload_total{{result=\"{result}\"}}");
        gateway.sample(&series).await
    };
    let text = gateway.configuration();

    gateway.rewrite(&format!("{text}\nlisten_to: everybody\n"));
    eventually("the broken file is noticed", 10, async || (reloads("failed").await >= 1.0).then_some(())).await;
    assert!(gateway.log().contains("unknown key \"listen_to\""), "{}", gateway.log());
    assert_eq!(offering(&gateway).await, ["s"], "the old configuration stays");

    let moved = text.replace(&format!("listen: 127.0.0.1:{}", gateway.port), "listen: 127.0.0.1:18080");
    gateway.rewrite(&format!("{moved}\n  t: {{url: \"{}\"}}\n", peer.url()));
    eventually("the new address is noticed", 10, async || (reloads("failed").await >= 2.0).then_some(())).await;
    assert!(gateway.log().contains("listen needs a restart"), "{}", gateway.log());
    assert_eq!(offering(&gateway).await, ["s"], "nothing of the file is adopted");

    gateway.rewrite(&text);
    eventually("the old file is read again", 10, async || (reloads("ok").await >= 1.0).then_some(())).await;
    gateway.process.signal("HUP");
    eventually("SIGHUP reads it although it has not changed", 10, async || (reloads("ok").await >= 2.0).then_some(()))
        .await;
    assert_eq!(offering(&gateway).await, ["s"], "after all of that");
}

/// What a reload does not change is not forgotten, and what it takes away is gone.
#[tokio::test]
async fn a_pool_that_changes_keeps_what_it_knows() {
    let [first, second, third] = [(); 3].map(|()| Recorder::start(Speaks::Modern, &[TOOL]));
    let (first, second, third) = (first.await, second.await, third.await);
    let servers = |endpoints: &[&Recorder], more: &str| {
        let urls: Vec<String> = endpoints.iter().map(|endpoint| endpoint.url()).collect();
        let health = "era: modern, health: {interval: 1s, timeout: 300ms}, timeout: {call: 5s}";
        format!("servers:\n  s: {{endpoints: {urls:?}, {health}}}{more}")
    };
    let gateway = start_discovered(&servers(&[&first, &second], "")).await;
    let up = |of: &Recorder| format!("tollbridge_endpoint_up{{endpoint=\"127.0.0.1:{}\",server=\"s\"}}", of.port);
    first.hangs("server/discover");
    first.hangs("tools/call");
    let down = format!("{} 0", up(&first));
    eventually("the one that hangs is known to be down", 10, || async {
        gateway.metrics().await.contains(&down).then_some(())
    })
    .await;

    let other = format!("\n  t: {{url: \"{}\"}}", third.url());
    gateway.reconfigure(&servers(&[&first, &second, &third], &other));
    gateway.process.signal("HUP");
    let began = Instant::now();
    let mut client = gateway.client().await;
    while third.calls().is_empty() || !gateway.metrics().await.contains(&up(&third)) {
        let called = Instant::now();
        let answer = call(&mut client, "/mcp/s", "say", "{}").await.unwrap();
        assert!(answer.error_code().is_none(), "a call while reloading: {}", answer.text());
        assert!(called.elapsed() < Duration::from_secs(2), "a call went to the one that hangs");
        assert!(began.elapsed() < Duration::from_secs(10), "no call reaches the endpoint that was added");
    }
    assert!(gateway.metrics().await.contains(&down), "it is still down");

    gateway.reconfigure(&servers(&[&second], ""));
    gateway.process.signal("HUP");
    eventually("nothing tells of what was removed", 5, || async {
        let metrics = gateway.metrics().await;
        (!metrics.contains(&up(&first)) && !metrics.contains("server=\"t\"")).then_some(())
    })
    .await;
}

/// What calls from before a reload find out is heard after it.
#[tokio::test]
async fn an_endpoint_that_a_call_from_before_doubts_is_looked_at() {
    let (slow, quick) =
        (Recorder::start(Speaks::Modern, &[TOOL]).await, Recorder::start(Speaks::Modern, &[TOOL]).await);
    // Longer than calls wait before their endpoint is doubted.
    slow.answers(|request| Reply::Late(Duration::from_secs(3), request.result(r#"{"content":["late"]}"#)));
    let urls = [slow.url(), quick.url()];
    let servers = |timeout: &str| {
        format!(
            "servers:\n  s: {{endpoints: {urls:?}, era: modern, health: {{interval: 1h}}, timeout: {{call: {timeout}}}}}"
        )
    };
    let gateway = Arc::new(start_discovered(&servers("30s")).await);
    let (stop, doubted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (gateway, stop, doubted) = (Arc::clone(&gateway), Arc::clone(&stop), Arc::clone(&doubted));
            tokio::spawn(async move {
                let mut client = gateway.client().await;
                while !stop.load(Ordering::Relaxed) {
                    let answer = call(&mut client, "/mcp/s", "say", "{}").await.unwrap();
                    assert!(answer.error_code().is_none(), "{}", answer.text());
                    doubted.fetch_or(answer.text().contains("late"), Ordering::Relaxed);
                }
            })
        })
        .collect();
    eventually("a call waits at the slow one", 10, || async { (!slow.calls().is_empty()).then_some(()) }).await;
    gateway.reconfigure(&servers("31s"));
    gateway.process.signal("HUP");
    slow.answers(|request| Reply::Json(request.result(r#"{"content":[]}"#)));
    eventually("the call from before is answered", 10, || async { doubted.load(Ordering::Relaxed).then_some(()) })
        .await;
    let before = slow.calls().len();
    eventually("it gets calls again", 8, || async { (slow.calls().len() > before + 20).then_some(()) }).await;
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.expect("no call of it failed");
    }
}

/// One call after the other over one connection; how many.
async fn keep_calling(gateway: Arc<Gateway>, caller: usize, stop: Arc<AtomicBool>) -> usize {
    let mut client = gateway.client().await;
    let mut calls = 0;
    while !stop.load(Ordering::Relaxed) {
        let arguments = format!(r#"{{"ms":200,"nonce":"{caller}-{calls}"}}"#);
        let answer = call(&mut client, "/mcp", "kept__slow", &arguments).await;
        let answer = answer.unwrap_or_else(|error| panic!("call {caller}-{calls}: {error}"));
        assert_eq!(
            answer.json()["result"]["content"][0]["text"],
            "waited 200",
            "call {caller}-{calls}: {}",
            answer.text()
        );
        calls += 1;
    }
    calls
}

/// The servers whose tools are listed.
async fn offering(gateway: &Gateway) -> Vec<String> {
    let mut client = gateway.client().await;
    let tools = list(&mut client, "/mcp", KEY, "tools/list").await;
    let names = tools["tools"].as_array().expect("tools").iter();
    let mut servers: Vec<_> =
        names.filter_map(|tool| Some(tool["name"].as_str()?.split_once("__")?.0.to_owned())).collect();
    servers.dedup();
    servers
}
