//! The operators' listener: registrations that are tried before they are stored.

use crate::harness::gateway::{ADMIN_KEY, Gateway, KEY};
use crate::harness::http::{Client, Response};
use crate::harness::messages::list;
use crate::harness::process::free_port;
use crate::harness::recorder::{Recorder, Speaks, TOOL};
use serde_json::json;

async fn ask(gateway: &Gateway, verb: &str, path: &str, key: Option<&str>, body: &str) -> Response {
    let mut headers: Vec<String> = key.map(|key| format!("Authorization: Bearer {key}")).into_iter().collect();
    headers.push("Content-Type: application/json".to_owned());
    let mut client = Client::connect(gateway.admin_port).await.unwrap();
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    let request = format!("{verb} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}Content-Length: {length}\r\n\r\n{body}");
    client.send(request.as_bytes()).await.unwrap();
    client.response().await.unwrap()
}

#[tokio::test]
async fn a_server_is_tried_before_it_is_stored() {
    let recorder = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = Gateway::start("outbound: {allow: [\"127.0.0.0/8\"]}\nservers: {}").await;
    let body = json!({"name": "rec", "url": recorder.url()}).to_string();
    for (key, status) in [(None, 401), (Some(KEY), 403), (Some("no-key-of-anybody"), 401)] {
        assert_eq!(ask(&gateway, "POST", "/servers", key, &body).await.status, status, "{key:?}");
    }
    let made = ask(&gateway, "POST", "/servers", Some(ADMIN_KEY), &body).await;
    assert_eq!((made.status, made.json()["state"].as_str()), (201, Some("ready")), "{}", made.text());
    assert_eq!(ask(&gateway, "POST", "/servers", Some(ADMIN_KEY), &body).await.status, 409);
    let mut client = gateway.client().await;
    assert_eq!(list(&mut client, "/mcp", KEY, "tools/list").await["tools"][0]["name"], "rec__say");

    let nobody = json!({"name": "nobody", "url": format!("http://127.0.0.1:{}/mcp", free_port())}).to_string();
    let refused = ask(&gateway, "POST", "/servers", Some(ADMIN_KEY), &nobody).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (502, Some("probe_failed")), "{}", refused.text());
    assert_eq!(ask(&gateway, "GET", "/servers/nobody", Some(ADMIN_KEY), "").await.status, 404);
    let stored = ask(&gateway, "POST", "/servers?probe=false", Some(ADMIN_KEY), &nobody).await;
    assert_eq!((stored.status, stored.json()["state"].as_str()), (201, Some("unreachable")), "{}", stored.text());

    // A change that fails leaves the server as it was.
    let elsewhere = json!({"name": "rec", "url": format!("http://127.0.0.1:{}/mcp", free_port())}).to_string();
    assert_eq!(ask(&gateway, "PUT", "/servers/rec", Some(ADMIN_KEY), &elsewhere).await.status, 502);
    let shown = ask(&gateway, "GET", "/servers/rec", Some(ADMIN_KEY), "").await;
    assert_eq!(shown.json()["url"], recorder.url());
    assert_eq!(ask(&gateway, "DELETE", "/servers/nobody", Some(ADMIN_KEY), "").await.status, 200);
    let left = ask(&gateway, "GET", "/servers", Some(ADMIN_KEY), "").await.json();
    assert_eq!(left["servers"].as_array().unwrap().len(), 1, "{left}");
}

/// Groups keep nobody out until that is switched on.
#[tokio::test]
async fn access_groups_are_labels_unless_they_are_enforced() {
    let recorder = Recorder::start(Speaks::Modern, &[TOOL]).await;
    for (enforce, seen) in [("off", [true, true]), ("on", [true, false])] {
        let keys = format!(
            "keys:\n  - {{id: in, key: {KEY}, access_groups: [legal]}}\n  - {{id: out, key: {ADMIN_KEY}, role: admin}}"
        );
        let server = format!("servers:\n  rec: {{url: \"{}\", access_groups: [legal, ops]}}", recorder.url());
        let gateway = Gateway::start(&format!("access_groups: {{enforce: {enforce}}}\n{keys}\n{server}")).await;
        for (key, sees) in [KEY, ADMIN_KEY].into_iter().zip(seen) {
            crate::harness::eventually("the list is what the key may see", 5, || async {
                let listed = list(&mut gateway.client().await, "/mcp", key, "tools/list").await;
                (listed["tools"].as_array()?.len() == usize::from(sees)).then_some(())
            })
            .await;
        }
    }
}
