//! An event stream as MCP clients get it, event by event, with how it ends.

use super::http::{Client, Response};
use super::messages::{initialize_with, legacy, modern};
use serde_json::Value;

/// One event. `data` is null where there is none.
#[derive(Debug, Default, PartialEq)]
pub struct Event {
    pub id: Option<String>,
    pub retry: Option<String>,
    pub data: Value,
    pub comment: Option<String>,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub enum Next {
    Event(Event),
    /// The proper end.
    End,
    /// The connection broke.
    Cut,
}

pub struct Reader {
    client: Client,
    text: Vec<u8>,
}

impl Reader {
    /// The stream of a session that belongs to no request; `Err`: what was answered instead.
    pub async fn attach(
        port: u16,
        path: &str,
        key: &str,
        session: &str,
        last: Option<&str>,
    ) -> Result<Reader, Response> {
        let mut lines = legacy(key, Some(session));
        lines.extend(last.map(|id| format!("Last-Event-ID: {id}")));
        Reader::ask(port, "GET", path, &lines, "").await
    }

    /// `subscriptions/listen`; `wanted` are the members of `notifications`.
    pub async fn listen(port: u16, path: &str, key: &str, id: &str, wanted: &str) -> Result<Reader, Response> {
        let body = super::messages::request(id, "subscriptions/listen", &format!(r#""notifications":{{{wanted}}},"#));
        Reader::ask(port, "POST", path, &modern(key, "subscriptions/listen", None), &body).await
    }

    /// Any request whose answer is a stream.
    pub async fn ask(port: u16, verb: &str, path: &str, lines: &[String], body: &str) -> Result<Reader, Response> {
        let nothing = |_| Response { status: 0, headers: Vec::new(), body: Vec::new() };
        let mut client = Client::connect(port).await.map_err(nothing)?;
        let lines: String = lines
            .iter()
            .filter(|line| verb != "GET" || !line.starts_with("Content-Type"))
            .map(|line| format!("{line}\r\n"))
            .collect();
        let lines = if verb == "GET" {
            lines.replace("application/json, ", "")
        } else {
            format!("{lines}Content-Length: {}\r\n", body.len())
        };
        let head = format!("{verb} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n{body}");
        client.send(head.as_bytes()).await.map_err(nothing)?;
        let head = client.head().await.map_err(|_| Response { status: 0, headers: Vec::new(), body: Vec::new() })?;
        if head.status == 200 && head.header("content-type") == Some("text/event-stream") {
            return Ok(Reader { client, text: Vec::new() });
        }
        let length = head.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let body = client.take(length).await.unwrap_or_default();
        Err(Response { body, ..head })
    }

    pub async fn next(&mut self) -> Next {
        loop {
            if let Some(at) = self.text.windows(2).position(|window| window == b"\n\n") {
                let frame: Vec<u8> = self.text.drain(..at + 2).collect();
                return Next::Event(Event::read(&String::from_utf8(frame).expect("UTF-8")));
            }
            match self.client.chunk().await {
                Ok(Some(chunk)) => self.text.extend(chunk),
                Ok(None) if self.text.is_empty() => return Next::End,
                Ok(None) | Err(_) => return Next::Cut,
            }
        }
    }

    /// The next event with data; the stream must go on.
    pub async fn message(&mut self) -> Event {
        loop {
            match self.next().await {
                Next::Event(event) if event.data != Value::Null => return event,
                Next::Event(_) => {}
                ended => panic!("the stream ended: {ended:?}"),
            }
        }
    }

    /// How it ends, after nothing but signs of life.
    pub async fn end(&mut self) -> Next {
        loop {
            match self.next().await {
                Next::Event(Event { data: Value::Null, .. }) => {}
                next => return next,
            }
        }
    }
}

impl Event {
    fn read(frame: &str) -> Event {
        let mut event = Event::default();
        let mut data = String::new();
        for line in frame.lines().filter(|line| !line.is_empty()) {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" => event.comment = Some(value.to_owned()),
                "id" => event.id = Some(value.to_owned()),
                "retry" => event.retry = Some(value.to_owned()),
                "data" => data.push_str(value),
                _ => {}
            }
        }
        if !data.is_empty() {
            event.data = serde_json::from_str(&data).unwrap_or_else(|error| panic!("no JSON ({error}): {data}"));
        }
        event
    }
}

/// Opens a session of a client that can be asked everything.
pub async fn open_session(port: u16, path: &str, key: &str) -> std::io::Result<String> {
    let mut client = Client::connect(port).await?;
    initialize_with(&mut client, path, key, r#"{"elicitation":{},"sampling":{},"roots":{}}"#).await
}
