//! The end of the process: it comes soon, and no call that was accepted is lost to it.

use crate::harness::eventually;
use crate::harness::gateway::Gateway;
use crate::harness::messages::call;
use crate::harness::peer::{Peer, Sdk};
use crate::harness::process::Process;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[tokio::test]
async fn an_idle_gateway_ends_soon() {
    let mut gateway = Gateway::start("servers: {}").await;
    let told = Instant::now();
    gateway.process.signal("TERM");
    let status = end(&mut gateway.process, 5).await;
    assert_eq!(status.code(), Some(0), "{}", gateway.log());
    assert!(told.elapsed() < Duration::from_secs(2), "it took {:?}", told.elapsed());
}

#[tokio::test]
async fn a_call_under_way_is_answered_before_the_end() {
    let peer = Peer::start(Sdk::TypeScriptV2);
    let mut gateway = Gateway::start(&format!("servers:\n  s: {{url: \"{}\"}}", peer.url())).await;
    let (mut first, mut idle) = (gateway.client().await, gateway.client().await);
    let under_way = tokio::spawn(async move {
        let arguments = r#"{"ms":1500,"nonce":"under way"}"#;
        call(&mut first, "/mcp", "s__slow", arguments).await
    });
    eventually("the server works on the call", 10, || async { peer.stats().await["calls"].get("under way").map(drop) })
        .await;

    gateway.process.signal("TERM");
    eventually("readiness fails", 1, || async {
        let readyz = gateway.admin("/readyz").await?;
        (readyz.status == 503).then_some(())
    })
    .await;
    assert!(!under_way.is_finished(), "readiness fails while the call is under way");
    let late = call(&mut idle, "/mcp", "s__echo", r#"{"text":"late"}"#).await;
    let late = late.expect("load balancers that have not noticed yet are served");
    assert_eq!(late.json()["result"]["structuredContent"]["text"], "late", "{}", late.text());
    assert_eq!(late.header("connection"), Some("close"), "{:?}", late.headers);

    let answer = under_way.await.unwrap().expect("the answer of the call under way");
    assert_eq!(answer.json()["result"]["content"][0]["text"], "waited 1500", "{}", answer.text());
    let status = end(&mut gateway.process, 3).await;
    assert_eq!(status.code(), Some(0), "{}", gateway.log());
    assert_eq!(peer.stats().await["calls"]["under way"], 1, "the server saw the call once");
}

#[tokio::test]
async fn the_demonstration_ends_with_ctrl_c() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
    let mut demo = Process::spawn(command.arg("demo").stdout(Stdio::piped()).stderr(Stdio::inherit()));
    let mut lines = BufReader::new(demo.stdout()).lines().map_while(Result::ok);
    let said: Vec<_> = lines.by_ref().take_while(|line| !line.contains("Ctrl-C")).collect();
    assert!(!said.iter().any(|line| line.contains("FAILED")), "{}", said.join("\n"));
    demo.signal("INT");
    let status = end(&mut demo, 5).await;
    assert_eq!(status.code(), Some(0), "it said\n{}", said.join("\n"));
}

async fn end(process: &mut Process, seconds: u64) -> std::process::ExitStatus {
    let began = Instant::now();
    loop {
        if let Some(status) = process.ended() {
            return status;
        }
        assert!(began.elapsed() < Duration::from_secs(seconds), "it still runs after {seconds} s");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
