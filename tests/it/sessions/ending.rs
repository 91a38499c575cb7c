//! Saying goodbye to servers.

use super::{Held, QUIET, deletes};
use crate::harness::eventually;
use crate::harness::gateway::KEY;
use crate::harness::messages::{initialize, legacy, legacy_call, start_discovered};
use crate::harness::recorder::{Recorder, Speaks, TOOL};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_lost_goodbye_is_said_again() {
    let Held { recorder, gateway: _gateway, mut client, session } = Held::start().await;
    let used = recorder.last_call().header("mcp-session-id").map(str::to_owned);
    // A DELETE has no body, and so no method.
    recorder.loses("", 1);
    assert_eq!(client.request("DELETE", "/mcp", &legacy(KEY, Some(&session))).await.unwrap().status, 200);
    let goodbyes = || deletes(&recorder).into_iter().filter(|end| end.header("mcp-session-id") == used.as_deref());
    eventually("it is said twice", 5, || async { (goodbyes().count() == 2).then_some(()) }).await;
}

/// Idle sessions are closed upstream in the background: a server that hangs holds up nothing else.
#[tokio::test]
async fn a_server_that_does_not_say_goodbye_holds_up_no_reload() {
    let recorder = Recorder::start(Speaks::Legacy, &[TOOL]).await;
    let servers = format!("servers:\n  rec: {{url: \"{}\", health: {{interval: 1h}}}}", recorder.url());
    let start = format!("session: {{idle: 1s}}\n{QUIET}\n{servers}");
    let gateway = start_discovered(&start).await;
    let mut client = gateway.client().await;
    for _ in 0..4 {
        let session = initialize(&mut client, "/mcp", KEY).await;
        assert_eq!(legacy_call(&mut client, "/mcp", KEY, &session, "rec__say", "{}").await.unwrap().status, 200);
    }
    recorder.hangs("");
    eventually("idle sessions are being closed", 10, || async {
        recorder.requests().into_iter().find(|request| request.verb() == "DELETE")
    })
    .await;
    gateway.reconfigure(&format!("{start}\n  other: {{url: \"{}\"}}", recorder.url()));
    let asked = Instant::now();
    gateway.process.signal("HUP");
    let reloaded =
        || async { (gateway.sample("tollbridge_config_reload_total{result=\"ok\"}").await > 0.0).then_some(()) };
    eventually("the configuration is reloaded", 10, reloaded).await;
    assert!(asked.elapsed() < Duration::from_secs(2), "it took {:?}", asked.elapsed());
}
