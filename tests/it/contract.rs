//! The operator's contract: what the commands, the configuration and the operators' listener promise.

mod passthrough;
mod reload;

use crate::harness::gateway::{ADMIN_KEY, Gateway, KEY, scratch, unset_variables};
use crate::harness::http::{Client, Response};
use crate::harness::messages::{call, list, modern, request, start_discovered};
use crate::harness::peer::{Peer, Sdk};
use crate::harness::process::free_port;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_call_goes_through() {
    let peer = Peer::start(Sdk::TypeScriptV2);
    let gateway = start_discovered(&format!("servers:\n  ts: {{url: \"{}\"}}", peer.url())).await;
    let mut client = gateway.client().await;
    let tools = list(&mut client, "/mcp", KEY, "tools/list").await;
    assert_eq!(tools["_meta"]["dev.tollbridge/servers"]["ts"]["state"], "ready", "{tools}");
    let response = call(&mut client, "/mcp", "ts__echo", r#"{"text":"hello"}"#).await.unwrap();
    assert_eq!(response.json()["result"]["structuredContent"]["text"], "hello", "{}", response.text());
}

/// As it stands in the documentation, but for the ports, and with one more server at its end.
const PRINTED: &str = r#"
listen: 127.0.0.1:8080
admin: {listen: 127.0.0.1:9090}
naming: always
passthrough: http://127.0.0.1:8000
keys:
  - {id: ops, key: "${TOLLBRIDGE_MASTER_KEY}", role: admin}
  - {id: app, key: "sha256:<hex>", role: user, servers: ["search", "files-*"]}
servers:
  search: {url: http://127.0.0.1:3100/mcp}
  files:
    endpoints: [http://127.0.0.1:3201/mcp, http://127.0.0.1:3202/mcp]
    era: auto
    health: {interval: 5s, timeout: 1s}
    timeout: {connect: 1s, call: 60s}
    auth: {type: bearer, token: "${FILES_TOKEN}"}
  files-eu: {url: http://127.0.0.1:3203/mcp}
"#;

#[tokio::test]
async fn the_printed_configuration_works_and_a_key_opens_what_it_names() {
    let [search, files, also_files, files_eu] = [(); 4].map(|()| Peer::start(Sdk::RustModern));
    let ports = [
        ("8080", free_port()),
        ("9090", free_port()),
        ("3100", search.port),
        ("3201", files.port),
        ("3202", also_files.port),
        ("3203", files_eu.port),
    ];
    let text = ports
        .iter()
        .fold(PRINTED.to_owned(), |text, (printed, port)| text.replace(&format!(":{printed}"), &format!(":{port}")));
    let text = text.replace("sha256:<hex>", hash(KEY).trim());
    let environment = [("TOLLBRIDGE_MASTER_KEY", ADMIN_KEY), ("FILES_TOKEN", "a-token")];
    let gateway = Gateway::launch(&text, (ports[0].1, ports[1].1), &environment);
    gateway.ready().await;

    let mut client = gateway.client().await;
    for (key, visible) in [(ADMIN_KEY, &["files", "files-eu", "search"][..]), (KEY, &["files-eu", "search"])] {
        let listed = list(&mut client, "/mcp", key, "tools/list").await;
        let tools = listed["tools"].as_array().expect("tools");
        for server in ["search", "files", "files-eu"] {
            let may = visible.contains(&server);
            let tool = format!("{server}__echo");
            assert_eq!(tools.iter().any(|listed| listed["name"] == tool.as_str()), may, "{key} and {tool} in {listed}");
            let called = echo(&gateway, "/mcp", key, &tool).await;
            let alone = echo(&gateway, &format!("/mcp/{server}"), key, "echo").await;
            if may {
                assert!(is_echo(&called), "{key} calls {tool}: {}", called.text());
                assert!(is_echo(&alone), "{key} calls /mcp/{server}: {}", alone.text());
            } else {
                let unknown = echo(&gateway, "/mcp", key, "nowhere__echo").await;
                assert_eq!(called.error_code(), Some(-32602), "{}", called.text());
                assert_eq!(
                    called.json()["error"]["message"].as_str().map(|said| said.replace(&tool, "_")),
                    unknown.json()["error"]["message"].as_str().map(|said| said.replace("nowhere__echo", "_")),
                    "what a key may not see does not exist"
                );
                assert_eq!(alone.status, 404, "{key} at /mcp/{server}: {}", alone.text());
            }
        }
        let about = listed["_meta"]["dev.tollbridge/servers"].as_object().expect("servers");
        assert_eq!(about.len(), visible.len(), "what the list says of servers: {about:?}");
    }
}

#[tokio::test]
async fn servers_are_read_as_other_gateways_and_as_clients_write_them() {
    let peer = Peer::start(Sdk::RustModern);
    let url = peer.url();
    let spellings = format!(
        "mcp_servers:\n  lite: {{url: \"{url}\", transport: http}}\n\
         mcpServers: {{\"desktop\": {{\"type\": \"http\", \"url\": \"{url}\"}}}}"
    );
    let gateway = Gateway::start(&spellings).await;
    for tool in ["lite__echo", "desktop__echo"] {
        let answer = echo(&gateway, "/mcp", KEY, tool).await;
        assert!(is_echo(&answer), "{tool}: {}", answer.text());
    }
}

#[test]
fn check_says_every_problem_at_once_each_with_its_line() {
    let mistakes = [
        ("listen: 0.0.0.0:8080", "refuses to start; add a key"),
        ("admin: {listen: localhost}", "\"localhost\" is no address"),
        ("lisen: 127.0.0.1:1", "unknown key \"lisen\"; did you mean `listen`?"),
        ("naming: sometimes", "write one of always, conditional, never"),
        ("passthrough: https://127.0.0.1:8000", "as in http://127.0.0.1:8000"),
        ("limits: {body_bytes: lots}", "\"lots\" is no size"),
        ("drain: {exit: 60}", "\"60\" is no duration"),
        ("seal: {keys: [short]}", "a seal is 32 bytes"),
        ("servers:", ""),
        ("  tools: {url: http://h/}", "\"tools\" is a reserved word"),
        ("  a: {url: http://h/, auth: {type: bearer, token: \"${NOT_SET_ANYWHERE}\"}}", "NOT_SET_ANYWHERE is not set"),
    ];
    let text: String = mistakes.iter().map(|(line, _)| format!("{line}\n")).collect();
    let (output, said) = check(&text);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for (line, (mistake, wanted)) in (1..).zip(mistakes) {
        let at = format!("line {line}: ");
        let told: Vec<_> = said.lines().filter(|told| told.contains(&at)).collect();
        match wanted {
            "" => assert!(told.is_empty(), "{mistake:?} is right: {told:?}"),
            _ => assert!(
                told.len() == 1 && told[0].contains(wanted),
                "{mistake:?} should be told as {wanted:?} at {at:?}:\n{said}"
            ),
        }
    }
    assert_eq!(said.trim_end().lines().count(), 10, "ten mistakes, ten messages:\n{said}");
    let (output, said) = check("servers: {}");
    assert!(output.status.success() && said.contains("all right"), "{said}");
}

#[tokio::test]
async fn a_new_key_opens_the_gateway_that_knows_its_digest() {
    let printed = String::from_utf8(run(&["keys", "new"], "").stdout).unwrap();
    let key = printed.split_once("key:").expect("a key").1.split_whitespace().next().unwrap();
    let entry = printed.split_once("config:").expect("an entry").1.trim();
    assert!(entry.contains(hash(key).trim()), "`keys hash` of the key gives the digest of `keys new`:\n{printed}");
    let peer = Peer::start(Sdk::RustModern);
    let gateway = Gateway::start(&format!("keys:\n  {entry}\nservers:\n  s: {{url: \"{}\"}}", peer.url())).await;
    assert!(is_echo(&echo(&gateway, "/mcp", key, "s__echo").await), "the new key");
    assert_eq!(echo(&gateway, "/mcp", KEY, "s__echo").await.status, 401, "another key");
}

/// The best of three starts: what else the machine does only ever adds.
#[tokio::test]
async fn the_first_call_is_answered_soon_after_the_start() {
    let limit = Duration::from_millis(if cfg!(debug_assertions) { 500 } else { 100 });
    let (one, other) = (Peer::start(Sdk::RustModern), Peer::start(Sdk::RustLegacy));
    let mut took = Vec::new();
    for _ in 0..3 {
        let (port, admin_port) = (free_port(), free_port());
        let text = format!(
            "listen: 127.0.0.1:{port}\nadmin: {{listen: \"127.0.0.1:{admin_port}\"}}\nkeys: [{{id: app, key: {KEY}}}]\n\
             servers:\n  one: {{url: \"{}\"}}\n  other: {{url: \"{}\"}}\n",
            one.url(),
            other.url()
        );
        let began = Instant::now();
        let gateway = Gateway::launch(&text, (port, admin_port), &[]);
        while began.elapsed() < Duration::from_secs(10) {
            let first = try_echo(&gateway, "/mcp", KEY, "one__echo").await;
            if first.is_ok_and(|answer| is_echo(&answer)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(began.elapsed());
    }
    assert!(took.iter().any(|took| *took <= limit), "none within {limit:?}: {took:?}");
}

#[test]
fn an_address_for_everybody_without_keys_refuses_to_start() {
    let directory = scratch();
    let file = directory.join("gateway.yaml");
    for text in ["listen: 0.0.0.0:18080", "listen: \"[::]:18080\"", "admin: {listen: 0.0.0.0:19090}"] {
        std::fs::write(&file, text).unwrap();
        let output = run(&["run", "--config", file.to_str().unwrap()], "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}: {said}");
        assert!(said.contains("open to other hosts"), "{text}: {said}");
    }
    std::fs::remove_dir_all(directory).unwrap();
}

#[tokio::test]
async fn strangers_are_refused_before_anything_of_their_body_is_read() {
    let gateway = Gateway::start("servers: {}").await;
    let known = format!("Authorization: Bearer {KEY}");
    let cases = [
        ("no key", 401, vec![]),
        ("an unknown key", 401, vec!["Authorization: Bearer nobody-has-this-key"]),
        ("a key in another scheme", 401, vec!["Authorization: Basic YTpi"]),
        ("another host", 403, vec![&known, "Host: evil.example"]),
        ("another origin", 403, vec![&known, "Origin: https://evil.example"]),
    ];
    for (what, status, lines) in cases {
        for path in ["/mcp", "/mcp/s", "/s/mcp"] {
            let mut client = gateway.client().await;
            let host = if lines.iter().any(|line| line.starts_with("Host")) { "" } else { "Host: 127.0.0.1\r\n" };
            let head =
                format!("POST {path} HTTP/1.1\r\n{host}Content-Length: 1000000\r\n{}\r\n\r\n", lines.join("\r\n"));
            client.send(head.replace("\r\n\r\n\r\n", "\r\n\r\n").as_bytes()).await.unwrap();
            let began = Instant::now();
            let refused = client.response().await.expect("an answer though the body never came");
            assert_eq!(refused.status, status, "{what} at {path}: {}", refused.text());
            assert!(began.elapsed() < Duration::from_secs(1), "{what} at {path} took {:?}", began.elapsed());
            assert_eq!(
                refused.header("www-authenticate").is_some(),
                status == 401,
                "{what} at {path}: {:?}",
                refused.headers
            );
        }
    }
}

#[tokio::test]
async fn operators_see_life_readiness_and_metrics() {
    let gateway = Gateway::start("servers: {}").await;
    for (path, status, says) in [
        ("/livez", 200, "alive"),
        ("/readyz", 200, "ready"),
        ("/metrics", 200, "tollbridge_ready"),
        ("/mcp", 404, "/metrics"),
    ] {
        let answer = gateway.admin(path).await.expect("an answer");
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.text().contains(says), "{path}: {}", answer.text());
    }
    let mut client = Client::connect(gateway.admin_port).await.unwrap();
    client.send(b"GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n").await.unwrap();
    assert_eq!(client.response().await.unwrap().status, 403, "a rebound name");
}

/// What a load balancer sends as soon as it hears "ready" must find somebody.
#[tokio::test]
async fn ready_means_that_calls_are_accepted() {
    for start in 0..20 {
        let (port, admin_port) = (free_port(), free_port());
        let text = format!(
            "listen: 127.0.0.1:{port}\nadmin: {{listen: \"127.0.0.1:{admin_port}\"}}\nkeys: [{{id: app, key: {KEY}}}]\n"
        );
        let gateway = Gateway::launch(&text, (port, admin_port), &[]);
        let until = Instant::now() + Duration::from_secs(10);
        while !gateway.is_ready().await {
            assert!(Instant::now() < until, "start {start}: not ready within 10 s");
        }
        let accepted = Client::connect(gateway.port).await;
        assert!(accepted.is_ok(), "start {start}: ready, but {:?}", accepted.err());
    }
}

/// Over a connection of its own: a refused one ends with the refusal.
async fn echo(gateway: &Gateway, path: &str, key: &str, tool: &str) -> Response {
    try_echo(gateway, path, key, tool).await.expect("an answer")
}

async fn try_echo(gateway: &Gateway, path: &str, key: &str, tool: &str) -> std::io::Result<Response> {
    let body = request("1", "tools/call", &format!(r#""name":"{tool}","arguments":{{"text":"hello"}},"#));
    let headers = modern(key, "tools/call", Some(tool));
    let mut client = Client::connect(gateway.port).await?;
    client.post(path, &headers, body.as_bytes()).await
}

fn is_echo(response: &Response) -> bool {
    response.status == 200 && response.json()["result"]["structuredContent"]["text"] == "hello"
}

fn check(text: &str) -> (Output, String) {
    let directory = scratch();
    let file: &Path = &directory.join("gateway.yaml");
    std::fs::write(file, text).unwrap();
    let output = run(&["check", "--config", file.to_str().unwrap()], "");
    std::fs::remove_dir_all(&directory).unwrap();
    let said = [&output.stdout[..], &output.stderr].concat();
    (output, String::from_utf8(said).unwrap())
}

fn hash(key: &str) -> String {
    String::from_utf8(run(&["keys", "hash"], key).stdout).unwrap()
}

/// A command that ends by itself.
fn run(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
    unset_variables(&mut command);
    let mut child = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().expect("it ends")
}
