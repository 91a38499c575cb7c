//! Where a message begins and ends: nobody, client or server, may make the gateway and somebody
//! else see that differently.

use crate::harness::eventually;
use crate::harness::gateway::Gateway;
use crate::harness::http::{Client, exchange};
use crate::harness::messages::{META, call, call_head, start_discovered};
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL, event};
use std::time::Duration;
use tokio::task::JoinSet;

async fn behind() -> (Recorder, Gateway) {
    let recorder = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway =
        start_discovered(&format!("servers:\n  rec: {{url: \"{}\", timeout: {{call: 2s}}}}", recorder.url())).await;
    (recorder, gateway)
}

fn head(lines: &str) -> String {
    call_head("/mcp", "rec__say", lines)
}

fn body(id: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"rec__say",{META}}}}}"#)
}

/// A call as it should be.
fn whole(id: u32) -> String {
    head(&format!("Content-Length: {}\r\n", body(id).len())) + &body(id)
}

/// What could be read as two requests by one of two parsers is one refusal.
#[tokio::test]
async fn ambiguous_framing_is_refused() {
    let (recorder, gateway) = behind().await;
    let (body, smuggled) = (body(1), whole(666));
    let (length, chunk) = (body.len(), format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    let both = body.len() + smuggled.len();
    let (te, cl) = ("Transfer-Encoding: chunked\r\n", format!("Content-Length: {length}\r\n"));
    #[rustfmt::skip]
    let table = [
        ("both, the length first", format!("{cl}{te}"), &chunk),
        ("both, the chunks first", format!("{te}{cl}"), &chunk),
        ("both, a length over all", format!("Content-Length: {both}\r\n{te}"), &chunk),
        ("two lengths", format!("{cl}Content-Length: {both}\r\n"), &body),
        ("two lengths, the longer first", format!("Content-Length: {both}\r\n{cl}"), &body),
        ("a list of lengths", format!("Content-Length: {length}, {both}\r\n"), &body),
        ("a signed length", format!("Content-Length: +{length}\r\n"), &body),
        ("a length in hex", format!("Content-Length: 0x{length:x}\r\n"), &body),
        ("a length beyond 64 bits", format!("Content-Length: 1844674407370955{length}\r\n"), &body),
        ("a coding that nobody knows", "Transfer-Encoding: xchunked\r\n".to_owned(), &chunk),
        ("two codings", "Transfer-Encoding: chunked, identity\r\n".to_owned(), &chunk),
        ("two fields of codings", format!("{te}Transfer-Encoding: identity\r\n"), &chunk),
        ("a space before the colon", format!("Transfer-Encoding : chunked\r\n{cl}"), &chunk),
        ("a folded field", format!("X-A: b\r\n {te}{cl}"), &chunk),
    ];
    let mut exchanges = JoinSet::new();
    for (what, lines, body) in table {
        let bytes = format!("{}{body}{smuggled}", head(&lines));
        let port = gateway.port;
        exchanges.spawn(async move { (what, exchange(port, bytes.as_bytes()).await) });
    }
    for (what, answer) in exchanges.join_all().await {
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        // RFC 9112, 6.1: chunks may win over a length, but then the connection must end.
        let alone = what.starts_with("both") && answer.to_lowercase().contains("connection: close");
        assert!((refused || alone) && answer.matches("HTTP/1.1 ").count() <= 1, "{what}: {answer}");
    }
    let calls = recorder.calls();
    assert!(calls.iter().all(|call| !call.text().contains("666")), "a second request went upstream");
}

/// The client's word on its connection counts (RFC 9112, 9.3).
#[tokio::test]
async fn a_connection_ends_where_the_client_says_so() {
    let (_recorder, gateway) = behind().await;
    let whole = whole(1);
    #[rustfmt::skip]
    let table = [("Connection: close", whole.replacen("\r\n", "\r\nConnection: close\r\n", 1)), ("HTTP/1.0", whole.replacen("HTTP/1.1", "HTTP/1.0", 1))];
    for (what, bytes) in table {
        let mut client = gateway.client().await;
        client.send(bytes.as_bytes()).await.unwrap();
        let answer = client.response().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{what}: {answer:?}");
        assert!(client.closes(Duration::from_secs(2)).await, "{what}: the connection stays");
    }
}

/// RFC 9112, 9.3.2: requests may follow each other before the answers.
#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (recorder, gateway) = behind().await;
    recorder.answers(|request| Reply::Events(vec![(Duration::from_millis(100), event(&request.result("{}")))]));
    let answered = async |client: &mut Client, id, what: &str| {
        let answer = client.response().await;
        let answer = answer.unwrap_or_else(|error| panic!("{what}, request {id}: {error}"));
        assert_eq!(answer.json()["id"], id, "{what}: {}", answer.text());
    };
    let mut client = gateway.client().await;
    client.send(whole(1).as_bytes()).await.unwrap();
    eventually("the first is under way", 5, || async { recorder.calls().pop() }).await;
    client.send(whole(2).as_bytes()).await.unwrap();
    for id in 1..=2 {
        answered(&mut client, id, "one under way").await;
    }
    let mut client = gateway.client().await;
    client.send((whole(1) + &whole(2)).as_bytes()).await.unwrap();
    for id in 1..=2 {
        answered(&mut client, id, "both at once").await;
    }
}

