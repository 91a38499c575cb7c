//! What was sent arrives, byte for byte, in both directions.

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::http::Response;
use crate::harness::messages::{META, call, initialize, legacy, modern, request, start_discovered};
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL};

/// Values that a parser on the way would change: numbers beyond every type, keys that stand twice
/// in arguments, escapes, and the public name of the tool itself.
#[rustfmt::skip]
const ODD: [(&str, &str); 6] = [
    ("numbers", r#"{"a":18446744073709551617,"b":1e400,"c":-0.0,"d":1.10,"e":123456789012345678901234567890}"#),
    ("white space", "{\t\"z\" :\r\n [ 1 ,\n2 ] , \"a\":{ } }"),
    ("escapes", r#"{"nul":"\u0000","slash":"\/","pair":"\ud83d\ude00","plain":"😀","e":"\u00E9é"}"#),
    ("keys", r#"{"z":1,"":2,"a":3,"__proto__":{},"b":{"k":1,"k":2}}"#),
    ("names", r#"{"name":"rec__say","params":{"name":"rec__say"},"uri":"x","jsonrpc":"1.0","id":null}"#),
    ("nothing", "{}"),
];

async fn behind(speaks: Speaks, tools: &[&str], more: &str) -> (Recorder, Gateway) {
    let recorder = Recorder::start(speaks, tools).await;
    let gateway = start_discovered(&format!("servers:\n  rec: {{url: \"{}\"{more}}}", recorder.url())).await;
    (recorder, gateway)
}

/// Bodies may be long; what is shown is where they part.
#[track_caller]
fn same(came: &[u8], sent: &[u8], what: &str) {
    let apart = came.iter().zip(sent).position(|(came, sent)| came != sent);
    let apart = apart.unwrap_or(came.len().min(sent.len()));
    let near = |bytes: &[u8]| {
        String::from_utf8_lossy(&bytes[apart.saturating_sub(40)..bytes.len().min(apart + 40)]).into_owned()
    };
    assert!(came == sent, "{what}: from byte {apart} on, {} came for {}", near(came), near(sent));
}

/// A call as odd as JSON allows, with fields that nobody knows.
fn odd_call(tool: &str, arguments: &str, meta: &str) -> Vec<u8> {
    format!(
        "\r\n{{ \"params\" :\t{{\"unknown\":[1e400,{{}}],\"arguments\" : {arguments} , \"na\\u006de\": \"{tool}\"{meta} }},\n\
         \"id\":\"\\u0031 \\\"ö\\\"\" ,\"x-more\":null, \"method\" :\"tools\\/call\",\"jsonrpc\":\"2.0\"}} "
    )
    .into_bytes()
}

fn odd_result(value: &str) -> Vec<u8> {
    format!(" {{\"result\" : {{\"structuredContent\": {value}, \"resultType\":\"complete\",\"content\":[ ],\"later\":1e400 }},\n\"id\":\"1 \\\"ö\\\"\",\"jsonrpc\":\"2.0\"}}\n").into_bytes()
}

#[tokio::test]
async fn what_was_sent_arrives() {
    let long = format!(r#"{{"text":"{}é"}}"#, "x".repeat(3 << 20));
    for (speaks, meta) in [(Speaks::Modern, format!(" , {META}")), (Speaks::Legacy, String::new())] {
        let (recorder, gateway) = behind(speaks, &[TOOL], "").await;
        for (path, tool) in [("/mcp", "rec__say"), ("/mcp/rec", "say")] {
            let mut client = gateway.client().await;
            let headers = match speaks {
                Speaks::Modern => modern(KEY, "tools/call", Some(tool)),
                Speaks::Legacy => legacy(KEY, Some(&initialize(&mut client, path, KEY).await)),
            };
            for (name, value) in ODD.into_iter().chain([("long", long.as_str())]) {
                let what = format!("{name}, {speaks:?}, {path}");
                let result = odd_result(value);
                for reply in [Reply::Json(result.clone()), Reply::Chunked(result.clone(), 40_000)] {
                    recorder.answers(move |_| reply.clone());
                    let answer = client.post(path, &headers, &odd_call(tool, value, &meta)).await.unwrap();
                    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
                    assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
                    same(&answer.body, &result, &format!("the result, {what}"));
                    same(&recorder.last_call().body, &odd_call("say", value, &meta), &format!("the call, {what}"));
                }
            }
        }
    }
}

#[tokio::test]
async fn entries_of_lists_change_only_their_names() {
    #[rustfmt::skip]
    let tools = [
        ("{ \"inputSchema\":{\"type\":\"object\",\"maximum\":1e400},\r\n\"na\\u006de\" : \"", "one", "\", \"x\":\"\\u0000\",\"title\":null}"),
        ("{\"name\":\"", "two", "\",\"description\":\"name two\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"name\":{\"const\":18446744073709551617}}}}"),
        ("{\"name\":\"", "gr\u{f6}\u{df}e", "\",\"inputSchema\":{\"type\":\"object\"},\"_meta\":{\"a/b\":[ ]}}"),
    ];
    let entries = |prefix: &str| tools.map(|(front, name, rest)| format!("{front}{prefix}{name}{rest}"));
    let (recorder, gateway) = behind(Speaks::Modern, &entries("").each_ref().map(String::as_str), "").await;
    let mut client = gateway.client().await;
    for (path, prefix) in [("/mcp", "rec__"), ("/mcp/rec", "")] {
        let headers = modern(KEY, "tools/list", None);
        let list = client.post(path, &headers, request("1", "tools/list", "").as_bytes()).await.unwrap();
        for entry in entries(prefix) {
            assert!(list.text().contains(&entry), "{path} lacks {entry}: {}", list.text());
        }
    }
    // A name that no header can carry goes up in base64, without its prefix.
    let encoded = ["=?base64?cmVjX19ncsO2w59l?=", "=?base64?Z3LDtsOfZQ==?="];
    let body = request("1", "tools/call", "\"name\":\"rec__gr\u{f6}\u{df}e\",");
    let answer = client.post("/mcp", &modern(KEY, "tools/call", Some(encoded[0])), body.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(recorder.last_call().header("mcp-name"), Some(encoded[1]));
}

#[tokio::test]
async fn credentials_stay_on_their_side() {
    let (recorder, gateway) = behind(Speaks::Modern, &[TOOL], ", auth: {type: bearer, token: the-gateways-own}").await;
    let secrets = [
        "Cookie: c=secret-1",
        "X-API-Key: secret-2",
        "X-Admin-API-Key: secret-3",
        "X-Forwarded-For: secret-4",
        "Proxy-Authorization: Basic secret-5",
        "Forwarded: for=secret-6",
        "Mcp-Session-Id: secret-7",
        "X-Else: secret-8",
    ];
    let mut headers = modern(KEY, "tools/call", Some("rec__say"));
    headers.extend(secrets.map(str::to_owned));
    headers.extend(["Mcp-Param-Region: eu west", "traceparent: 00-aa-bb-01"].map(str::to_owned));
    recorder.answers(|request| {
        let lines = "Content-Type: application/json\r\nSet-Cookie: up-1\r\nMcp-Session-Id: up-2\r\nWWW-Authenticate: Bearer up-3\r\nX-Else: up-4\r\nServer: up-5\r\n";
        Reply::Status("200 OK", lines.to_owned(), request.result(r#"{"content":[]}"#))
    });
    let body = request("1", "tools/call", r#""name":"rec__say","#);
    let answer = gateway.client().await.post("/mcp", &headers, body.as_bytes()).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let leaked: Vec<_> = answer.headers.iter().filter(|(_, value)| value.contains("up-")).collect();
    assert!(leaked.is_empty(), "of the server's headers came down {leaked:?}");
    for request in recorder.requests() {
        assert!(!request.head.contains("secret-") && !request.head.contains(KEY), "{}", request.head);
        assert_eq!(request.header("authorization"), Some("Bearer the-gateways-own"), "{}", request.head);
    }
    let call = recorder.last_call();
    let mirrored = ["mcp-name", "mcp-method", "mcp-param-region", "traceparent"].map(|name| call.header(name));
    assert_eq!(mirrored, [Some("say"), Some("tools/call"), Some("eu west"), Some("00-aa-bb-01")], "{}", call.head);
}

#[tokio::test]
async fn errors_of_the_server_pass_and_errors_of_the_gateway_say_so() {
    let (recorder, gateway) = behind(Speaks::Modern, &[TOOL], "").await;
    let error = r#"{ "jsonrpc":"2.0","error":{"code":-32099,"message":"mine","data":1e400},"id":1}"#;
    // What the server answers, and the status and code that the client gets; no code: as it was.
    #[rustfmt::skip]
    let table = [
        ("200 OK", "application/json", error, 200, None),
        ("400 Bad Request", "application/json", error, 400, None),
        ("404 Not Found", "application/json", error, 404, None),
        ("500 Internal Server Error", "application/json", error, 500, None),
        ("401 Unauthorized", "application/json", error, 502, Some(-31003)),
        ("403 Forbidden", "text/plain", "no", 502, Some(-31003)),
        ("404 Not Found", "text/html", "<html>", 502, Some(-31003)),
        ("302 Found", "text/html", "", 502, Some(-31003)),
        ("200 OK", "text/html", "<html>", 502, Some(-31003)),
        ("200 OK", "application/json", "[]", 502, Some(-31003)),
        ("200 OK", "application/json", "", 502, Some(-31003)),
        ("202 Accepted", "application/json", "", 502, Some(-31003)),
        ("503 Service Unavailable", "text/plain", "later", 503, Some(-31005)),
        ("429 Too Many Requests", "text/plain", "later", 503, Some(-31005)),
    ];
    let mut client = gateway.client().await;
    for (status, media, body, want, code) in table {
        recorder.answers(move |_| {
            Reply::Status(status, format!("Content-Type: {media}\r\nRetry-After: 3\r\n"), body.into())
        });
        let answer: Response = call(&mut client, "/mcp", "rec__say", "{}").await.unwrap();
        let what = format!("{status} {media} {body}: {}", answer.text());
        assert_eq!(answer.status, want, "{what}");
        match code {
            None => same(&answer.body, body.as_bytes(), &what),
            Some(code) => {
                let error = &answer.json()["error"];
                assert_eq!(
                    (error["code"].as_i64(), &error["data"]["source"]),
                    (Some(code), &"upstream".into()),
                    "{what}"
                );
            }
        }
    }
}
