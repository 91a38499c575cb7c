//! What one run of the load found, and to which row of a comparison it belongs.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

/// What one run found.
#[derive(Clone, Default, Deserialize, Serialize)]
pub struct Found {
    pub seconds: f64,
    /// Requests answered, or events received, in these seconds.
    pub count: u64,
    pub per_second: f64,
    /// Of a call: from sending it, or where there is a schedule from when it was due, to its whole answer.
    /// Of an event: from its sending by the stub to its arrival.
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Requests without a proper answer, warm-up included.
    pub errors: u64,
    /// Answers with an id or a nonce of another request, warm-up included.
    pub crossed: u64,
    pub first_error: Option<String>,
    /// CPU time of the measured processes per request or event; `None` without a process.
    pub cpu_us_each: Option<f64>,
    /// CPU time of the measured processes per second of run time: 1.0 is one busy core.
    pub cpu_cores: Option<f64>,
}

/// What is asked of all contenders alike.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scenario {
    /// A closed loop of calls, answered as JSON.
    Calls,
    /// The same, each answered as an event stream.
    CallsOverSse,
    /// Progress events of streams.
    Events,
    /// Calls at a rate that does not depend on their answers.
    FixedRate,
    /// `tools/list` of 1,000 tools.
    List,
    /// Calls while one thing grows.
    Curve(Axis),
}

/// What grows along a curve.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// With as many calls in a second over all of them, however many there are.
    Connections,
    Keys,
    Servers,
    Tools,
    /// One on each connection, at any time.
    UnderWay,
}

#[derive(Clone, Deserialize, Serialize)]
pub struct Measurement {
    pub scenario: Scenario,
    /// Who was measured, such as `direct` or `nginx`.
    pub label: String,
    /// The row of the same scenario (and size) that its CPU time is compared with.
    pub against: Option<String>,
    /// The place on a curve; 0 where there is none.
    pub size: u64,
    pub round: u32,
    pub found: Found,
}

impl Measurement {
    /// Whether both are rounds of one row.
    pub fn is_of_row(&self, other: &Self) -> bool {
        (self.scenario, &self.label, self.size) == (other.scenario, &other.label, other.size)
    }
}

impl Display for Found {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let Self { count, per_second, p50_ms, p99_ms, errors, crossed, .. } = self;
        write!(out, "{count} answers or events, {per_second:.0}/s, p50 {p50_ms:.3} ms, p99 {p99_ms:.3} ms")?;
        write!(out, ", {errors} errors, {crossed} crossed")?;
        if let (Some(cpu), Some(cores)) = (self.cpu_us_each, self.cpu_cores) {
            write!(out, ", {cpu:.1} us CPU each on {cores:.2} cores")?;
        }
        match &self.first_error {
            Some(error) => write!(out, "; first error: {error}"),
            None => Ok(()),
        }
    }
}
