//! A relay in front of a real server that can go wrong at a word, also for connections that are
//! there already: a request under way on them gets what the new mode gives.

use std::io::{Error, ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// The listener is closed, and what is open as well.
    Refuse,
    /// Every connection is reset.
    Reset,
    /// 500 with text.
    Fail,
    /// 500 with a JSON-RPC error.
    FailInJson,
    /// Tool calls get 500; everything else, probes for one, goes through.
    FailCalls,
    /// Tool calls get nothing; everything else goes through.
    HangCalls,
    /// 503 with text.
    Overloaded,
    /// Bytes that are no HTTP.
    Garbage,
    /// 200 and `application/json`, but no JSON.
    NoJson,
    /// JSON that is no answer, in two pieces.
    NoAnswer,
    /// Half of the body that was announced, then the end.
    Half,
    /// An event stream that ends in the middle of the answer, as if that were its end.
    HalfEvent,
    /// An event stream without events.
    NoEvent,
    /// Nothing is answered.
    Nothing,
}

pub struct Relay {
    pub port: u16,
    mode: watch::Sender<Mode>,
    accepting: JoinHandle<()>,
}

impl Relay {
    /// `server` is the port of the server behind it.
    pub fn start(server: u16) -> Relay {
        let listener = listen(0);
        let port = listener.local_addr().expect("an address").port();
        let (mode, modes) = watch::channel(Mode::Pass);
        let accepting = tokio::spawn(accept(listener, modes, server));
        Relay { port, mode, accepting }
    }

    pub fn turn(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn listen(port: u16) -> TcpListener {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("the address can be used again");
    socket.bind(([127, 0, 0, 1], port).into()).expect("the port is free");
    socket.listen(1024).expect("it listens")
}

async fn accept(listener: TcpListener, mut modes: watch::Receiver<Mode>, server: u16) {
    let port = listener.local_addr().expect("an address").port();
    let mut listener = Some(listener);
    loop {
        let refusing = *modes.borrow_and_update() == Mode::Refuse;
        if refusing {
            listener = None;
        } else if listener.is_none() {
            listener = Some(listen(port));
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Ok((stream, _)) = accepted => {
                let connection = Connection { stream, modes: modes.clone(), server };
                tokio::spawn(async move { connection.serve().await.ok() });
            }
            changed = modes.changed() => if changed.is_err() { return },
        }
    }
}

struct Connection {
    stream: TcpStream,
    modes: watch::Receiver<Mode>,
    server: u16,
}

/// Whether an answer is owed.
#[derive(Clone, Copy)]
enum Turn {
    Client,
    Server,
}

impl Connection {
    async fn serve(mut self) -> Result<()> {
        self.stream.set_nodelay(true)?;
        let mut turn = Turn::Client;
        loop {
            let mode = *self.modes.borrow_and_update();
            turn = match (mode, turn) {
                (Mode::Pass | Mode::FailCalls | Mode::HangCalls, Turn::Client) => self.pass(mode).await?,
                // The server that owes the answer is not asked again.
                (Mode::Pass | Mode::Refuse, _) => return Ok(()),
                (Mode::Reset, _) => return self.stream.set_zero_linger(),
                (Mode::Nothing, turn) | (Mode::HangCalls, turn @ Turn::Server) => self.swallow(turn).await?,
                (_, Turn::Client) => self.request().await?,
                (mode, Turn::Server) => return self.misbehave(mode).await,
            }
        }
    }

    /// Until the mode changes.
    async fn pass(&mut self, mode: Mode) -> Result<Turn> {
        let mut server = TcpStream::connect(("127.0.0.1", self.server)).await?;
        server.set_nodelay(true)?;
        let (mut up, mut down) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        let mut turn = Turn::Client;
        loop {
            tokio::select! {
                biased;
                changed = self.modes.changed() => return changed.map(|()| turn).map_err(Error::other),
                read = self.stream.read(&mut up) => {
                    turn = Turn::Server;
                    let request = &up[..some(read?)?];
                    if mode != Mode::Pass && request.windows(10).any(|window| window == b"tools/call") {
                        return Ok(turn);
                    }
                    server.write_all(request).await?;
                }
                read = server.read(&mut down) => {
                    turn = Turn::Client;
                    self.stream.write_all(&down[..some(read?)?]).await?;
                }
            }
        }
    }

    /// Waits for a request, in vain if the mode changes first.
    async fn request(&mut self) -> Result<Turn> {
        let mut buffer = vec![0; 64 * 1024];
        tokio::select! {
            biased;
            changed = self.modes.changed() => changed.map(|()| Turn::Client).map_err(Error::other),
            read = self.stream.read(&mut buffer) => some(read?).map(|_| Turn::Server),
        }
    }

    /// Reads whatever comes until the mode changes.
    async fn swallow(&mut self, turn: Turn) -> Result<Turn> {
        match (self.request().await?, turn) {
            (Turn::Client, Turn::Client) => Ok(Turn::Client),
            _ => Ok(Turn::Server),
        }
    }

    async fn misbehave(mut self, mode: Mode) -> Result<()> {
        let json = |status: &str, length: usize, body: &str| {
            format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        };
        let chunked = |media: &str, pieces: &[&str]| {
            let chunks: String = pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len())).collect();
            format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
        };
        let error = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"broken"}}"#;
        let bytes = match mode {
            Mode::Pass | Mode::Refuse | Mode::Reset | Mode::Nothing | Mode::HangCalls => return Ok(()),
            Mode::Fail | Mode::FailCalls => {
                "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nbroken"
                    .to_owned()
            }
            Mode::FailInJson => json("500 Internal Server Error", error.len(), error),
            Mode::Overloaded => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy".to_owned(),
            Mode::NoAnswer => chunked("application/json", &[r#"{"oops""#, ":1}"]),
            Mode::HalfEvent => chunked("text/event-stream", &["data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{"]),
            Mode::NoEvent => chunked("text/event-stream", &[]),
            Mode::Garbage => "\u{1}\u{2}\u{3} no HTTP at all\n\n".to_owned(),
            Mode::NoJson => json("200 OK", 7, "<html/>"),
            Mode::Half => json("200 OK", 1000, r#"{"jsonrpc":"2.0","id":1,"result":{"content":["#),
        };
        self.stream.write_all(bytes.as_bytes()).await?;
        self.stream.shutdown().await
    }
}

fn some(read: usize) -> Result<usize> {
    if read == 0 {
        return Err(Error::new(ErrorKind::UnexpectedEof, "closed"));
    }
    Ok(read)
}
