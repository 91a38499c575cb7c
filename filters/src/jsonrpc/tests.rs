use super::members::META_CAPABILITIES;
use super::*;

fn scan(body: &str) -> Result<Envelope, Invalid> {
    Envelope::scan(Bytes::copy_from_slice(body.as_bytes())).map_err(|unread| unread.invalid)
}

#[test]
fn a_call_keeps_its_bytes() {
    let body = r#" {"params" : { "arguments":{ "n" : 1e400, "big":18446744073709551617,"z":"\u0000" },
        "n\u0061me" : "ec\u0068o","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {} } }, "id":-0,"method":"tools/call","jsonrpc":"2.0","x":[{}]} "#;
    let envelope = scan(body).unwrap();
    assert_eq!(envelope.kind(), Kind::Request);
    assert_eq!(envelope.id(), Some("-0"));
    assert_eq!(envelope.method(), "tools/call");
    assert_eq!(envelope.name().as_deref(), Some("echo"));
    assert_eq!(&body[envelope.name_place().unwrap()], r#""ec\u0068o""#);
    assert_eq!(envelope.arguments(), Some(r#"{ "n" : 1e400, "big":18446744073709551617,"z":"\u0000" }"#));
    assert_eq!(envelope.meta_version().as_deref(), Some("2026-07-28"));
    assert_eq!(envelope.meta_capabilities(), Some("{}"));
}

#[test]
fn kinds_are_told_apart() {
    for (body, kind) in [
        (r#"{"jsonrpc":"2.0","id":"","method":"ping"}"#, Kind::Request),
        (r#"{"jsonrpc":"2.0","id":9007199254740993,"method":"ping","params":{}}"#, Kind::Request),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, Kind::Notification),
        (r#"{"jsonrpc":"2.0","id":0,"result":{}}"#, Kind::Response),
        (r#"{"jsonrpc":"2.0","id":0,"error":{"code":1,"message":""}}"#, Kind::Response),
    ] {
        assert_eq!(scan(body).unwrap().kind(), kind, "{body}");
    }
}

#[test]
fn what_is_no_message_is_refused() {
    let json = ["", "{", "{}{}", "[1,]", "{\"a\":\"\\ud800\"}", "{\"jsonrpc\":\"2.0\",}"];
    let message = [
        "[]",
        "1",
        "null",
        "{}",
        r#"[{"jsonrpc":"2.0","method":"ping"}]"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.0,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1e400,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":3}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":"x","n\u0061me":"y"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"_meta":{},"_meta":{}}}"#,
    ];
    for body in json {
        assert!(matches!(scan(body), Err(Invalid::Json(_))), "{body}: {:?}", scan(body));
    }
    for body in message {
        assert!(matches!(scan(body), Err(Invalid::Message(_))), "{body}: {:?}", scan(body));
    }
    for params in ["[]", "\"x\"", "1", "null"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"a","params":{params}}}"#);
        assert!(matches!(scan(&body), Err(Invalid::Params(_))), "{body}");
    }
    let unread = Envelope::scan(Bytes::from_static(b"\"\xff\"")).unwrap_err();
    assert!(matches!(unread.invalid, Invalid::Json(_)));
    let unread = Envelope::scan(Bytes::from_static(br#"{"jsonrpc":"2.0","id":"x","method":7}"#)).unwrap_err();
    assert_eq!(unread.id.as_deref(), Some("\"x\""), "an id that can be read is kept");
}

#[test]
fn tasks_are_declared_where_looking_for_them_would_find_them() {
    for capabilities in [
        r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#,
        r#"{ "a" : 1 , "\u0065xtensions" : { "b":[], "io.modelcontextprotocol\/tasks" : null } }"#,
        r#"{"extensions":{"io.modelcontextprotocol/tasks":{},"io.modelcontextprotocol/tasks":{}}}"#,
        r#"{"extensions":{"io.modelcontextprotocol/tasks":{}},"extensions":{}}"#,
        r#"{"extensions":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#,
        r#"{"extensions":["io.modelcontextprotocol/tasks"]}"#,
        r#"{"extensions":"io.modelcontextprotocol/tasks"}"#,
        r#"{"io.modelcontextprotocol/tasks":{}}"#,
        r#"["extensions"]"#,
        "{}",
        "null",
    ] {
        let meta = format!(r#"{{"{META_CAPABILITIES}":{capabilities}}}"#);
        let envelope =
            scan(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"a","params":{{"_meta":{meta}}}}}"#)).unwrap();
        let expected = matches!(json::find(capabilities, ["extensions", TASKS]), Ok(Some(_)));
        assert_eq!(envelope.meta_capabilities(), Some(capabilities));
        assert_eq!(envelope.declares_tasks(), expected, "{capabilities}");
    }
}

#[test]
fn a_method_may_be_written_with_escapes() {
    let envelope = scan(r#"{"jsonrpc":"2.0","id":1,"method":"to\u006fls\/call"}"#).unwrap();
    assert_eq!(envelope.method(), "tools/call");
    assert_eq!(envelope.echo().method(), "tools/call");
}
