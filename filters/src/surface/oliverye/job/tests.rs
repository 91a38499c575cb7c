use super::*;

#[test]
fn what_a_message_asks_for() {
    let read = |text: &str| Job::read(text.as_bytes()).unwrap();
    let plain = read(r#"{"request_id":"a","action":"mcp_search","payload":{"query": "x"},"priority":"high","at":1.5}"#);
    let id = JobId { raw: "\"a\"".into(), text: "a".into() };
    let wanted = Job { id, action: Action::Search, body: r#"{"query": "x"}"#.into(), session: None, reply_to: None };
    assert_eq!(plain, wanted);
    let quoted = read(r#"{"request_id":"a","action":"mcp_search","payload":"{\"query\": \"x\"}"}"#);
    assert_eq!(quoted, wanted, "a payload in a string");
    let more = read(r#"{"request_id":7,"action":"mcp_tool_call","session_id":"s","reply_to":"mine","payload":null}"#);
    assert_eq!((more.id.raw.as_str(), more.id.text.as_str(), more.action), ("7", "7", Action::Call));
    assert_eq!((more.session.as_deref(), more.reply_to.as_deref()), (Some("s"), Some("mine")));
    assert_eq!(more.body, "{}");
}

/// Each message beside who is told of it, and a piece of what.
#[test]
fn what_is_no_job() {
    let long = format!(r#"{{"request_id":"{}","action":"mcp_search"}}"#, "x".repeat(257));
    let table: [(&str, Option<&str>, &str); 13] = [
        ("", None, "at byte 0"),
        ("not JSON", None, "at byte 0"),
        ("[1]", None, "expected an object"),
        (r#"{"request_id":"a"} x"#, None, "more than one value"),
        (r#"{"request_id":"a","request_id":"b","action":"mcp_search"}"#, None, "stands twice"),
        (r#"{"action":"mcp_search"}"#, None, "\"request_id\" is missing"),
        (r#"{"request_id":{},"action":"mcp_search"}"#, None, "must be of type string"),
        (&long, None, "1 to 256 bytes"),
        (r#"{"request_id":"a"}"#, Some("a"), "\"action\" is missing"),
        (r#"{"request_id":"a","action":"dance"}"#, Some("a"), "must be mcp_search or mcp_tool_call"),
        (r#"{"request_id":"a","action":"mcp_search","session_id":1}"#, Some("a"), "\"session_id\" must be of type"),
        (r#"{"request_id":"a","action":"mcp_search","reply_to":""}"#, Some("a"), "1 to 256 bytes"),
        (r#"{"request_id":"a","action":"mcp_search","reply_to":"tb:queue:jobs"}"#, Some("a"), "not for answers"),
    ];
    for (text, id, piece) in table {
        let misfit = Job::read(text.as_bytes()).expect_err(text);
        assert_eq!(misfit.id.as_ref().map(|id| id.text.as_str()), id, "{text}");
        assert!(misfit.reason.to_string().contains(piece), "{text}: {}", misfit.reason);
    }
    assert!(Job::read(b"{\"request_id\":\"\xff\"}").is_err(), "no UTF-8");
}
