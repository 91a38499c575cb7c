//! All that a comparison found: every single measurement, as it is written to the result file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::measurement::{Measurement, Scenario};

/// The rows of the tables. What others are compared with is called the baseline.
pub const DIRECT: &str = "direct";
pub const NGINX: &str = "nginx";
pub const NGINX_LEGACY: &str = "nginx, legacy session";
pub const NGINX_FILE: &str = "nginx, a file of this size";
pub const HAPROXY: &str = "haproxy";
pub const ONE_SERVER: &str = "tollbridge, one server";
pub const TRACED: &str = "tollbridge, one server, each head another";
pub const AGGREGATED: &str = "tollbridge, all servers as one";
pub const LEGACY: &str = "tollbridge, legacy session";
pub const REST_PLAIN: &str = "tollbridge, REST plain";
pub const REST_NAMED: &str = "tollbridge, REST named";
pub const LIST: &str = "tollbridge, tools/list";
pub const STREAMS: &str = "tollbridge, streams of calls";
pub const LEGACY_STREAMS: &str = "tollbridge, streams of legacy sessions";
pub const SESSIONS: &str = "tollbridge, legacy sessions";
pub const TOLLBRIDGE: &str = "tollbridge";

#[derive(Clone, Default, Deserialize, Serialize)]
pub struct Outcome {
    /// The circumstances, in a sentence.
    pub about: String,
    pub measurements: Vec<Measurement>,
    pub starts: Vec<Start>,
    pub held: Vec<Held>,
    pub system_calls: Vec<SystemCalls>,
    pub steps: Vec<Steps>,
    pub absent: Vec<Absent>,
    /// What went wrong; the figures of such a comparison are not to be kept.
    pub failures: Vec<String>,
    /// Of `tools/list`, as it was answered.
    pub list_bytes: Option<usize>,
}

/// What was not there to be measured, and why.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct Absent {
    /// Whose row of the table is empty, where it would have one.
    pub label: Option<String>,
    pub why: String,
}

/// One start of a process, and its memory when it had started and nothing had happened yet.
#[derive(Clone, Deserialize, Serialize)]
pub struct Start {
    pub label: String,
    /// From the start of the program to its first proper answer.
    pub ms: f64,
    pub rss_kib: u64,
    pub pss_kib: u64,
}

/// The memory of a process that holds so many streams or sessions.
#[derive(Clone, Deserialize, Serialize)]
pub struct Held {
    pub label: String,
    /// With 0 the process before it held any.
    pub count: u64,
    pub rss_kib: u64,
    pub pss_kib: u64,
}

/// The system calls that a process made for each call of a tool.
#[derive(Clone, Deserialize, Serialize)]
pub struct SystemCalls {
    pub label: String,
    /// How many calls of a tool were looked at.
    pub calls: u64,
    pub each: BTreeMap<String, f64>,
}

/// Where the CPU time of a call goes.
#[derive(Clone, Deserialize, Serialize)]
pub struct Steps {
    pub label: String,
    pub shares: BTreeMap<String, f64>,
}

impl Outcome {
    pub fn read(path: &Path) -> Result<Self> {
        let hint = || format!("cannot read {}: write it with `bench compare --out`", path.display());
        serde_json::from_str(&fs::read_to_string(path).with_context(hint)?).with_context(hint)
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let hint = || format!("cannot write {}: choose another --out", path.display());
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).with_context(hint)?;
        }
        fs::write(path, serde_json::to_string_pretty(self)? + "\n").with_context(hint)
    }

    /// Notes what was not there, once.
    pub fn miss(&mut self, label: Option<&str>, why: &str) {
        let absent = Absent { label: label.map(str::to_owned), why: why.to_owned() };
        if !self.absent.contains(&absent) {
            self.absent.push(absent);
        }
    }

    pub fn fail(&mut self, what: String) {
        eprintln!("failed: {what}");
        self.failures.push(what);
    }

    pub fn of(&self, scenario: Scenario) -> impl Iterator<Item = &Measurement> {
        self.measurements.iter().filter(move |measurement| measurement.scenario == scenario)
    }
}
