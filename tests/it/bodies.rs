//! Bodies of every size and framing, and what a client gets that breaks a limit.

use crate::harness::eventually;
use crate::harness::gateway::{Gateway, KEY};
use crate::harness::http::{Client, exchange};
use crate::harness::messages::{META, call, call_head, modern, start_discovered};
use crate::harness::recorder::{Recorder, Reply, Speaks, TOOL};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const KIB: usize = 1024;
const LIMIT: usize = 4 * KIB * KIB;

async fn behind(more: &str) -> (Recorder, Gateway) {
    let recorder = Recorder::start(Speaks::Modern, &[TOOL]).await;
    let gateway = start_discovered(&format!("servers:\n  rec: {{url: \"{}\"}}\n{more}", recorder.url())).await;
    (recorder, gateway)
}

/// Where the name stands: what is routed by may come last.
#[derive(Clone, Copy, Debug)]
enum Name {
    First,
    Last,
}

/// A call of exactly this many bytes.
fn sized(name: Name, tool: &str, bytes: usize) -> Vec<u8> {
    let write = |padding: usize| {
        let (name_member, arguments) =
            (format!(r#""name":"{tool}""#), format!(r#""arguments":{{"t":"{}"}}"#, "x".repeat(padding)));
        let members = match name {
            Name::First => format!("{name_member},{META},{arguments}"),
            Name::Last => format!("{arguments},{META},{name_member}"),
        };
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{members}}}}}"#)
    };
    let body = write(bytes.saturating_sub(write(0).len()));
    body.into_bytes()
}

fn headers() -> Vec<String> {
    modern(KEY, "tools/call", Some("rec__say"))
}

fn head(lines: &str) -> String {
    call_head("/mcp", "rec__say", lines)
}

