//! What is wrong within a field of a registration. To pass over it would be to register something else: a
//! server without its credential, or one that everybody may use.

use super::Place;
use serde_json::{Value, json};

#[tokio::test]
async fn a_wrong_type_deep_inside_is_not_passed_over() {
    let place = Place::start().await;
    let within = |more: Value| {
        let mut body = json!({"server_id": "fresh", "name": "fresh", "url": place.fresh.url()});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let routeiq = "POST /llmrouter/mcp/servers";
    let cases = [
        (routeiq, json!({"auth_type": "bearer_token", "metadata": {"auth_token": 7}})),
        (routeiq, json!({"auth_type": "api_key", "metadata": {"api_key": ["k"]}})),
        (routeiq, json!({"auth_type": "api_key", "metadata": {"api_key": "k", "auth_header_name": 7}})),
        (routeiq, json!({"metadata": {"access_groups": [1, 2]}})),
        (routeiq, json!({"metadata": {"access_groups": {"legal": true}}})),
        (routeiq, json!({"metadata": {"alias": 7}})),
        (routeiq, json!({"tool_definitions": {"t": 7}})),
        (routeiq, json!({"tool_definitions": {"t": {"input_schema": []}}})),
        (routeiq, json!({"tool_definitions": {"t": {"description": 7}}})),
        ("POST /v1/mcp/server", json!({"auth_type": "bearer_token", "credentials": {"auth_value": 7}})),
        ("POST /v1/mcp/server", json!({"auth_type": "bearer_token", "credentials": {"auth_valeu": "k"}})),
        ("POST /v1/mcp/server", json!({"static_headers": {"X-A": 7}})),
        ("POST /v1/mcp/server", json!({"static_headers": {"Host": "other"}})),
        ("POST /v1/mcp/server", json!({"static_headers": {"X-A": "a\r\nHost: b"}})),
        ("POST /v1/mcp/server", json!({"mcp_access_groups": "legal"})),
    ];
    let mut taken = Vec::new();
    for (line, more) in cases {
        let answer = crate::harness::rest::rest(&place.gateway, line, &within(more.clone())).await;
        if !matches!(answer.status, 400 | 422) {
            taken.push(format!("{line} with {more}: {} {}", answer.status, answer.text()));
            crate::harness::rest::rest(&place.gateway, "DELETE /v1/mcp/server/fresh", &Value::Null).await;
        }
        assert_eq!(Place::stored(&place.gateway).await, place.before, "{more}");
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
}
