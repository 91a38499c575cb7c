//! Searching tools: by words alone, put in order by a model where one is configured, and as two tools
//! that stand for all of them.

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::http::Response;
use crate::harness::messages::{call, initialize, legacy_call, list, start_discovered};
use crate::harness::recorder::{Recorder, Reply, Speaks};
use serde_json::{Value, json};
use std::time::Duration;

const WEATHER: &str = r#"{"name":"get_forecast","description":"The weather of a city for the next days.","inputSchema":{"type":"object","properties":{"city":{"type":"string","x-mcp-header":"City"}},"required":["city"]}}"#;
const MAIL: &str = r#"{"name":"send_mail","description":"Sends a message to somebody.","inputSchema":{"type":"object","properties":{"to":{"type":"string"}}}}"#;
const TIME: &str =
    r#"{"name":"now","title":"Clock","description":"What time it is in a city.","inputSchema":{"type":"object"}}"#;

async fn search(gateway: &Gateway, query: &str) -> Value {
    let headers = [format!("Authorization: Bearer {KEY}"), "Content-Type: application/json".to_owned()];
    let body = json!({"query": query}).to_string();
    let response = gateway.client().await.post("/mcp/search", &headers, body.as_bytes()).await.unwrap();
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

fn names(found: &Value) -> Vec<&str> {
    found["result"].as_array().unwrap().iter().map(|hit| hit["tool_name"].as_str().unwrap()).collect()
}

async fn behind(more: &str) -> (Recorder, Gateway) {
    let recorder = Recorder::start(Speaks::Modern, &[WEATHER, MAIL, TIME]).await;
    let gateway = start_discovered(&format!("{more}\nservers:\n  town: {{url: \"{}\"}}", recorder.url())).await;
    (recorder, gateway)
}

#[tokio::test]
async fn words_find_tools_and_say_why() {
    let (_recorder, gateway) = behind("").await;
    let found = search(&gateway, "What is the weather in a city?").await;
    assert_eq!(names(&found)[0], "get_forecast", "{found}");
    let best = &found["result"][0];
    let score = best["match_score"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&score), "{best}");
    assert!(best["reasoning"].as_str().unwrap().contains("weather"), "{best}");
    assert_eq!(best["mcp_server"], "town");
    assert_eq!(best["input_schema"]["properties"]["city"]["type"], "string");
    assert_eq!(search(&gateway, "What is the weather in a city?").await["result"], found["result"], "the same again");
    assert_eq!(names(&search(&gateway, "zebra").await), [""; 0]);
}

/// A model's answer counts if it comes in time and is fit; otherwise the words decide.
#[tokio::test]
async fn a_model_puts_hits_in_order_or_is_not_waited_for() {
    let model = Recorder::start(Speaks::Legacy, &[]).await;
    let llm = format!(
        "search: {{llm: {{base_url: \"http://127.0.0.1:{}/v1\", model: tiny, api_key: key-of-the-model, timeout: 500ms}}}}",
        model.port
    );
    let (_recorder, gateway) = behind(&llm).await;
    let said = |content: Value| {
        let answer = json!({"choices": [{"message": {"role": "assistant", "content": content.to_string()}}]});
        move |_: &crate::harness::recorder::Recorded| Reply::Json(answer.to_string().into_bytes())
    };
    // What is asked is no JSON-RPC, so it has no method.
    model.answers_to("", said(json!({"tools": [{"index": 1, "score": 0.75, "reasoning": "it tells the time"}]})));
    let found = search(&gateway, "city").await;
    assert_eq!(found["result"][0]["match_score"], 0.75, "{found}");
    assert_eq!(found["result"][0]["reasoning"], "it tells the time");
    let asked = model.requests().pop().unwrap();
    assert!(asked.head.starts_with("POST /v1/chat/completions "), "{}", asked.head);
    assert_eq!(asked.header("authorization"), Some("Bearer key-of-the-model"));
    for unfit in [json!("no JSON"), json!({"tools": [{"index": 7}]})] {
        model.answers_to("", said(unfit));
        let found = search(&gateway, "city").await;
        assert!(found["result"][0]["reasoning"].as_str().unwrap().contains("match"), "{found}");
    }
    model.hangs("");
    let began = std::time::Instant::now();
    assert_eq!(names(&search(&gateway, "city").await).len(), 2);
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

fn text(answer: &Response) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["result"]["structuredContent"].clone()
}

/// What goes upstream is the call that was meant, the arguments as they were written.
#[tokio::test]
async fn two_tools_stand_for_all_of_them() {
    for speaks in [Speaks::Modern, Speaks::Legacy] {
        let recorder = Recorder::start(speaks, &[WEATHER, MAIL, TIME]).await;
        let rest = format!("search: {{meta_tools: on}}\nservers:\n  town: {{url: \"{}\"}}", recorder.url());
        let gateway = start_discovered(&rest).await;
        let mut client = gateway.client().await;
        let arguments = r#"{"name":"town__get_forecast","arguments":{ "city" : "Z\u00fcrich","n":1e400}}"#;
        let query = r#"{"query":"weather","limit":1}"#;
        let (found, called) = match speaks {
            Speaks::Modern => {
                let listed = list(&mut client, "/mcp", KEY, "tools/list").await;
                let names: Vec<&str> =
                    listed["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
                assert_eq!(names, ["search_tools", "call_tool"]);
                let found = call(&mut client, "/mcp", "search_tools", query).await.unwrap();
                (found, call(&mut client, "/mcp", "call_tool", arguments).await.unwrap())
            }
            Speaks::Legacy => {
                let session = initialize(&mut client, "/mcp", KEY).await;
                let found = legacy_call(&mut client, "/mcp", KEY, &session, "search_tools", query).await.unwrap();
                (found, legacy_call(&mut client, "/mcp", KEY, &session, "call_tool", arguments).await.unwrap())
            }
        };
        let found = text(&found);
        assert_eq!(found["tools"][0]["name"], "town__get_forecast", "{found}");
        assert_eq!(found["tools"].as_array().unwrap().len(), 1);
        assert_eq!(called.status, 200, "{}", called.text());
        let sent = recorder.last_call();
        assert!(sent.text().contains(r#""arguments":{ "city" : "Z\u00fcrich","n":1e400}"#), "{}", sent.text());
        assert_eq!(sent.member("/params/name").as_deref(), Some("get_forecast"));
        if let Speaks::Modern = speaks {
            assert_eq!(sent.header("mcp-name"), Some("get_forecast"));
            assert!(sent.header("mcp-param-city").is_some(), "{}", sent.head);
        }
    }
}
