//! A relay that lets every byte wait, in both directions together as long as it is told.

use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub struct Delay {
    pub port: u16,
    span: watch::Sender<Duration>,
    accepting: JoinHandle<()>,
}

impl Delay {
    pub async fn start(server: u16) -> Delay {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (span, spans) = watch::channel(Duration::ZERO);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                pass(from_client, to_server, spans.clone());
                pass(from_server, to_client, spans.clone());
            }
        });
        Delay { port, span, accepting }
    }

    /// From now on an answer comes so much later.
    pub fn by(&self, span: Duration) {
        self.span.send_replace(span);
    }
}

fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, spans: watch::Receiver<Duration>) {
    let (sent, mut waiting) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let due = Instant::now() + *spans.borrow() / 2;
            if sent.send((due, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((due, bytes)) = waiting.recv().await {
            tokio::time::sleep_until(due.into()).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
}

impl Drop for Delay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
