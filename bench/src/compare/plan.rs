//! What is to be compared, and how long: the flags of `bench compare`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::flags::Flags;
use crate::target::Target;

/// File descriptors that a process needs for other things than streams.
const SPARE_FDS: u64 = 1_000;

pub struct Plan {
    pub rounds: u32,
    pub measured: Duration,
    /// Of events there are few in a second.
    pub streamed: Duration,
    pub warm_up: Duration,
    pub connections: u32,
    /// Whose events are timed.
    pub streams: u32,
    /// How many quiet ones are held open, step by step.
    pub held_streams: Vec<usize>,
    pub held_sessions: Vec<usize>,
    pub starts: u32,
    /// How long a process is left alone before its memory is read.
    pub rest: Duration,
    /// How long system calls are counted, and samples taken.
    pub traced: Duration,
    pub sampled: Duration,
    pub curves: Curves,
    pub parts: Parts,
    /// `None`: Tollbridge is left out.
    pub tollbridge: Option<PathBuf>,
    /// Where the stub listens; peers must know it.
    pub stub: Option<String>,
    pub peers: Vec<PeerAt>,
    /// How long a peer may take to find the stub.
    pub patience: Duration,
}

pub struct Curves {
    pub rounds: u32,
    pub connections: Vec<u64>,
    /// Calls in a second over so many connections: fewer than one of them alone can have.
    pub rate: f64,
    pub under_way: Vec<u64>,
    pub keys: Vec<u64>,
    pub servers: Vec<u64>,
    pub tools: Vec<u64>,
}

/// Which parts of the comparison are carried out: all of them, or those of `--only`.
pub struct Parts(Option<Vec<String>>);

/// Another gateway that is running already, with the stub behind it.
#[derive(Clone)]
pub struct PeerAt {
    pub name: String,
    pub target: Target,
    pub pid: u32,
    pub key: Option<String>,
}

impl Plan {
    /// `fds` is how many descriptors a process may have.
    pub fn read(flags: &mut Flags, fds: u64) -> Result<Self> {
        let smoke = flags.switch("--smoke");
        let mut plan = if smoke { Self::smoke() } else { Self::full() };
        if flags.switch("--scale") {
            plan.parts = Parts(Some(vec!["curves".to_owned(), "memory".to_owned()]));
        }
        if let Some(only) = flags.optional::<String>("--only")? {
            plan.parts = Parts::named(&only)?;
        }
        plan.rounds = flags.optional("--rounds")?.unwrap_or(plan.rounds);
        plan.curves.rounds = flags.optional("--curve-rounds")?.unwrap_or(plan.curves.rounds);
        if let Some(seconds) = flags.optional("--seconds")? {
            plan.measured = Duration::from_secs_f64(seconds);
            plan.streamed = plan.streamed.max(plan.measured);
        }
        plan.connections = flags.optional("--connections")?.unwrap_or(plan.connections);
        plan.streams = flags.optional("--streams")?.unwrap_or(plan.streams);
        ensure!(
            plan.rounds > 0 && plan.connections > 0 && plan.streams > 0,
            "there is nothing to do: give numbers above 0"
        );
        // A proxy needs two descriptors for each stream.
        let possible = usize::try_from(fds.saturating_sub(SPARE_FDS) / 2)?;
        plan.held_streams.retain(|count| *count <= possible);
        let tollbridge: PathBuf = flags.optional("--tollbridge")?.unwrap_or_else(|| "tollbridge".into());
        plan.tollbridge = (!flags.switch("--without-tollbridge")).then_some(tollbridge);
        plan.stub = flags.optional("--stub")?;
        while let Some(peer) = flags.optional("--peer")? {
            plan.peers.push(peer);
        }
        ensure!(
            plan.peers.is_empty() || plan.stub.is_some(),
            "with --peer say --stub HOST:PORT, where the peer expects the stub"
        );
        Ok(plan)
    }

    fn full() -> Self {
        Self {
            // Many short ones: a machine that is shared is slow for a second or so, and what is compared
            // should fall into the same second.
            rounds: 45,
            measured: Duration::from_millis(250),
            streamed: Duration::from_millis(500),
            warm_up: Duration::from_millis(150),
            connections: 32,
            streams: 50,
            held_streams: vec![1_000, 9_000],
            held_sessions: vec![100, 1_000, 5_000],
            starts: 5,
            rest: Duration::from_millis(1_500),
            traced: Duration::from_secs(1),
            sampled: Duration::from_secs(4),
            curves: Curves {
                rounds: 45,
                connections: vec![1, 10, 100, 1_000],
                rate: 2_000.0,
                under_way: vec![1, 32, 100, 1_000],
                keys: vec![1, 100, 1_000, 10_000],
                servers: vec![1, 10, 100, 1_000],
                tools: vec![10, 100, 1_000, 10_000],
            },
            parts: Parts(None),
            tollbridge: None,
            stub: None,
            peers: Vec::new(),
            patience: Duration::from_secs(30),
        }
    }

    /// Everything once or twice, and small: does it work?
    fn smoke() -> Self {
        Self {
            rounds: 2,
            streamed: Duration::from_millis(300),
            held_streams: vec![50, 100],
            held_sessions: vec![50, 100],
            starts: 2,
            rest: Duration::from_millis(200),
            traced: Duration::from_millis(300),
            sampled: Duration::from_millis(600),
            curves: Curves {
                rounds: 1,
                connections: vec![1, 10],
                rate: 1_000.0,
                under_way: vec![1, 32],
                keys: vec![1, 100],
                servers: vec![1, 10],
                tools: vec![10, 100],
            },
            ..Self::full()
        }
    }
}

impl Parts {
    const NAMES: [&str; 6] = ["rounds", "memory", "start", "syscalls", "steps", "curves"];

    pub fn has(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|only| only.iter().any(|part| part == name))
    }

    fn named(words: &str) -> Result<Self> {
        let only: Vec<String> = words.split(',').map(str::to_owned).collect();
        for word in &only {
            ensure!(Self::NAMES.contains(&word.as_str()), "--only {word}: say some of {}", Self::NAMES.join(","));
        }
        Ok(Self(Some(only)))
    }
}

impl FromStr for PeerAt {
    type Err = anyhow::Error;

    /// `name=url,pid` or `name=url,pid,key`.
    fn from_str(words: &str) -> Result<Self> {
        let (name, rest) = words.split_once('=').context("write --peer NAME=URL,PID[,KEY]")?;
        let mut parts = rest.splitn(3, ',');
        let target = parts.next().unwrap_or_default().parse()?;
        let pid = parts.next().context("the peer's PID is missing: write NAME=URL,PID[,KEY]")?.parse()?;
        Ok(Self { name: name.to_owned(), target, pid, key: parts.next().map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::{Parts, PeerAt};

    #[test]
    fn a_peer_may_have_a_key() {
        let peer: PeerAt = "other=http://127.0.0.1:9/mcp,12,a,b".parse().expect("it is complete");
        assert_eq!((peer.name.as_str(), peer.pid, peer.key.as_deref()), ("other", 12, Some("a,b")));
        let peer: PeerAt = "other=http://127.0.0.1:9/mcp,12".parse().expect("the key may be left out");
        assert!(peer.key.is_none());
        assert!("other=http://127.0.0.1:9/mcp".parse::<PeerAt>().is_err(), "without a PID there is no CPU time");
    }

    #[test]
    fn parts_are_all_or_some() {
        assert!(Parts(None).has("curves"));
        let some = Parts::named("rounds,start").expect("both exist");
        assert!(some.has("start") && !some.has("curves"));
        assert!(Parts::named("everything").is_err());
    }
}
