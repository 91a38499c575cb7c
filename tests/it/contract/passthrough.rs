//! The sidecar: what is not the gateway's reaches the application beside it as it was sent.

use crate::harness::gateway::{Gateway, KEY};
use crate::harness::messages::list;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const HEAD_TIMEOUT: Duration = Duration::from_millis(300);

/// Connections that were opened before do not lead there, and end; those that come do.
#[tokio::test]
async fn an_application_may_come_later() {
    let app = App::start().await;
    let gateway = Gateway::start("servers: {}").await;
    let mut early = gateway.client().await;
    early.send(b"GET /page HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert_eq!(early.response().await.unwrap().status, 404, "before there is an application");
    gateway.reconfigure(&format!("passthrough: http://127.0.0.1:{}\nservers: {{}}", app.port));
    assert!(early.closes(Duration::from_secs(10)).await, "an idle connection stays though it leads nowhere");
    let mut late = gateway.client().await;
    late.send(b"GET /page HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert_eq!(late.response().await.unwrap().status, 200, "the application's answer");
}

#[tokio::test]
async fn everything_else_reaches_the_application_as_it_was_sent() {
    let (app, gateway) = start().await;
    let body: String = "0123456789abcdef".repeat(400_000);
    let requests = [
        "GET /a%20b/c?x=%2f&&y=1;2 HTTP/1.1\r\nhost: Any.Example\r\nUser-AGENT: x\r\nCookie: a=b\r\nCookie: c=d\r\n\
         Authorization: Bearer of-the-app\r\nx-api-key: of-the-app\r\nX-Forwarded-For: 1.2.3.4\r\n\
         Origin: https://any.example\r\nMcp-Session-Id: of-the-app\r\nx-empty: \r\n\r\n"
            .to_owned(),
        "GET /mcpx HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET /x/mcp HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "PROPFIND / HTTP/1.1\r\nHost: h\r\nDepth: 1\r\n\r\n".to_owned(),
        "POST /in/chunks HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_owned(),
        // More than `limits.body_bytes`: that limit is for messages.
        format!("PUT /large HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
    ];
    for request in requests {
        let mut client = gateway.client().await;
        client.send(request.as_bytes()).await.unwrap();
        let answer = client.response().await.expect("the application's answer");
        let first = request.lines().next().unwrap();
        assert_eq!(answer.status, 200, "{first}: {}", answer.text());
        let names: Vec<_> = answer.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        for header in ["Server: the-app", "x-ODD-Case: 1", "Set-Cookie: a=1", "Set-Cookie: b=2"] {
            assert!(names.contains(&header.to_owned()), "{first}: {header} in {names:?}");
        }
        assert_eq!(answer.body, b"hello", "{first}");
        let seen = app.last();
        assert!(
            seen == request.as_bytes(),
            "{first}: the application saw\n{}",
            String::from_utf8_lossy(&seen[..seen.len().min(2000)])
        );
    }
    let mut client = gateway.client().await;
    assert!(list(&mut client, "/mcp", KEY, "tools/list").await.is_object(), "/mcp is the gateway's");
    assert_eq!(app.count(), 6, "and not the application's");
}

#[tokio::test]
async fn a_websocket_goes_through() {
    let (app, gateway) = start().await;
    let mut stream = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    let upgrade = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let head = until(&mut stream, b"\r\n\r\n").await;
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    for message in [&b"\x81\x85abcdhello"[..], b"\x00\xff\x00", b"later"] {
        // Silent for longer than any head may take: this is none, and the connection stays.
        let ended = tokio::time::timeout(HEAD_TIMEOUT * 2, stream.read_u8()).await;
        assert!(ended.is_err(), "the connection did not stay: {ended:?}");
        stream.write_all(message).await.unwrap();
        assert_eq!(until(&mut stream, message).await, message, "what the application sends back");
    }
    // Headers of this one connection are written anew, so their names' case may change.
    let seen = String::from_utf8(app.last()).unwrap().to_lowercase();
    for line in upgrade.lines() {
        assert!(seen.contains(&line.to_lowercase()), "{line} in {seen}");
    }
}

#[tokio::test]
async fn paths_that_might_mean_ours_never_reach_the_application() {
    let (app, gateway) = start().await;
    let mut passed = Vec::new();
    for path in [
        "//mcp",
        "/%2fmcp",
        "/mcp/..;/x",
        "/mcp//x",
        "/x/../mcp",
        "/./mcp",
        "/mcp%2fx",
        "/mcp;v=1",
        "/mcp%00",
        "/%6dcp",
        "/x/%2e%2e/mcp",
        "/x\\..\\mcp",
    ] {
        let mut client = gateway.client().await;
        let refused = client.get(path).await.expect("an answer");
        if refused.status != 400 {
            passed.push((path, refused.status));
        }
    }
    assert!(passed.is_empty(), "not refused with 400: {passed:?}");
    for path in ["/mcp", "/mcp/", "/mcp/unknown", "/s/mcp"] {
        let mut client = gateway.client().await;
        let refused = client.request("POST", path, &[]).await.expect("an answer");
        assert_eq!(refused.status, 401, "{path}: {}", refused.text());
    }
    assert_eq!(app.count(), 0, "the application saw {}", String::from_utf8_lossy(&app.last()));
}

async fn start() -> (App, Gateway) {
    let app = App::start().await;
    let limits = format!("limits: {{head_timeout: {}ms}}", HEAD_TIMEOUT.as_millis());
    let servers = "servers:\n  s: {url: http://127.0.0.1:9/mcp}";
    let rest = format!("{limits}\npassthrough: http://127.0.0.1:{}\n{servers}", app.port);
    (app, Gateway::start(&rest).await)
}

/// An application that keeps what it sees, to the byte.
struct App {
    port: u16,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl App {
    async fn start() -> App {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(App::serve(stream, Arc::clone(&keep)));
            }
        });
        App { port, seen }
    }

    async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Vec<Vec<u8>>>>) {
        let mut request = until(&mut stream, b"\r\n\r\n").await;
        let head = String::from_utf8_lossy(&request).into_owned();
        if head.to_lowercase().contains("upgrade: websocket") {
            seen.lock().unwrap().push(request);
            let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
            stream.write_all(switch).await.unwrap();
            let (mut read, mut write) = stream.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
            return;
        }
        let length = head.split_once("Content-Length: ").and_then(|(_, rest)| rest.lines().next()?.parse().ok());
        let whole = head.find("\r\n\r\n").unwrap() + 4 + length.unwrap_or(0);
        let chunked = head.contains("Transfer-Encoding: chunked");
        while request.len() < whole || chunked && !request.ends_with(b"0\r\n\r\n") {
            let more = stream.read_buf(&mut request).await.expect("readable");
            assert!(more > 0, "closed after {:?}", String::from_utf8_lossy(&request));
        }
        seen.lock().unwrap().push(request);
        let answer = "HTTP/1.1 200 OK\r\nServer: the-app\r\nx-ODD-Case: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
                      Content-Length: 5\r\nConnection: close\r\n\r\nhello";
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    fn last(&self) -> Vec<u8> {
        self.seen.lock().unwrap().last().cloned().unwrap_or_default()
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

async fn until(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut read = Vec::new();
    while !read.windows(end.len()).any(|window| window == end) {
        let more = stream.read_buf(&mut read).await.expect("readable");
        assert!(more > 0, "closed after {:?}", String::from_utf8_lossy(&read));
    }
    read
}
