//! A ledger of streams: every event has a number, so that what is lost, doubled or out of order is
//! counted instead of guessed.

use super::eventually;
use super::gateway::KEY;
use super::http::Client;
use super::messages::{initialize_with, legacy_call};
use super::reader::{Event, Next, Reader};
use super::source::{Kind, Source};
use serde_json::Value;
use std::collections::HashMap;
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a stream may take to catch up at the end.
const LAST: Duration = Duration::from_secs(60);

/// Seconds that a server may be away.
const PATIENCE: u64 = 60;

pub struct World {
    pub port: u16,
    pub sources: Vec<Source>,
    /// No more events are sent.
    pub silent: AtomicBool,
    /// Streams that went on where they had broken off, so far.
    pub resumed: AtomicU64,
}

/// What a client reads.
#[derive(Clone, Debug)]
pub enum Wants {
    /// The stream of one server, at its endpoint.
    One(usize),
    /// That of a session over several.
    Several(Vec<usize>),
    /// A subscription over several.
    Listen(Vec<usize>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub events: u64,
    pub lost: u64,
    /// Doubled, or out of order.
    pub doubled: u64,
    /// Ends after which the client knows that something may be missing.
    pub ends: u64,
    /// Streams that went on where they had broken off.
    pub resumed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.events += other.events;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.ends += other.ends;
        self.resumed += other.resumed;
    }
}

impl World {
    pub fn new(port: u16, sources: Vec<Source>) -> World {
        World { port, sources, silent: AtomicBool::default(), resumed: AtomicU64::default() }
    }

    fn source(&self, name: &str) -> &Source {
        self.sources.iter().find(|source| source.name == name).expect("a known source")
    }

    fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }
}

/// Reads until everything that was sent has come, and says how that went.
pub async fn follow(world: Arc<World>, wants: Wants) -> Tally {
    let mut follower = Follower { world, wants, tally: Tally::default(), seen: HashMap::new(), silent_since: None };
    match follower.wants {
        Wants::Listen(_) => follower.listen().await,
        Wants::One(_) | Wants::Several(_) => while !follower.session().await {},
    }
    follower.tally
}

struct Follower {
    world: Arc<World>,
    wants: Wants,
    tally: Tally,
    /// By server and session, the last event that came; `None`: the next one may be any.
    seen: HashMap<(String, String), Option<u64>>,
    silent_since: Option<Instant>,
}

impl Follower {
    /// One session, until it is lost or everything has come.
    async fn session(&mut self) -> bool {
        let (path, session) = eventually("a session is opened", PATIENCE, || self.open()).await;
        let mut last: Option<String> = None;
        loop {
            let attach = || async {
                match Reader::attach(self.world.port, &path, KEY, &session, last.as_deref()).await {
                    Err(refused) if !matches!(refused.status, 400 | 404) => None,
                    attached => Some(attached),
                }
            };
            match eventually("the stream is there, or refused", PATIENCE, attach).await {
                Ok(reader) => {
                    self.tally.resumed += u64::from(last.is_some());
                    self.world.resumed.fetch_add(u64::from(last.is_some()), Ordering::Relaxed);
                    if self.read(reader, &mut last).await {
                        return true;
                    }
                    if last.is_none() {
                        self.tally.ends += 1;
                    }
                }
                Err(_) => {
                    self.tally.ends += 1;
                    self.seen.clear();
                    return self.is_late();
                }
            }
            if self.is_late() {
                return true;
            }
            // Without ids nobody knows what was missed.
            self.seen.values_mut().for_each(|seen| *seen = if last.is_none() { None } else { *seen });
        }
    }

