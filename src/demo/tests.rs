use super::page::shortened;
use super::reply::Reply;
use super::request::{Curl, Request};
use super::*;
use serde_json::json;
use std::time::Duration;

#[test]
fn the_modern_server_answers_what_stands_alone() {
    let site = server(Era::Modern);
    let list = reply(&site, &Request::modern(&site, 1, "tools/list", json!({})));
    assert_eq!(list.tools().unwrap(), ["echo", "add", "count", "slow", "fail"]);
    let fail = reply(&site, &Request::modern(&site, 2, "tools/call", json!({"name": "fail", "arguments": {}})));
    assert_eq!(fail.result().unwrap()["isError"], true);
}

#[test]
fn the_legacy_server_answers_within_a_session() {
    let site = server(Era::Legacy);
    let session = reply(&site, &Request::initialize(&site)).session;
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    reply(&site, &Request::legacy(&site, &session, initialized)).accepted().unwrap();
    let params = json!({"name": "add", "arguments": {"a": 2, "b": 3}});
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params});
    reply(&site, &Request::legacy(&site, &session, call)).says("5").unwrap();
    reply(&site, &Request::delete(&site, &session)).accepted().unwrap();
}

#[test]
fn each_server_refuses_the_other_era() {
    let modern = server(Era::Modern);
    let refused = reply(&modern, &Request::initialize(&modern));
    assert_eq!((refused.status, &refused.messages[0]["error"]["code"]), (200, &json!(-32022)));
    let legacy = server(Era::Legacy);
    let refused = reply(&legacy, &Request::modern(&legacy, 1, "server/discover", json!({})));
    assert_eq!((refused.status, &refused.messages[0]["error"]["code"]), (400, &json!(-32022)));
}

#[test]
fn progress_comes_while_the_call_runs() {
    let site = server(Era::Modern);
    let count = Request::modern(&site, 1, "tools/call", json!({"name": "count", "arguments": {"n": 2}}));
    let mut times = Vec::new();
    let begin = Instant::now();
    let mut answer = client::send(site.gateway, &count.with_progress("token")).unwrap();

    answer
        .each_message(|_| {
            times.push(begin.elapsed());
            Ok(())
        })
        .unwrap();
    assert_eq!(times.len(), 3, "two progress events and the result");
    assert!(times[1] - times[0] >= Duration::from_millis(100), "they came together: {times:?}");
}

#[test]
fn the_configuration_is_one_that_the_gateway_takes() {
    let site = Site { gateway: address(1), admin: address(2), key: crate::keys::new() };
    crate::conf::parse(&site.configuration(address(3), address(4)), &|_| None).unwrap();
}

#[test]
fn curl_lines_survive_quotes() {
    let site = Site { gateway: address(1), admin: address(2), key: "it's".to_owned() };
    let line = Curl("-s", &Request::delete(&site, "one")).to_string();
    assert!(line.contains(r"-H 'Authorization: Bearer it'\''s'"), "{line}");
}

#[test]
fn what_repeats_itself_is_folded() {
    let body = json!({"tools": [{"name": "a", "inputSchema": {"type": "object"}}], "_meta": {}});
    assert_eq!(shortened(&body), r#"{"tools":[{"name":"a","inputSchema":{…}}],"_meta":{…}}"#);
}

/// One of the servers, in the gateway's place.
fn server(era: Era) -> Site {
    let (listener, gateway) = local_listener(0).unwrap();
    upstream::spawn(vec![(era, listener)]).unwrap();
    Site { gateway, admin: address(1), key: "unused".to_owned() }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn reply(site: &Site, request: &Request) -> Reply {
    let mut answer = client::send(site.gateway, request).unwrap();
    let mut messages = Vec::new();
    let status = answer.status.as_u16();
    let session = answer.header("mcp-session-id").to_owned();
    answer
        .each_message(|message| {
            messages.push(message);
            Ok(())
        })
        .unwrap();
    Reply { status, session, messages }
}