#[tokio::test]
async fn every_size_and_framing_arrives() {
    let (recorder, gateway) = behind("").await;
    let mut client = gateway.client().await;
    for bytes in [100, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, KIB * KIB, LIMIT] {
        for name in [Name::First, Name::Last] {
            let (body, upstream) =
                (sized(name, "rec__say", bytes), sized(name, "say", bytes.saturating_sub("rec__".len())));
            for framing in [0, 1, 1000, 64 * KIB, LIMIT] {
                if framing == 1 && bytes > 100 {
                    continue;
                }
                let what = format!("{bytes} bytes, the name {name:?}, chunks of {framing}");
                let answer = match framing {
                    0 => client.post("/mcp", &headers(), &body).await,
                    size => client.post_chunked("/mcp", &headers(), &body, size).await,
                };
                let answer = answer.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(answer.status, 200, "{what}: {}", answer.text());
                assert!(recorder.last_call().body == upstream, "another body arrived: {what}");
            }
        }
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_at_once() {
    let (recorder, gateway) = behind("").await;
    // Declared: no byte of it needs to be sent.
    let mut client = gateway.client().await;
    client.send(head(&format!("Content-Length: {}\r\n", LIMIT + 1)).as_bytes()).await.unwrap();
    let answer = client.response().await.unwrap();
    assert_eq!(answer.status, 413, "{}", answer.text());
    goes_on_or_is_closed(client, "declared").await;
    // In chunks: when the limit is passed, without its end.
    let body = sized(Name::First, "rec__say", LIMIT + 1);
    let mut client = gateway.client().await;
    client.send(head("Transfer-Encoding: chunked\r\n").as_bytes()).await.unwrap();
    for chunk in body.chunks(64 * KIB) {
        client.send(&[format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()).await.unwrap();
    }
    let answer = client.response().await.unwrap();
    assert_eq!(answer.status, 413, "{}", answer.text());
    goes_on_or_is_closed(client, "in chunks").await;
    assert!(recorder.calls().is_empty(), "it went upstream");
    let after = call(&mut gateway.client().await, "/mcp", "rec__say", "{}").await.unwrap();
    assert_eq!(after.status, 200, "{}", after.text());
    assert!(gateway.metrics().await.contains("tollbridge_buffered_bytes 0"), "bodies are given back");
}

/// The smallest limit holds for what comes in one piece, too.
#[tokio::test]
async fn a_short_body_may_be_too_large() {
    let (recorder, gateway) = behind("limits: {body_bytes: 1KiB}").await;
    let body = sized(Name::First, "rec__say", KIB + 1);
    let answer = gateway.client().await.post_chunked("/mcp", &headers(), &body, 2 * KIB).await.unwrap();
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert!(recorder.calls().is_empty(), "it went upstream");
}

/// With a word, and with the end of the connection: nobody knows where the next request would begin.
#[tokio::test]
async fn chunks_that_are_none_are_refused() {
    let (recorder, gateway) = behind("").await;
    let trailers = format!("0\r\nX: {}\r\n{}", "y".repeat(8 * KIB - 4), "Z: z\r\n".repeat(KIB));
    for chunks in ["zz\r\n", "5 \r\nhello\r\n", "5\nhello", "5\r\nhello!\r\n", "fffffffffffffffff\r\n", &trailers] {
        let mut client = gateway.client().await;
        client.send((head("Transfer-Encoding: chunked\r\n") + chunks).as_bytes()).await.unwrap();
        let answer = client.response().await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (400, Some("close")), "{chunks:.20}");
        assert!(client.closes(Duration::from_secs(5)).await, "{chunks:.20}");
    }
    assert!(recorder.calls().is_empty(), "it went upstream");
    let counted = gateway.sample("tollbridge_rejections_total{reason=\"body_malformed\"}").await;
    assert_eq!(counted, 6.0, "they are counted as what they are");
}

/// Also where it has sent other requests before it went, more than are read in advance.
#[tokio::test]
async fn a_client_that_goes_is_noticed_behind_what_it_has_sent() {
    let (recorder, gateway) = behind("").await;
    recorder.hangs("tools/call");
    let mut client = gateway.client().await;
    let body = sized(Name::First, "rec__say", KIB);
    let request = [head(&format!("Content-Length: {}\r\n", body.len())).as_bytes(), &body].concat();
    client.send(&request.repeat(70)).await.unwrap();
    eventually("the first of them is on its way", 5, || async { recorder.calls().first().map(drop) }).await;
    drop(client);
    eventually("it is given up", 5, || async { gateway.access_log().contains("client_gone").then_some(()) }).await;
}

/// A refused request's connection serves the next one or ends; it never hangs.
async fn goes_on_or_is_closed(mut client: Client, what: &str) {
    let next = tokio::time::timeout(Duration::from_secs(5), call(&mut client, "/mcp", "rec__say", "{}")).await;
    match next.unwrap_or_else(|_| panic!("the connection hangs: {what}")) {
        Ok(answer) => assert_eq!(answer.status, 200, "{what}: {}", answer.text()),
        Err(_closed) => {}
    }
}

#[tokio::test]
async fn a_body_is_asked_for_once_the_key_is_good() {
    let (_recorder, gateway) = behind("").await;
    let body = sized(Name::Last, "rec__say", 100 * KIB);
    let mut client = gateway.client().await;
    let expecting = head(&format!("Content-Length: {}\r\nExpect: 100-continue\r\n", body.len()));
    client.send(expecting.as_bytes()).await.unwrap();
    let interim = client.until(b"\r\n\r\n").await.unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100 "), "{}", String::from_utf8_lossy(&interim));
    client.send(&body).await.unwrap();
    assert_eq!(client.response().await.unwrap().status, 200);

    let mut stranger = gateway.client().await;
    stranger.send(expecting.replace(KEY, "a-key-that-is-not-known").as_bytes()).await.unwrap();
    let first = stranger.until(b"\r\n").await.unwrap();
    assert!(first.starts_with(b"HTTP/1.1 401 "), "{}", String::from_utf8_lossy(&first));
}

#[tokio::test]
async fn who_is_slow_is_not_waited_for() {
    const PACE: Duration = Duration::from_millis(20);
    let (recorder, gateway) = behind("limits: {head_timeout: 300ms, body_timeout: 300ms}").await;
    let began = Instant::now();
    let mut client = gateway.client().await;
    client.send(head("Content-Length: 1000\r\n").as_bytes()).await.unwrap();
    let answer = loop {
        tokio::select! {
            biased;
            answer = client.response() => break answer.unwrap(),
            () = tokio::time::sleep(PACE) => {}
        }
        client.send(b" ").await.unwrap();
    };
    assert_eq!(answer.status, 408, "{}", answer.text());
    assert!(began.elapsed() < Duration::from_secs(2), "the body held on for {:?}", began.elapsed());

    // The first head of a connection, one that comes after an answer, and one behind empty lines.
    for (before, lead) in [(0, ""), (1, ""), (0, "\r\n\r\n")] {
        let mut client = gateway.client().await;
        for _ in 0..before {
            assert_eq!(call(&mut client, "/mcp", "rec__say", "{}").await.unwrap().status, 200);
        }
        let began = Instant::now();
        client.send(lead.as_bytes()).await.unwrap();
        let mut bytes = head("").into_bytes().into_iter().cycle();
        while !client.closes(PACE).await {
            assert!(began.elapsed() < Duration::from_secs(3), "a head may drip for ever, {before} before it, {lead:?}");
            let _ = client.send(&[bytes.next().unwrap()]).await;
        }
        assert!(began.elapsed() >= Duration::from_millis(250), "closed after {:?}", began.elapsed());
    }
    assert_eq!(recorder.calls().len(), 1, "only what was whole goes upstream");
}

/// Its head ends where the parser says so, whatever the line ends.
#[tokio::test]
async fn a_call_may_take_longer_than_its_head() {
    let (recorder, gateway) = behind("limits: {head_timeout: 300ms}").await;
    recorder.answers(|request| Reply::Late(Duration::from_millis(900), request.result(r#"{"content":[]}"#)));
    let body = sized(Name::First, "rec__say", 500);
    for ends in ["\r\n", "\n"] {
        let head = head(&format!("Content-Length: {}\r\n", body.len())).replace("\r\n", ends);
        let mut client = gateway.client().await;
        client.send(&[head.as_bytes(), &body].concat()).await.unwrap();
        assert_eq!(client.response().await.unwrap().status, 200, "lines end with {ends:?}");
    }
}

/// A server may answer before it has read everything, and go or stay then.
#[tokio::test]
async fn an_early_answer_is_an_answer() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let (stays, staying) = tokio::sync::watch::channel(true);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let staying = staying.clone();
            tokio::spawn(async move {
                let mut first = [0; 2000];
                let _ = stream.read_exact(&mut first).await;
                let body = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"too large"}}"#;
                let head = "HTTP/1.1 413 Content Too Large\r\nContent-Type: application/json\r\n";
                let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.ok();
                if *staying.borrow() {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    let gateway =
        Gateway::start(&format!("servers:\n  rec: {{url: \"{url}\", era: modern, health: {{interval: 1h}}}}")).await;
    // What fits into the buffers of a socket is all on its way when the answer comes, and was not read.
    for (stay, length) in [(true, 100 * KIB), (true, LIMIT), (false, 100 * KIB), (false, LIMIT)] {
        stays.send_replace(stay);
        let began = Instant::now();
        let body = sized(Name::First, "rec__say", length);
        let answer = gateway.client().await.post("/mcp", &headers(), &body).await.unwrap();
        assert_eq!(answer.status, 413, "{} ({length} bytes, the server stays: {stay})", answer.text());
        assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    }
}

/// What this server does, not what the test waits for: it is longer than the gateway takes a body for
/// stalled.
const READS_ON_AFTER: Duration = Duration::from_millis(800);

async fn say_and_read_on(mut stream: tokio::net::TcpStream, length: usize) -> std::io::Result<()> {
    // A question of the gateway's own is shorter, and not answered.
    let mut first = [0; 2000];
    stream.read_exact(&mut first).await?;
    stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    tokio::time::sleep(READS_ON_AFTER).await;
    let mut rest = vec![0; length - first.len()];
    stream.read_exact(&mut rest).await?;
    let body = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await
}

/// Not every early byte is a refusal.
#[tokio::test]
async fn a_server_may_say_something_before_it_reads_on() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let body = sized(Name::First, "say", LIMIT);
    let length = body.len();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(say_and_read_on(stream, length));
        }
    });
    let more = "era: modern, health: {interval: 1h}, timeout: {call: 5s}";
    let gateway = Gateway::start(&format!("servers:\n  rec: {{url: \"{url}\", {more}}}")).await;
    let lines = modern(KEY, "tools/call", Some("say"));
    let answer = gateway.client().await.post("/mcp/rec", &lines, &body).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn heads_have_limits() {
    let (recorder, gateway) = behind("").await;
    let length = |lines: String| format!("{lines}Content-Length: 0\r\n");
    let target = format!("POST /mcp?{} HTTP", "x".repeat(9 * KIB));
    #[rustfmt::skip]
    let table = [
        ("33 KiB in one field", head(&length(format!("X-A: {}\r\n", "x".repeat(33 * KIB)))), 431),
        ("101 fields", head(&length((0..101).map(|at| format!("X-{at}: 1\r\n")).collect())), 431),
        ("a target of 9 KiB", head(&length(String::new())).replacen("POST /mcp HTTP", &target, 1), 414),
    ];
    for (what, bytes, want) in table {
        let mut client = gateway.client().await;
        client.send(bytes.as_bytes()).await.unwrap();
        let answer = client.response().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(answer.status, want, "{what}: {}", answer.text());
        goes_on_or_is_closed(client, what).await;
    }
    // More than anybody may hold in memory: whatever it says, it says it and lives.
    for bytes in [head(&length((0..5000).map(|at| format!("X-{at}: 1\r\n")).collect())), head(&"x".repeat(3 << 20))] {
        let answer = exchange(gateway.port, bytes.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(recorder.calls().iter().filter(|call| call.header("x-a").is_some()).count(), 0);
}