    async fn open(&self) -> Option<(String, String)> {
        let (path, called) = match &self.wants {
            Wants::One(at) => (format!("/mcp/{}", self.world.sources[*at].name), Vec::new()),
            Wants::Several(at) => {
                ("/mcp".to_owned(), at.iter().map(|at| self.world.sources[*at].name.clone()).collect())
            }
            Wants::Listen(_) => return None,
        };
        let mut client = Client::connect(self.world.port).await.ok()?;
        let session = initialize_with(&mut client, &path, KEY, "{}").await.ok()?;
        for name in called {
            let mut client = Client::connect(self.world.port).await.ok()?;
            let tool = format!("{name}__say");
            let answer = legacy_call(&mut client, &path, KEY, &session, &tool, "{}").await.ok()?;
            if answer.status != 200 {
                return None;
            }
        }
        Some((path, session))
    }

    async fn listen(&mut self) {
        let Wants::Listen(at) = &self.wants else { return };
        let uris: Vec<String> = at.iter().map(|at| format!("{:?}", self.world.sources[*at].uri())).collect();
        let wanted = format!(r#""resourceSubscriptions":[{}]"#, uris.join(","));
        while !self.world.is_silent() {
            let listen = || async { Reader::listen(self.world.port, "/mcp", KEY, "1", &wanted).await.ok() };
            let reader = eventually("a subscription is taken", PATIENCE, listen).await;
            if self.read(reader, &mut None).await {
                return;
            }
            self.tally.ends += 1;
            self.seen.clear();
        }
    }

    /// Reads one stream; `true`: everything has come.
    async fn read(&mut self, mut reader: Reader, last: &mut Option<String>) -> bool {
        loop {
            match reader.next().await {
                Next::Event(event) => {
                    if let Some(id) = &event.id {
                        *last = Some(id.clone());
                    }
                    self.count(&event);
                }
                Next::End | Next::Cut => return false,
            }
            if self.has_everything() {
                return true;
            }
        }
    }

    fn count(&mut self, event: &Event) {
        let (params, data) = (&event.data["params"], &event.data["params"]["data"]);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (source, n) = match (data["n"].as_u64(), params["n"].as_u64()) {
            (Some(n), _) => (text(&data["source"]), n),
            (None, Some(n)) => (text(&params["uri"]).trim_start_matches("test://").to_owned(), n),
            (None, None) => return,
        };
        // A resumable server tells everything from the beginning.
        let begins = (self.world.source(&source).kind == Kind::Resumable).then_some(0);
        let seen = self.seen.entry((source, text(&data["session"]))).or_insert(begins);
        self.tally.events += 1;
        match *seen {
            Some(seen) if n <= seen => self.tally.doubled += 1,
            Some(seen) => self.tally.lost += n - seen - 1,
            None => {}
        }
        *seen = Some(n.max(seen.unwrap_or(0)));
    }

    fn has_everything(&mut self) -> bool {
        if !self.world.is_silent() {
            return false;
        }
        let is_missing = |((source, session), seen): (&(String, String), &Option<u64>)| {
            let source = self.world.source(source);
            // Of what only listeners are told nobody knows the end.
            source.kind == Kind::Resumable && source.sent(session).is_some_and(|sent| Some(sent) != *seen)
        };
        let wanted = if let Wants::Several(at) = &self.wants { at.len() } else { 1 };
        let is_here = self.seen.len() >= wanted || matches!(self.wants, Wants::Listen(_));
        is_here && !self.seen.iter().any(is_missing) || self.is_late()
    }

    fn is_late(&mut self) -> bool {
        if !self.world.is_silent() {
            return false;
        }
        let is_late = self.silent_since.get_or_insert_with(Instant::now).elapsed() > LAST;
        if is_late {
            // What has not come by now is not coming.
            let missing = self.seen.iter().map(|((source, session), seen)| {
                let source = self.world.source(source);
                let sent = if source.kind == Kind::Resumable { source.sent(session) } else { None };
                sent.zip(*seen).map_or(0, |(sent, seen)| sent.saturating_sub(seen))
            });
            self.tally.lost += missing.sum::<u64>();
        }
        is_late
    }
}
