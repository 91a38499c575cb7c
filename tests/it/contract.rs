//! The operator's contract: what the commands and the operators' listener promise.

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::messages::{call, list};
use crate::harness::peer::{Peer, Sdk};

#[tokio::test]
async fn a_call_goes_through() {
    let peer = Peer::start(Sdk::TypeScriptV2);
    let gateway = Gateway::start(&format!("servers:\n  ts: {{url: \"{}\"}}", peer.url())).await;
    let mut client = gateway.client().await;
    let tools = list(&mut client, "/mcp", KEY, "tools/list").await;
    assert_eq!(
        tools["_meta"]["dev.tollbridge/servers"]["ts"]["state"], "ready",
        "{tools}"
    );
    let response = call(&mut client, "/mcp", "ts__echo", r#"{"text":"hello"}"#)
        .await
        .unwrap();
    assert_eq!(
        response.json()["result"]["structuredContent"]["text"],
        "hello",
        "{}",
        response.text()
    );
}
