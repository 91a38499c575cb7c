//! Guides as data (`tests/fixtures/guides`): each example with the command as it is printed and what must
//! come of it, followed by bash and curl in the order of the file.
//!
//! ```text
//! ## a title
//! curl ... $GATEWAY/...            the command; variables stand for what differs from run to run
//! -> 200                           the status; `-> eventually 200` repeats the command until all is met,
//! {"status": "registered"}         `-> 20 x 200` wants as many answers; then a demand (harness/subset.rs)
//! keep NAME = /json/pointer        makes a part of the answer a variable
//! ```
//!
//! After `-> 200 text/event-stream` the lines are events in their order (`NAME {demand}`, NAME may be `*`),
//! and `end` where the stream must end with the last of them; without it the command is ended. After
//! `-> 200 head TYPE` nothing follows: `curl -I` shows the head alone. An example that demands nothing of
//! the body fails.

use super::eventually;
use super::gateway::scratch;
use super::process::Process;
use super::subset::differs;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub type Variables = BTreeMap<String, String>;

/// What curl does beside what a command says; the heads of the answers go to standard error.
const CURLRC: &str = "silent\nshow-error\nmax-time = 20\ndump-header = \"/dev/stderr\"\n";

/// Runs each example and gives their titles. `headers` are sent with each request, for guides that know
/// nothing of keys.
pub async fn follow(guide: &str, headers: &[String], mut variables: Variables) -> Vec<String> {
    let home = scratch();
    let lines: String = headers.iter().map(|header| format!("header = \"{header}\"\n")).collect();
    std::fs::write(home.join(".curlrc"), format!("{CURLRC}{lines}")).expect("curl's configuration");
    let mut titles = Vec::new();
    for block in guide.split("\n## ").skip(1) {
        let example = Example::parse(&substituted(block, &variables));
        let answer = example.run(&home).await;
        for (name, pointer) in &example.kept {
            let value = answer.pointer(pointer).and_then(Value::as_str);
            let value = value.unwrap_or_else(|| panic!("{}: no string at {pointer}: {answer}", example.title));
            variables.insert(name.clone(), value.to_owned());
        }
        titles.push(example.title);
    }
    std::fs::remove_dir_all(&home).expect("the scratch directory goes");
    titles
}

#[derive(Clone)]
struct Example {
    title: String,
    command: String,
    tries: Tries,
    answers: usize,
    status: u16,
    media: String,
    demand: Demand,
    kept: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Tries {
    One,
    UntilMet,
}

#[derive(Clone)]
enum Demand {
    Json(Value),
    Events { events: Vec<(String, Value)>, then: Then },
    Head,
}

#[derive(Clone, Copy, PartialEq)]
enum Then {
    End,
    Whatever,
}

/// What a command left behind.
struct Outcome {
    bodies: String,
    heads: String,
}

impl Example {
    fn parse(block: &str) -> Example {
        let (title, rest) = block.split_once('\n').unwrap_or((block, ""));
        let bad = |what: &str| -> ! { panic!("the example {title:?} {what}") };
        let (command, outcome) = rest.split_once("\n-> ").unwrap_or_else(|| bad("has no outcome"));
        let (first, rest) = outcome.split_once('\n').unwrap_or((outcome, ""));
        let (kept, demand): (Vec<&str>, Vec<&str>) =
            rest.lines().filter(|line| !line.is_empty()).partition(|line| line.starts_with("keep "));

        let (first, tries) = match first.strip_prefix("eventually ") {
            Some(first) => (first, Tries::UntilMet),
            None => (first, Tries::One),
        };
        let (answers, first) = first.split_once(" x ").unwrap_or(("1", first));
        let (status, media) = first.split_once(' ').unwrap_or((first, "application/json"));
        let json = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| bad("demands something that is no JSON"));
        let demand = match media {
            "text/event-stream" => {
                let then = if demand.contains(&"end") { Then::End } else { Then::Whatever };
                let events = demand.iter().filter(|line| **line != "end");
                let events = events.map(|line| line.split_once(' ').unwrap_or_else(|| bad("has an empty event")));
                let events: Vec<_> = events.map(|(name, text)| (name.to_owned(), json(text))).collect();
                if events.is_empty() {
                    bad("waits for no event");
                }
                Demand::Events { events, then }
            }
            media if media.starts_with("head ") => Demand::Head,
            _ if demand.is_empty() => bad("demands nothing of the body"),
            _ => Demand::Json(json(&demand.join("\n"))),
        };
        let kept = kept.iter().filter_map(|line| line.strip_prefix("keep ")?.split_once(" = "));
        Example {
            title: title.to_owned(),
            command: command.to_owned(),
            tries,
            answers: answers.parse().unwrap_or_else(|_| bad("has an odd number of answers")),
            status: status.parse().unwrap_or_else(|_| bad("has an odd status")),
            media: media.trim_start_matches("head ").to_owned(),
            demand,
            kept: kept.map(|(name, pointer)| (name.to_owned(), pointer.to_owned())).collect(),
        }
    }

    /// The last body, once everything is met.
    async fn run(&self, home: &Path) -> Value {
        let tried = match self.tries {
            Tries::One => self.run_once(home).await,
            Tries::UntilMet => eventually(&self.title, 20, || async { self.run_once(home).await.ok().map(Ok) }).await,
        };
        tried.unwrap_or_else(|why| panic!("{}: {why}\n{}", self.title, self.command))
    }

