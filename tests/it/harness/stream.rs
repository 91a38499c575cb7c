//! An event stream as REST callers get it, event by event.

use super::gateway::{Gateway, KEY};
use super::http::Client;
use super::rest::bearer;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Events, as they come over one connection.
pub struct Stream {
    client: Client,
    text: Vec<u8>,
}

impl Stream {
    pub async fn open(gateway: &Gateway, path: &str) -> Stream {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{}\r\nAccept: text/event-stream\r\n\r\n", bearer(KEY));
        Stream::begin(gateway, &request).await
    }

    pub async fn call(gateway: &Gateway, path: &str, body: &Value) -> Stream {
        let body = body.to_string();
        let lines = [bearer(KEY), "Accept: text/event-stream".to_owned(), "Content-Type: application/json".to_owned()]
            .join("\r\n");
        let length = body.len();
        let request =
            format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\nContent-Length: {length}\r\n\r\n{body}");
        Stream::begin(gateway, &request).await
    }

    async fn begin(gateway: &Gateway, request: &str) -> Stream {
        let mut client = gateway.client().await;
        client.send(request.as_bytes()).await.unwrap();
        let head = client.head().await.unwrap();
        assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")), "{head:?}");
        assert_eq!(head.header("x-accel-buffering"), Some("no"));
        Stream { client, text: Vec::new() }
    }

    /// The next event with data.
    pub async fn next(&mut self) -> (String, Value) {
        loop {
            let frame = self.frame().await.expect("the stream ended");
            let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name));
            if let Some(data) = field("data: ") {
                let data = serde_json::from_str(data).expect("JSON");
                return (field("event: ").unwrap_or("message").to_owned(), data);
            }
        }
    }

    /// The next event, which must be this one and come in time.
    pub async fn within(&mut self, name: &str, time: Duration) -> (String, Value) {
        let event = tokio::time::timeout(time, self.next()).await;
        let event = event.unwrap_or_else(|_| panic!("no {name} within {time:?}"));
        assert_eq!(event.0, name, "{}", event.1);
        event
    }

    /// So many signs of life, at this pace or a little slower.
    pub async fn heartbeats(&mut self, count: u32, pace: Duration) {
        let mut seen = 0;
        let began = Instant::now();
        while seen < count {
            let frame = self.frame().await.expect("the stream ended");
            seen += u32::from(frame.starts_with(": heartbeat"));
        }
        assert!(
            began.elapsed() < pace * count + Duration::from_secs(1),
            "{count} heartbeats took {:?}",
            began.elapsed()
        );
    }

    /// Its proper end, after nothing but signs of life.
    pub async fn ends(&mut self) {
        while let Some(frame) = self.frame().await {
            assert!(frame.starts_with(':'), "{frame}");
        }
    }

    /// Up to an empty line; `None` at the end.
    async fn frame(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.text.windows(2).position(|window| window == b"\n\n") {
                let frame: Vec<u8> = self.text.drain(..at + 2).collect();
                return Some(String::from_utf8(frame).expect("UTF-8"));
            }
            match self.client.chunk().await.expect("a chunk, or the proper end") {
                Some(chunk) => self.text.extend(chunk),
                None => return None,
            }
        }
    }
}
