//! A golden file:
//!
//! ```text
//! of: routeiq POST /llmrouter/mcp/servers      the row or the JSON-RPC method (`jsonrpc mcp.servers.list`)
//! about: without a name
//! events: 1                                    of a stream without end: so many events, then the client leaves
//! looks: fresh                                 what this server is asked by the gateway itself is shown too
//! -- request
//! POST /llmrouter/mcp/servers
//! X-Admin-API-Key: <admin key>
//!
//! {"server_id": "a", "url": "http://127.0.0.1:<fresh>/mcp"}
//! -- upstream fresh                            one for each request, in their order; or `-- upstream nothing`
//! ...
//! -- reply
//! 422
//! content-type: application/json
//!
//! {"detail": ...}
//! ```

use std::path::PathBuf;

pub struct Golden {
    pub path: PathBuf,
    pub of: String,
    pub events: Option<usize>,
    pub looks: Option<String>,
    pub verb: String,
    pub target: String,
    pub headers: Vec<String>,
    pub body: String,
    /// The part that is written by hand.
    asked: String,
    /// What is to come of it.
    outcome: String,
}

const REQUEST: &str = "\n-- request\n";
const UPSTREAM: &str = "\n-- upstream";

impl Golden {
    pub fn read(path: PathBuf) -> Golden {
        let text = std::fs::read_to_string(&path).expect("a golden file can be read");
        let bad = |what: &str| -> ! { panic!("{} {what}", path.display()) };
        let (asked, outcome) = match text.find(UPSTREAM) {
            Some(at) => text.split_at(at + 1),
            None => (text.as_str(), ""),
        };
        let (about, request) = asked.split_once(REQUEST).unwrap_or_else(|| bad("has no request"));
        let said = |name: &str| about.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
        let mut lines = head.lines();
        let (verb, target) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or_else(|| bad("asks nothing"));
        if said("about").is_none() {
            bad("does not say what it is about");
        }
        Golden {
            of: said("of").unwrap_or_else(|| bad("does not say of which row it is")).to_owned(),
            events: said("events").map(|count| count.parse().unwrap_or_else(|_| bad("has an odd number of events"))),
            looks: said("looks").map(str::to_owned),
            verb: verb.to_owned(),
            target: target.to_owned(),
            headers: lines.map(str::to_owned).collect(),
            body: body.trim_end().to_owned(),
            asked: format!("{}\n", asked.trim_end()),
            outcome: outcome.to_owned(),
            path,
        }
    }

    /// Whether its request is one to this row.
    pub fn asks(&self, verb: &str, pattern: &str) -> bool {
        let path = self.target.split('?').next().unwrap_or_default();
        let fits = |(wanted, segment): (&str, &str)| wanted.starts_with('{') || wanted == segment;
        let is_there = path.split('/').count() == pattern.split('/').count();
        let verb_fits = self.verb == verb || (self.verb == "HEAD" && verb == "GET");
        verb_fits && is_there && pattern.split('/').zip(path.split('/')).all(fits)
    }

    pub fn write(&self, came: &str) {
        std::fs::write(&self.path, format!("{}{came}", self.asked)).expect("a golden file can be written");
    }

    /// What is wanted and did not come (`-`), and what came and is not wanted (`+`).
    pub fn differs(&self, came: &str) -> Option<String> {
        if came == self.outcome {
            return None;
        }
        let (wanted, came): (Vec<&str>, Vec<&str>) = (self.outcome.lines().collect(), came.lines().collect());
        Some(difference(&wanted, &came).join("\n"))
    }
}

/// Lines side by side, by their longest common subsequence.
fn difference(wanted: &[&str], came: &[&str]) -> Vec<String> {
    let mut lengths = vec![vec![0usize; came.len() + 1]; wanted.len() + 1];
    for at in (0..wanted.len()).rev() {
        for other in (0..came.len()).rev() {
            lengths[at][other] = match wanted[at] == came[other] {
                true => lengths[at + 1][other + 1] + 1,
                false => lengths[at + 1][other].max(lengths[at][other + 1]),
            };
        }
    }
    let (mut at, mut other, mut lines) = (0, 0, Vec::new());
    while at < wanted.len() || other < came.len() {
        let is_same = at < wanted.len() && other < came.len() && wanted[at] == came[other];
        if is_same {
            lines.push(format!("  {}", wanted[at]));
            (at, other) = (at + 1, other + 1);
        } else if other == came.len() || at < wanted.len() && lengths[at + 1][other] >= lengths[at][other + 1] {
            lines.push(format!("- {}", wanted[at]));
            at += 1;
        } else {
            lines.push(format!("+ {}", came[other]));
            other += 1;
        }
    }
    lines
}