    async fn run_once(&self, home: &Path) -> Result<Value, String> {
        let (example, home) = (self.clone(), home.to_owned());
        tokio::task::spawn_blocking(move || example.run_blocking(home)).await.expect("the command ran")
    }

    fn run_blocking(&self, home: PathBuf) -> Result<Value, String> {
        let mut command = Command::new("bash");
        command.args(["-c", &self.command]).env("CURL_HOME", home).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command);
        let (mut stdout, mut stderr) = (process.stdout(), process.stderr());
        let bodies = match &self.demand {
            Demand::Events { events, then } => until_met(events, *then, BufReader::new(stdout)),
            _ => {
                let mut text = String::new();
                stdout.read_to_string(&mut text).map_err(|error| error.to_string())?;
                text
            }
        };
        if matches!(self.demand, Demand::Events { then: Then::Whatever, .. }) {
            process.kill();
        }
        let mut heads = String::new();
        stderr.read_to_string(&mut heads).map_err(|error| error.to_string())?;
        self.met_by(&Outcome { bodies, heads })
    }

    fn met_by(&self, outcome: &Outcome) -> Result<Value, String> {
        let said = format!("{}{}", outcome.heads, outcome.bodies);
        let statuses = outcome.statuses();
        if statuses.len() != self.answers || statuses.iter().any(|status| *status != self.status) {
            return Err(format!("{} x {} are wanted: {said}", self.answers, self.status));
        }
        if !outcome.media().all(|media| media.starts_with(&self.media)) {
            return Err(format!("{} is wanted: {said}", self.media));
        }
        match &self.demand {
            Demand::Json(demand) => self.bodies_met(demand, &outcome.bodies).map_err(|why| format!("{why}: {said}")),
            Demand::Events { events, then } => {
                let seen = events_of(&outcome.bodies);
                let last = seen.last().zip(events.last()).is_some_and(|(seen, wanted)| is_like(wanted, seen));
                match then {
                    Then::End if !last => Err(format!("the last event is another one: {said}")),
                    _ if !in_order(events, &seen) => Err(format!("not all events came: {said}")),
                    _ => Ok(seen.into_iter().next_back().map(|(_, data)| data).unwrap_or_default()),
                }
            }
            Demand::Head => Ok(Value::Null),
        }
    }

    fn bodies_met(&self, demand: &Value, bodies: &str) -> Result<Value, String> {
        let bodies = serde_json::Deserializer::from_str(bodies).into_iter::<Value>();
        let bodies: Vec<Value> = bodies.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        if bodies.len() != self.answers {
            return Err(format!("{} bodies came", bodies.len()));
        }
        let different = bodies.iter().find_map(|body| differs(demand, body));
        different.map_or_else(|| Ok(bodies.into_iter().next_back().unwrap_or_default()), Err)
    }
}

impl Outcome {
    fn statuses(&self) -> Vec<u16> {
        let lines = self.heads.lines().filter(|line| line.starts_with("HTTP/"));
        let statuses = lines.filter_map(|line| line.split(' ').nth(1)?.parse().ok());
        statuses.filter(|status| *status >= 200).collect()
    }

    fn media(&self) -> impl Iterator<Item = &str> {
        let fields = self.heads.lines().filter_map(|line| line.split_once(':'));
        fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-type")).map(|(_, value)| value.trim())
    }
}

/// Reads events until all that are wanted came, or to the end where that is wanted.
fn until_met(events: &[(String, Value)], then: Then, stdout: impl BufRead) -> String {
    let mut text = String::new();
    for line in stdout.lines().map_while(Result::ok) {
        text.push_str(&line);
        text.push('\n');
        if then == Then::Whatever && line.is_empty() && in_order(events, &events_of(&text)) {
            break;
        }
    }
    text
}

fn events_of(text: &str) -> Vec<(String, Value)> {
    let field = |frame: &str, name: &str| {
        let values = frame.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let values = values.map(|value| value.strip_prefix(' ').unwrap_or(value));
        values.collect::<Vec<_>>().join("\n")
    };
    let frames = text.split("\n\n").filter(|frame| frame.lines().any(|line| line.starts_with("data:")));
    let events = frames.map(|frame| {
        let (name, data) = (field(frame, "event"), field(frame, "data"));
        let name = if name.is_empty() { "message".to_owned() } else { name };
        (name, serde_json::from_str(&data).unwrap_or(Value::String(data)))
    });
    events.collect()
}

/// Whether these came in this order, others between them or not.
fn in_order(wanted: &[(String, Value)], seen: &[(String, Value)]) -> bool {
    let mut seen = seen.iter();
    wanted.iter().all(|wanted| seen.any(|seen| is_like(wanted, seen)))
}

fn is_like((name, demand): &(String, Value), (seen, data): &(String, Value)) -> bool {
    (name == "*" || name == seen) && differs(demand, data).is_none()
}

fn substituted(block: &str, variables: &Variables) -> String {
    let mut text = block.to_owned();
    // The longest name first: one may begin another.
    let mut names: Vec<_> = variables.iter().collect();
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for (name, value) in names {
        text = text.replace(&format!("${name}"), value);
    }
    let left = text.split('$').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
    assert!(!left, "a variable without a value: {text}");
    text
}
