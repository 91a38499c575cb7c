//! What the protocol promises beside its rules (`rules.rs`): ids, pages, and eras that do not meet.

use crate::harness::gateway::KEY;
use crate::harness::http::Client;
use crate::harness::messages::{
    call, initialize, legacy, legacy_call, legacy_request, list, modern, request, start_discovered,
};
use crate::harness::peer::{Peer, Sdk};
use crate::harness::recorder::{Recorder, Speaks, TOOL};

#[tokio::test]
async fn other_verbs_and_messages_without_an_answer() {
    let recorder = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = start_discovered(&format!("servers:\n  rec: {{url: \"{}\"}}", recorder.url())).await;
    let (modern_lines, legacy_lines) = (modern(KEY, "tools/list", None), legacy(KEY, None));
    // Behind an endpoint of its own this server has no streams; those of `/mcp` are the gateway's.
    #[rustfmt::skip]
    let table = [
        ("GET", "/mcp", &modern_lines, "POST"), ("GET", "/mcp/rec", &modern_lines, "POST"), ("GET", "/rec/mcp", &modern_lines, "POST"),
        ("DELETE", "/mcp", &modern_lines, "POST"), ("PUT", "/mcp/rec", &modern_lines, "POST"),
        ("GET", "/mcp/rec", &legacy_lines, "POST, DELETE"), ("PUT", "/mcp", &legacy_lines, "POST, GET, DELETE"),
    ];
    for (verb, path, lines, allow) in table {
        let answer = gateway.client().await.request(verb, path, lines).await.unwrap();
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{verb} {path}: {}", answer.text());
    }
    let mut client = gateway.client().await;
    for message in [
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
    ] {
        let answer = client.post("/mcp", &modern_lines, message.as_bytes()).await.unwrap();
        assert_eq!((answer.status, answer.body.len()), (202, 0), "{message}: {}", answer.text());
    }
}

const CALL: &str = r#""name":"rec__say","#;

