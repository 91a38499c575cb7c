use super::*;
use bytes::Bytes;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    map
}

fn call(name: &str, arguments: &str) -> Envelope {
    let name = json::quote(name);
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{name},"arguments":{arguments}}}}}"#
    );
    Envelope::scan(Bytes::from(body)).unwrap()
}

#[test]
fn mirrors_must_say_what_the_body_says() {
    let echo = call("echo", "{}");
    for good in [
        &[("mcp-method", "tools/call"), ("mcp-name", "echo")][..],
        &[("Mcp-Method", " tools/call "), ("MCP-NAME", "\techo ")],
        &[("mcp-method", "tools/call"), ("mcp-name", "=?base64?ZWNobw==?=")],
    ] {
        assert_eq!(check_mirrors(&headers(good), &echo), Ok(()), "{good:?}");
    }
    for bad in [
        &[][..],
        &[("mcp-method", "tools/call")],
        &[("mcp-name", "echo")],
        &[("mcp-method", "Tools/Call"), ("mcp-name", "echo")],
        &[("mcp-method", "tools/call"), ("mcp-name", "Echo")],
        &[("mcp-method", "tools/call"), ("mcp-name", "")],
        &[("mcp-method", "tools/call"), ("mcp-name", "echo"), ("mcp-name", "echo")],
        &[("mcp-method", "tools/call"), ("mcp-name", "=?base64?%%?=")],
        &[("mcp-method", "tools/call"), ("mcp-name", "=?BASE64?ZWNobw==?=")],
    ] {
        let verdict = check_mirrors(&headers(bad), &echo);
        assert!(matches!(verdict, Err(Rejection::HeaderMismatch(_))), "{bad:?} gave {verdict:?}");
    }
}

#[test]
fn any_name_survives_the_header() {
    for name in ["echo", " padded ", "größe", "a\u{0}b", "=?base64?eA==?=", "tab\tinside"] {
        let encoded = encode(name);
        assert!(http::HeaderValue::from_str(&encoded).is_ok(), "{encoded:?} is no header value");
        assert_eq!(decode(&encoded).as_deref(), Some(name));
    }
}

#[test]
fn annotated_arguments_are_compared() {
    let mirrored = [MirroredParam { header: "mcp-param-region".into(), path: vec!["where".into(), "region".into()] }];
    let verdict =
        |arguments: &str, pairs: &[(&str, &str)]| check_params(&headers(pairs), &call("x", arguments), &mirrored);
    let region = [("mcp-param-region", "eu")];
    assert_eq!(verdict(r#"{"where":{"region":"eu"}}"#, &region), Ok(()));
    assert_eq!(verdict(r#"{"where":{"region":null}}"#, &[]), Ok(()));
    assert_eq!(verdict("{}", &[]), Ok(()));
    assert_eq!(verdict("{}", &[("mcp-param-other", "is nobody's business")]), Ok(()));
    assert_eq!(verdict(r#"{"where":{"region":7}}"#, &[("mcp-param-region", "7")]), Ok(()));
    for (arguments, pairs) in [
        (r#"{"where":{"region":"eu"}}"#, &[][..]),
        (r#"{"where":{"region":"us"}}"#, &region),
        ("{}", &region),
        (r#"{"where":{"region":"eu","region":"us"}}"#, &region),
    ] {
        assert!(verdict(arguments, pairs).is_err(), "{arguments}");
    }
}

#[test]
fn media_types_are_checked() {
    let json = ("content-type", "application/json; charset=utf-8");
    for accept in ["application/json, text/event-stream", "*/*", "text/*;q=0.5, application/*"] {
        assert_eq!(check_media(&headers(&[json, ("accept", accept)])), Ok(()), "{accept}");
    }
    assert_eq!(check_media(&headers(&[json])), Ok(()));
    assert_eq!(check_media(&headers(&[json, ("accept", "application/json")])), Err(Rejection::NotAcceptable));
    for other in [&[][..], &[("content-type", "text/plain")], &[json, ("content-encoding", "gzip")]] {
        assert_eq!(check_media(&headers(other)), Err(Rejection::ContentType), "{other:?}");
    }
}
