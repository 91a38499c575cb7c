//! Zero-copy: what the client is given lies where it was read from the server.

use super::deadline::Deadline;
use super::relay::{Asked, Awaits, Relay};
use super::tagged::Tagged;
use super::{AnswerHead, Downstream, Gone, Trace};
use crate::conf;
use crate::gateway::{Gateway, taken};
use crate::registry::Store;
use crate::upstream::{Fields, Head, InFlight, Link, reads};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tollbridge_filters::era::Era;
use tollbridge_filters::names::ServerId;

/// A client that keeps what it is given.
#[derive(Default)]
struct Given(Vec<Bytes>);

impl Downstream for Given {
    async fn begin(&mut self, _: AnswerHead) -> Result<(), Gone> {
        Ok(())
    }

    async fn chunk(&mut self, chunk: Bytes) -> Result<(), Gone> {
        self.0.push(chunk);
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Gone> {
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), Gone> {
        Ok(())
    }

    async fn gone(&mut self) {
        std::future::pending().await
    }
}

/// A gateway before one server that gives this answer to whatever it is asked.
async fn before(answer: String) -> Gateway {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        assert!(client.read(&mut [0; 4096]).await.unwrap() > 0);
        client.write_all(answer.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let text = format!("servers: {{one: {{url: \"http://127.0.0.1:{port}/mcp\", era: modern}}}}");
    let conf = conf::parse(&text, &|_| None).unwrap();
    let store = Store::open(&conf, None, taken(&conf)).unwrap();
    Gateway::new(conf, store).unwrap()
}

async fn given(answer: String) -> Given {
    let gateway = before(answer).await;
    let pool = gateway.pool(&ServerId::derive("one").unwrap()).unwrap();
    pool.refresh().await.unwrap();
    let endpoint: InFlight = pool.pick(&[]).unwrap();
    let fields = Fields {
        era: Era::Modern,
        version: None,
        session: None,
        method: "tools/call",
        name: Some("echo"),
        forwarded: None,
    };
    let path = endpoint.path.as_str();
    let head = Head { verb: "POST", server: &pool.server, endpoint: &endpoint, path, fields, body_bytes: 2 };
    let mut link = Link::send(&endpoint, &head, Bytes::from_static(b"{}")).await.unwrap();
    link.answer().await.unwrap();
    let may_stay = || None;
    let asked = Asked {
        gateway: &gateway,
        id: Some("1"),
        era: Era::Modern,
        awaits: Awaits::Answer,
        is_shaped: false,
        may_stay: &may_stay,
        session: None,
    };
    let (mut given, mut trace) = (Given::default(), Trace::default());
    let mut deadline = Deadline::start(&pool.server.timeout, "tools/call");
    let (down, deadline, trace) = (&mut Tagged::new(None, &mut given), &mut deadline, &mut trace);
    let relay = Relay { asked, pool: &pool, endpoint: &endpoint, link, down, deadline, trace, in_session: None };
    relay.run().await.unwrap();
    given
}

#[tokio::test]
async fn a_piece_of_an_answer_is_given_where_it_was_read() {
    let result = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":["{}"]}}}}"#, "x".repeat(200_000));
    let json = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{result}",
        result.len()
    );
    let event = |data: &str| format!("{:x}\r\ndata: {data}\n\n\r\n", data.len() + 8);
    let events = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n{}{}0\r\n\r\n",
        event(r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#),
        event(&result),
    );
    let told = r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#;
    let both = "data: \n\n".len() * 2 + told.len() + result.len();
    for (what, answer, body) in [("JSON", json, result.len()), ("events", events, both)] {
        let Given(pieces) = given(answer).await;
        assert_eq!(pieces.iter().map(Bytes::len).sum::<usize>(), body, "{what}: another body");
        let read = reads();
        for piece in &pieces {
            let place = piece.as_ptr_range();
            let was_read = |read: &std::ops::Range<*const u8>| read.start <= place.start && place.end <= read.end;
            assert!(read.iter().any(was_read), "{what}: {} bytes were copied", piece.len());
        }
    }
}
