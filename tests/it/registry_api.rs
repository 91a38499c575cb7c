//! The official registry's API: this gateway as a sub-registry that aggregators read and whose entries
//! clients connect to.

use crate::guides::CONFIGURATION;
use crate::harness::eventually;
use crate::harness::gateway::{ADMIN_KEY, Gateway, KEY, OTHER_KEY};
use crate::harness::messages::start_discovered;
use crate::harness::peer::{Peer, Sdk, run_client};
use crate::harness::recorder::{Recorder, Speaks, TOOL};
use crate::harness::rest::{get, post};
use serde_json::{Value, json};

const OFFICIAL: &str = "io.modelcontextprotocol.registry/official";

#[tokio::test]
async fn pages_hold_each_server_once() {
    let gateway = Gateway::start(CONFIGURATION).await;
    let upstream = Recorder::start(Speaks::Modern, &[TOOL]).await;
    for number in 0..5 {
        register(&gateway, &upstream, &format!("s{number}"), "one of five").await;
    }
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = list(&gateway, &format!("?limit=2{cursor}")).await;
        names.extend(names_of(&page));
        assert!(names.len() <= 5, "the cursor runs in circles: {names:?}");
        match page["metadata"]["nextCursor"].as_str() {
            Some(next) => {
                assert_eq!(page["metadata"]["count"], 2);
                cursor = format!("&cursor={next}");
            }
            None => break,
        }
    }
    assert_eq!(names, ["s0", "s1", "s2", "s3", "s4"].map(|id| format!("dev.tollbridge/{id}")));
    for wrong in ["?limit=0", "?limit=101", "?limit=x", "?cursor=%25", "?updated_since=yesterday"] {
        let refused = get(&gateway, &format!("/v0.1/servers{wrong}"), KEY).await;
        assert_eq!((refused.status, refused.json()["error"].is_string()), (400, true), "{wrong}: {}", refused.text());
    }
}

#[tokio::test]
async fn the_list_is_narrowed() {
    let gateway = Gateway::start(CONFIGURATION).await;
    let upstream = Recorder::start(Speaks::Modern, &[TOOL]).await;
    register(&gateway, &upstream, "weather", "Forecasts for Europe").await;
    register(&gateway, &upstream, "tickets", "What customers complain of, mostly the weather").await;
    let found = async |query: &str| names_of(&list(&gateway, query).await);
    let both = vec!["dev.tollbridge/tickets".to_owned(), "dev.tollbridge/weather".to_owned()];
    assert_eq!(found("").await, both);
    assert_eq!(found("?search=WEATHER").await, both, "in names and in descriptions");
    assert_eq!(found("?search=forecasts").await, both[1..]);
    assert_eq!(found("?search=nothing").await, Vec::<String>::new());
    assert_eq!((found("?version=latest").await, found("?version=1.0.0").await), (both.clone(), both.clone()));
    assert_eq!(found("?version=9.9.9").await, Vec::<String>::new());
    assert_eq!(found("?updated_since=2020-01-01T00:00:00Z").await, both);
    assert_eq!(found("?updated_since=2999-01-01T00:00:00Z").await, Vec::<String>::new());

    // What is registered anew later is what changed since then.
    let first = updated(&gateway, "tickets").await;
    let later = eventually("a second has passed", 5, || async {
        register(&gateway, &upstream, "weather", "Forecasts for the world").await;
        let now = updated(&gateway, "weather").await;
        (now > first).then_some(now)
    })
    .await;
    assert_eq!(found(&format!("?updated_since={later}")).await, both[1..]);
}

