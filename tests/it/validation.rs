//! Arguments against the tool's own schema, before the server is asked.

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::http::Response;
use crate::harness::messages::{call, start_discovered};
use crate::harness::recorder::{Recorder, Speaks, TOOL};

const STRICT: &str = r##"{"name":"book","inputSchema":{"type":"object","properties":{"seats":{"type":"integer","maximum":18446744073709551616},"class":{"$ref":"#/$defs/class"}},"required":["seats"],"$defs":{"class":{"enum":["first","second"]}}}}"##;
const FETCHES: &str =
    r#"{"name":"far","inputSchema":{"type":"object","$ref":"http://127.0.0.1:1/schema.json","required":["x"]}}"#;

async fn behind(validation: &str) -> (Recorder, Gateway) {
    let recorder = Recorder::start(Speaks::Modern, &[STRICT, FETCHES, TOOL]).await;
    let rest = format!("{validation}\nservers:\n  rec: {{url: \"{}\"}}", recorder.url());
    (recorder, start_discovered(&rest).await)
}

async fn rest(gateway: &Gateway, tool: &str, arguments: &str) -> Response {
    let headers = [format!("Authorization: Bearer {KEY}"), "Content-Type: application/json".to_owned()];
    let path = format!("/mcp/rec/tools/{tool}");
    gateway.client().await.post(&path, &headers, arguments.as_bytes()).await.unwrap()
}

#[tokio::test]
async fn rest_callers_are_told_what_does_not_fit() {
    let (recorder, gateway) = behind("").await;
    for (arguments, said) in [
        ("{}", "seats"),
        (r#"{"seats":"two"}"#, "integer"),
        (r#"{"seats":1.5}"#, "integer"),
        (r#"{"seats":18446744073709551617}"#, "18446744073709551616"),
        (r#"{"seats":1,"class":"third"}"#, "/class"),
        (r#"{"seats":1,"seats":2}"#, "twice"),
    ] {
        let refused = rest(&gateway, "book", arguments).await;
        assert_eq!(refused.status, 400, "{arguments}: {}", refused.text());
        let problem = refused.json();
        assert_eq!(problem["code"], "invalid_arguments", "{arguments}");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{arguments}: {problem}");
    }
    assert!(recorder.calls().is_empty(), "nothing was sent");
    for arguments in [r#"{"seats":1.0}"#, r#"{"seats":18446744073709551616,"class":"first"}"#] {
        assert_eq!(rest(&gateway, "book", arguments).await.status, 200, "{arguments}");
    }
    assert_eq!(recorder.calls().len(), 2);
}

/// A schema that refers elsewhere is not fetched, and holds up nobody.
#[tokio::test]
async fn a_schema_that_cannot_be_used_is_said_and_not_enforced() {
    let (recorder, gateway) = behind("").await;
    assert_eq!(rest(&gateway, "far", "{}").await.status, 200);
    assert_eq!(recorder.calls().len(), 1);
    assert!(gateway.log().contains("schema"), "{}", gateway.log());
    assert!(gateway.sample("tollbridge_argument_complaints_total").await >= 1.0);
}

#[tokio::test]
async fn mcp_clients_are_checked_only_where_that_is_configured() {
    for (validation, status, code, calls) in [
        ("", 200, None, 1),
        ("validation: {native: warn}", 200, None, 1),
        ("validation: {native: enforce}", 200, Some(-32602), 0),
    ] {
        let (recorder, gateway) = behind(validation).await;
        let mut client = gateway.client().await;
        let answer = call(&mut client, "/mcp", "rec__book", r#"{"seats":"two"}"#).await.unwrap();
        assert_eq!((answer.status, answer.error_code()), (status, code), "{validation}: {}", answer.text());
        assert_eq!(recorder.calls().len(), calls, "{validation}");
        let warned = gateway.log().contains("do not fit");
        assert_eq!(warned, validation.contains("warn"), "{validation}: {}", gateway.log());
    }
}