/// RFC 9110, 9.3.2: an answer to `HEAD` has no body, whatever it says.
#[tokio::test]
async fn nothing_follows_the_head_that_was_asked_for() {
    let (_recorder, gateway) = behind().await;
    let mut client = gateway.client().await;
    let asked = "HEAD /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    for lines in ["", "Authorization: Bearer not-known\r\n"] {
        client.send((asked.replacen("\r\n\r\n", &format!("\r\n{lines}\r\n"), 1) + &whole(1)).as_bytes()).await.unwrap();
        let head = client.until(b"\r\n\r\n").await.unwrap();
        assert!(head.starts_with(b"HTTP/1.1 401 "), "{}", String::from_utf8_lossy(&head));
        assert_eq!(client.response().await.unwrap().json()["id"], 1, "the next answer follows at once");
    }
}

/// What an upstream sends instead of an answer, on a connection that has served before, and what
/// the client gets. Whatever it is, the call was sent once and the next one gets its own answer.
#[tokio::test]
async fn answers_that_break_http_reach_nobody() {
    let good = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
    let json =
        |lines: &str, body: &str| format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{lines}\r\n{body}");
    let (length, chunk) = (good.len(), format!("{:x}\r\n{good}\r\n", good.len()));
    let sized = json(&format!("Content-Length: {length}\r\n"), good);
    let (te, events) = (
        "Transfer-Encoding: chunked\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    let another = good.replace("[]", r#"["another's"]"#);
    let splitting = sized.clone() + &json(&format!("Content-Length: {}\r\n", another.len()), &another);
    #[rustfmt::skip]
    let table = [
        ("a connection that ends after the answer", Reply::Cut(sized.clone().into()), 200),
        ("an answer that ends with its connection", Reply::Cut(json("", good).into()), 200),
        ("interim answers", Reply::Raw(format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{sized}").into()), 200),
        ("a second answer behind the first", Reply::Raw(splitting.into()), 200),
        ("no answer", Reply::Cut(Vec::new()), 502),
        ("half a head", Reply::Cut(sized[..20].into()), 502),
        ("half a body", Reply::Cut(sized[..sized.len() - 5].into()), 502),
        ("a length that is too short", Reply::Raw(json(&format!("Content-Length: {}\r\n", length - 3), good).into()), 502),
        ("two lengths", Reply::Raw(json(&format!("Content-Length: {length}\r\nContent-Length: {}\r\n", length - 1), good).into()), 502),
        ("chunks without an end", Reply::Cut(json(te, &chunk).into()), 502),
        ("a chunk size that is none", Reply::Cut(json(te, &format!("zz\r\n{good}")).into()), 502),
        ("a chunk that is too long", Reply::Cut(json(te, &format!("1{chunk}0\r\n\r\n")).into()), 502),
        ("an event that is cut off", Reply::Cut(format!("{events}6\r\ndata: \r\n").into()), 200),
        ("a head without an end", Reply::Cut(format!("HTTP/1.1 200 OK\r\n{}", "X: y\r\n".repeat(300_000)).into()), 502),
        ("a status that is none", Reply::Cut(b"HTTP/1.1 999999 What\r\n\r\n".into()), 502),
    ];
    let (recorder, gateway) = behind().await;
    let own =
        |recorder: &Recorder| {
            recorder.answers(|request| {
                Reply::Json(request.result(&format!(
                    "{{\"said\":{:?}}}",
                    request.member("/params/arguments/text").unwrap_or_default()
                )))
            });
        };
    for (what, reply, want) in table {
        own(&recorder);
        let mut client = gateway.client().await;
        assert_eq!(call(&mut client, "/mcp", "rec__say", "{}").await.unwrap().status, 200, "before {what}");
        recorder.answers(move |_| reply.clone());
        let calls = recorder.calls().len();
        match call(&mut client, "/mcp", "rec__say", r#"{"text":"first"}"#).await {
            Ok(answer) => {
                assert_eq!(answer.status, want, "{what}: {}", answer.text());
                assert!(!answer.text().contains("another's"), "{what}: {}", answer.text());
                let outcome = answer.json()["error"]["data"]["outcome"].clone();
                assert!(want == 200 || outcome == "unknown", "{what}: {}", answer.text());
            }
            // Only what had begun as a 200 may end like that.
            Err(cut) => assert_eq!(want, 200, "{what}: {cut}"),
        }
        assert_eq!(recorder.calls().len() - calls, 1, "{what}: the call was not sent once");
        own(&recorder);
        for turn in ["second", "third"] {
            let arguments = format!(r#"{{"text":"{turn}"}}"#);
            let answer = call(&mut gateway.client().await, "/mcp", "rec__say", &arguments).await.unwrap();
            assert!(answer.text().contains(turn), "after {what}, the {turn} call: {} {}", answer.status, answer.text());
        }
    }
}