#[tokio::test]
async fn ids_are_echoed_as_they_were_written() {
    let recorder = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = start_discovered(&format!("servers:\n  rec: {{url: \"{}\"}}", recorder.url())).await;
    let mut client = gateway.client().await;
    #[rustfmt::skip]
    let methods = [("tools/list", None, ""), ("tools/call", Some("rec__say"), CALL), ("tools/call", Some("no"), r#""name":"no","#), ("nothing/known", None, "")];
    for id in [
        "0",
        "-1",
        "9007199254740993",
        "123456789012345678901234567890",
        r#""""#,
        r#""\u0031""#,
        r#""a\/b\"ö""#,
        r#""null""#,
    ] {
        for (method, name, members) in methods {
            let body = request(id, method, members);
            let answer = client.post("/mcp", &modern(KEY, method, name), body.as_bytes()).await.unwrap();
            assert!(answer.text().contains(&format!(r#""id":{id},"#)), "{method} {id}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn pages_hold_everything_once_in_one_order() {
    let tools: Vec<String> = ["c", "a", "e", "b", "d"]
        .map(|name| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#))
        .into();
    let tools: Vec<&str> = tools.iter().map(String::as_str).collect();
    let servers = [
        Recorder::start(Speaks::Modern, &tools).await,
        Recorder::start(Speaks::Modern, &tools[..2]).await,
        Recorder::start(Speaks::Legacy, &tools).await,
        Recorder::start(Speaks::Legacy, &tools[..2]).await,
    ];
    let [one, two, three, four] = servers.each_ref().map(Recorder::url);
    let gateway = start_discovered(&format!("limits: {{page: 2}}\nservers:\n  m1: {{url: \"{one}\"}}\n  m2: {{url: \"{two}\"}}\n  l1: {{url: \"{three}\"}}\n  l2: {{url: \"{four}\"}}")).await;
    let all = |server: &str, tools: &[&str]| -> Vec<String> {
        tools.iter().map(|tool| format!("{server}__{tool}")).collect()
    };
    let both = |one: &str, two: &str| [all(one, &["a", "b", "c", "d", "e"]), all(two, &["a", "c"])].concat();
    let mut client = gateway.client().await;
    let bare: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).into();
    for (path, session, want) in [
        ("/mcp", None, both("m1", "m2")),
        ("/mcp/m1", None, bare.clone()),
        ("/mcp", Some(initialize(&mut client, "/mcp", KEY).await), both("l1", "l2")),
        ("/mcp/l1", Some(initialize(&mut client, "/mcp/l1", KEY).await), bare),
    ] {
        let (mut names, mut cursor) = (Vec::new(), String::new());
        loop {
            let member = if cursor.is_empty() { String::new() } else { format!(r#""cursor":"{cursor}""#) };
            let (lines, body) = match &session {
                None => (
                    modern(KEY, "tools/list", None),
                    request("1", "tools/list", &if member.is_empty() { member } else { member + "," }),
                ),
                Some(session) => {
                    (legacy(KEY, Some(session)), legacy_request("1", "tools/list", &format!("{{{member}}}")))
                }
            };
            let page = client.post(path, &lines, body.as_bytes()).await.unwrap().json()["result"].clone();
            let entries = page["tools"].as_array().unwrap_or_else(|| panic!("{path}: {page}"));
            assert!((1..=2).contains(&entries.len()), "{path}: a page of {}", entries.len());
            names.extend(entries.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()));
            match page["nextCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(names, want, "{path}");
    }
}

/// Without a bridge, a client is told so; it is never shown what it cannot call.
#[tokio::test]
async fn eras_that_do_not_meet_say_so() {
    let (old, new) = (Peer::start(Sdk::TypeScriptV1), Peer::start(Sdk::TypeScriptV2));
    let gateway =
        start_discovered(&format!("servers:\n  old: {{url: \"{}\"}}\n  new: {{url: \"{}\"}}", old.url(), new.url()))
            .await;
    let mut client = gateway.client().await;
    let session = initialize(&mut client, "/mcp", KEY).await;
    let legacy_list = legacy_request("1", "tools/list", "{}");
    let legacy_tools = client.post("/mcp", &legacy(KEY, Some(&session)), legacy_list.as_bytes()).await.unwrap().json()
        ["result"]
        .clone();
    let modern_tools = list(&mut client, "/mcp", KEY, "tools/list").await;
    for (tools, shown, hidden) in [(&legacy_tools, "old", "new"), (&modern_tools, "new", "old")] {
        let names: Vec<&str> =
            tools["tools"].as_array().unwrap().iter().filter_map(|tool| tool["name"].as_str()).collect();
        assert!(!names.is_empty() && names.iter().all(|name| name.starts_with(shown)), "{shown}: {names:?}");
        let states = &tools["_meta"]["dev.tollbridge/servers"];
        assert_eq!(
            (&states[shown]["state"], &states[hidden]["state"]),
            (&"ready".into(), &"era_unbridged".into()),
            "{states}"
        );
    }
    let text = r#"{"text":"hi"}"#;
    let answers = [
        ("old", call(&mut client, "/mcp", "old__echo", text).await.unwrap()),
        ("new", legacy_call(&mut client, "/mcp", KEY, &session, "new__echo", text).await.unwrap()),
    ];
    for (server, answer) in answers {
        let error = answer.json()["error"].clone();
        assert_eq!((answer.status, error["code"].as_i64()), (200, Some(-31001)), "{}", answer.text());
        assert_eq!(
            (&error["data"]["reason"], &error["data"]["server"]),
            (&"era_unbridged".into(), &server.into()),
            "{error}"
        );
    }
    // At its own endpoint a server names its revisions, as if it were asked itself.
    let alone = call(&mut client, "/mcp/old", "echo", text).await.unwrap();
    assert_supported(&alone, serde_json::json!(["2025-11-25", "2025-06-18", "2025-03-26"]));
    let body = legacy_request(
        "0",
        "initialize",
        r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}"#,
    );
    let alone = Client::post(&mut client, "/mcp/new", &legacy(KEY, None), body.as_bytes()).await.unwrap();
    assert_supported(&alone, serde_json::json!(["2026-07-28"]));
}

#[track_caller]
fn assert_supported(answer: &crate::harness::http::Response, versions: serde_json::Value) {
    let error = &answer.json()["error"];
    assert_eq!((answer.status, error["code"].as_i64()), (400, Some(-32022)), "{}", answer.text());
    assert_eq!(error["data"]["supported"], versions, "{error}");
}