/// What server.json demands (schema 2025-12-11), of ids and texts that fit it ill.
#[tokio::test]
async fn entries_are_valid() {
    let gateway = Gateway::start(CONFIGURATION).await;
    let upstream = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let (id, long) = (format!("Files.EU_{}", "x".repeat(100)), "größer ".repeat(100));
    register(&gateway, &upstream, &id, &long).await;
    register(&gateway, &upstream, "bare", "").await;
    let page = list(&gateway, "").await;
    let entries = page["servers"].as_array().unwrap();
    assert_eq!((entries.len(), &page["metadata"]["count"]), (2, &json!(2)));
    for entry in entries {
        is_valid(entry);
        let name = entry["server"]["name"].as_str().unwrap().replace('/', "%2F");
        for version in ["latest", "1.0.0"] {
            let one = get(&gateway, &format!("/v0.1/servers/{name}/versions/{version}"), KEY).await;
            assert_eq!((one.status, &one.json()), (200, entry), "{name}");
        }
        let versions = get(&gateway, &format!("/v0.1/servers/{name}/versions"), KEY).await.json();
        assert_eq!(versions, json!({"servers": [entry], "metadata": {"count": 1}}));
    }
    for unknown in ["dev.tollbridge%2Fnobody/versions/latest", "dev.tollbridge%2Fbare/versions/9.9.9", "x/versions"] {
        let answer = get(&gateway, &format!("/v0.1/servers/{unknown}"), KEY).await;
        assert_eq!((answer.status, &answer.json()["error"]), (404, &json!("Server not found")), "{unknown}");
    }
}

/// Also of servers of the configuration: their dates are such that an aggregator takes notice of them.
#[tokio::test]
async fn servers_of_the_configuration_have_dates() {
    let upstream = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = Gateway::start(&format!("servers:\n  fixed: {{url: \"{}\"}}", upstream.url())).await;
    let page = list(&gateway, "?updated_since=2020-01-01T00:00:00Z").await;
    assert_eq!(names_of(&page), ["dev.tollbridge/fixed"], "{page}");
}

#[tokio::test]
async fn an_official_client_connects_to_a_remote() {
    let peer = Peer::start(Sdk::TypeScriptV2);
    let gateway = start_discovered(&format!("servers:\n  weather: {{url: \"{}\"}}", peer.url())).await;
    let entry = get(&gateway, "/v0.1/servers/dev.tollbridge%2Fweather/versions/latest", KEY).await.json();
    is_valid(&entry);
    let remote = &entry["server"]["remotes"][0];
    assert_eq!((&remote["type"], &remote["headers"][0]["name"]), (&json!("streamable-http"), &json!("Authorization")));
    let url = remote["url"].as_str().unwrap().to_owned();
    let only = "tools/list,tools/call".to_owned();
    let arguments = ["--url".to_owned(), url, "--key".to_owned(), KEY.to_owned(), "--only".to_owned(), only];
    let lines = run_client(Sdk::PythonV2, arguments.into()).await;
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines.iter().all(|line| line["ok"] == true), "{lines:?}");
}

#[tokio::test]
async fn without_a_key_only_what_was_made_public_and_only_where_that_is_on() {
    let upstream = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let open = Gateway::start(&format!("{CONFIGURATION}\nregistry: {{public: on}}")).await;
    let closed = Gateway::start(CONFIGURATION).await;
    for gateway in [&open, &closed] {
        register(gateway, &upstream, "shown", "for everybody").await;
        register(gateway, &upstream, "hidden", "for some").await;
        let published = post(gateway, "/v1/mcp/make_public", ADMIN_KEY, &json!({"mcp_server_ids": ["shown"]})).await;
        assert_eq!(published.status, 202, "{}", published.text());
    }
    let paths = ["/v0.1/servers", "/v0.1/servers/dev.tollbridge%2Fshown/versions/latest", "/v1/mcp/registry.json"];
    for path in paths {
        let told = open.client().await.request("GET", path, &[]).await.unwrap();
        assert_eq!(told.status, 200, "{path}: {}", told.text());
        assert!(told.text().contains("shown") && !told.text().contains("hidden"), "{path}: {}", told.text());
        let refused = closed.client().await.request("GET", path, &[]).await.unwrap();
        assert_eq!((refused.status, refused.header("www-authenticate").is_some()), (401, true), "{path}");
        let wrong = get(&open, path, "not-a-key-of-anybodys-0123456789").await;
        assert_eq!(wrong.status, 401, "a wrong key is not no key: {path}");
        assert!(path.contains("shown") || get(&open, path, KEY).await.text().contains("hidden"), "{path}");
    }
    let hidden = open.client().await.request("GET", &paths[1].replace("shown", "hidden"), &[]).await.unwrap();
    assert_eq!(hidden.status, 404, "{}", hidden.text());
    for path in ["/mcp/servers", "/mcp/tools", "/mcp/openapi.json", "/v1/mcp/server", "/llmrouter/mcp/servers"] {
        let refused = open.client().await.request("GET", path, &[]).await.unwrap();
        assert_eq!(refused.status, 401, "{path} is open: {}", refused.text());
    }
}

