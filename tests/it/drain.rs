//! The end of the process: it comes soon, and no call that was accepted is lost to it.

use crate::harness::eventually;
use crate::harness::gateway::{Gateway, KEY, scratch};
use crate::harness::http::Client;
use crate::harness::messages::{call, start_discovered};
use crate::harness::peer::{Peer, Sdk};
use crate::harness::process::{Process, free_port};
use crate::harness::reader::{Next, Reader, open_session};
use crate::harness::source::{Kind, Source, servers};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

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
    assert_eq!(answer.header("connection"), Some("close"), "{:?}", answer.headers);
    assert_eq!(answer.json()["result"]["content"][0]["text"], "waited 1500", "{}", answer.text());
    let status = end(&mut gateway.process, 3).await;
    assert_eq!(status.code(), Some(0), "{}", gateway.log());
    assert_eq!(peer.stats().await["calls"]["under way"], 1, "the server saw the call once");
}

/// Where nobody reads what it logs any more, it serves and ends all the same.
#[tokio::test]
async fn a_gateway_that_nobody_listens_to_goes_on() {
    let (port, admin_port, nobody) = (free_port(), free_port(), free_port());
    let text = format!(
        "listen: 127.0.0.1:{port}\nadmin: {{listen: 127.0.0.1:{admin_port}}}\naccess_log: off\n\
         keys: [{{id: app, key: {KEY}}}]\nservers:\n  s: {{url: \"http://127.0.0.1:{nobody}/mcp\", era: modern}}"
    );
    let file = scratch().join("gateway.yaml");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
    command.args(["run", "--config"]).arg(&file).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = Process::spawn(&mut command);
    drop(process.stderr());
    eventually("it is ready", 10, || async {
        let readyz = Client::connect(admin_port).await.ok()?.get("/readyz").await.ok()?;
        (readyz.status == 200).then_some(())
    })
    .await;
    let mut client = Client::connect(port).await.unwrap();
    let answer = call(&mut client, "/mcp/s", "say", "{}").await.expect("an answer, although the call fails");
    assert_eq!(answer.error_code(), Some(-31001), "{}", answer.text());
    drop(client);
    process.signal("TERM");
    assert_eq!(end(&mut process, 5).await.code(), Some(0));
    std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn the_demonstration_calls_soon_and_ends_with_ctrl_c() {
    let began = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
    let mut demo = Process::spawn(command.arg("demo").stdout(Stdio::piped()).stderr(Stdio::inherit()));
    let mut lines = BufReader::new(demo.stdout()).lines().map_while(Result::ok);
    let mut said: Vec<_> = lines.by_ref().take_while(|line| !line.contains("tools/call")).collect();
    said.extend(lines.by_ref().take_while(|line| !line.starts_with("< 200")));
    assert!(began.elapsed() < Duration::from_secs(2), "the first call took until {:?}", began.elapsed());
    said.extend(lines.by_ref().take_while(|line| !line.contains("Ctrl-C")));
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

/// No call is lost whose head has arrived, and every stream ends as it should.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_and_calls_are_answered() {
    let sources = [
        Source::start("a", Kind::Resumable, 0).await,
        Source::start("b", Kind::Forgetful, 0).await,
        Source::start("m", Kind::Modern, 0).await,
    ];
    let peer = Peer::start(Sdk::TypeScriptV2);
    let more = format!("  slow: {{url: \"{}\"}}", peer.url());
    let conf = format!("discovery: {{interval: 1h, start_wait: 10s}}\n{}{more}", servers(&sources));
    let mut gateway = start_discovered(&conf).await;
    let mut readers = Vec::new();
    for number in 0..200 {
        readers.push(match number % 4 {
            3 => {
                Reader::listen(gateway.port, "/mcp", KEY, "1", r#""resourceSubscriptions":["test://m"]"#).await.unwrap()
            }
            kind => {
                let path = ["/mcp", "/mcp/a", "/mcp/b"][kind];
                let session = open_session(gateway.port, path, KEY).await.unwrap();
                Reader::attach(gateway.port, path, KEY, &session, None).await.unwrap()
            }
        });
    }
    let mut workers = JoinSet::new();
    for number in 0..6 {
        let (port, slow) = (gateway.port, number == 0);
        workers.spawn(async move { call_until_told_to_close(port, slow).await });
    }
    eventually("the slow call is under way", 10, || async { peer.stats().await["calls"].get("drain").map(drop) }).await;
    gateway.process.signal("TERM");
    let told = Instant::now();
    for reader in &mut readers {
        loop {
            match reader.next().await {
                Next::Event(_) => {}
                ended => {
                    assert_eq!(ended, Next::End);
                    break;
                }
            }
        }
    }
    for answered in workers.join_all().await {
        assert!(answered > 0);
    }
    gateway.ended(25).await;
    assert!(told.elapsed() < Duration::from_secs(25), "it took {:?}", told.elapsed());
}

/// Calls over one connection until a reply says that it is the last one.
async fn call_until_told_to_close(port: u16, slow: bool) -> usize {
    let mut client = Client::connect(port).await.unwrap();
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    for answered in 1.. {
        pace.tick().await;
        let answer = match slow {
            true => call(&mut client, "/mcp", "slow__slow", r#"{"ms":2500,"nonce":"drain"}"#).await,
            false => call(&mut client, "/mcp", "m__say", "{}").await,
        };
        let answer = answer.expect("a call whose head has arrived is answered");
        assert_eq!(answer.status, 200, "{}", answer.text());
        if slow || answer.header("connection") == Some("close") {
            return answered;
        }
    }
    0
}