#[tokio::test]
async fn a_key_is_told_of_its_servers_and_a_surface_that_is_off_is_not_there() {
    let gateway = Gateway::start(&format!(
        "keys:\n  - {{id: app, key: {KEY}}}\n  - {{id: narrow, key: {OTHER_KEY}, servers: [a]}}\n\
         servers:\n  a: {{url: \"http://127.0.0.1:9/mcp\"}}\n  b: {{url: \"http://127.0.0.1:9/mcp\"}}"
    ))
    .await;
    let narrow = get(&gateway, "/v0.1/servers", OTHER_KEY).await.json();
    assert_eq!(names_of(&narrow), ["dev.tollbridge/a"]);
    let others = get(&gateway, "/v0.1/servers/dev.tollbridge%2Fb/versions/latest", OTHER_KEY).await;
    assert_eq!(others.status, 404, "{}", others.text());
    let off = Gateway::start("surfaces: {registry_api: off}").await;
    assert_eq!(get(&off, "/v0.1/servers", KEY).await.status, 404);
}

async fn register(gateway: &Gateway, upstream: &Recorder, id: &str, description: &str) {
    let body = json!({"server_id": id, "name": id, "url": upstream.url(), "description": description});
    let registered = post(gateway, "/llmrouter/mcp/servers", ADMIN_KEY, &body).await;
    assert_eq!(registered.status, 200, "{}", registered.text());
}

async fn list(gateway: &Gateway, query: &str) -> Value {
    let answer = get(gateway, &format!("/v0.1/servers{query}"), KEY).await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.text());
    answer.json()
}

fn names_of(page: &Value) -> Vec<String> {
    let servers = page["servers"].as_array().unwrap().iter();
    servers.map(|entry| entry["server"]["name"].as_str().unwrap().to_owned()).collect()
}

async fn updated(gateway: &Gateway, id: &str) -> String {
    let entry = get(gateway, &format!("/v0.1/servers/dev.tollbridge%2F{id}/versions/latest"), KEY).await.json();
    entry["_meta"][OFFICIAL]["updatedAt"].as_str().unwrap().to_owned()
}

fn is_valid(entry: &Value) {
    let (server, official) = (&entry["server"], &entry["_meta"][OFFICIAL]);
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no text in {entry}")).to_owned();
    let characters = |value: &Value| text(value).chars().count();
    let name = text(&server["name"]);
    let (namespace, id) = name.split_once('/').expect("a namespace");
    let allowed = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    assert!(allowed(namespace, ".-") && allowed(id, "._-") && (3..=200).contains(&name.len()), "{name}");
    assert!((1..=100).contains(&characters(&server["description"])), "{server}");
    assert!((1..=100).contains(&characters(&server["title"])), "{server}");
    assert!((1..=255).contains(&characters(&server["version"])), "{server}");
    assert!(text(&server["$schema"]).ends_with("/2025-12-11/server.schema.json"), "{server}");
    for remote in server["remotes"].as_array().expect("remotes") {
        assert!(matches!(remote["type"].as_str(), Some("streamable-http" | "sse")), "{remote}");
        assert!(text(&remote["url"]).starts_with("http"), "{remote}");
        assert!(remote["headers"].as_array().unwrap().iter().all(|header| header["name"].is_string()), "{remote}");
    }
    assert_eq!((&official["status"], &official["isLatest"]), (&json!("active"), &json!(true)));
    assert!(text(&official["publishedAt"]) <= text(&official["updatedAt"]), "{official}");
}
