//! What one run of `bench load` found: a line of JSON between `load` and `report`.

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Closed loop of calls; the delay is from sending the request to the whole answer.
    Calls,
    /// Events of streams; the delay is from the stub's sending of an event to its arrival.
    Events,
}

#[derive(Clone, Deserialize, Serialize)]
pub struct Measurement {
    /// What was measured, such as `direct` or `nginx`.
    pub label: String,
    pub kind: Kind,
    pub seconds: f64,
    /// Requests answered, or events received, in these seconds.
    pub count: u64,
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Requests without a proper answer, warm-up included.
    pub errors: u64,
    /// Answers with an id or a nonce of another request, warm-up included.
    pub crossed: u64,
    pub first_error: Option<String>,
    /// CPU time of the measured processes per request or event; `None` without `--pid`.
    pub cpu_us_each: Option<f64>,
    /// CPU time of the measured processes per second of run time: 1.0 is one busy core.
    pub cpu_cores: Option<f64>,
}

impl Display for Measurement {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let unit = match self.kind {
            Kind::Calls => "requests",
            Kind::Events => "events",
        };
        let Self { label, count, per_second, p50_ms, p99_ms, errors, crossed, .. } = self;
        write!(out, "{label}: {count} {unit}, {per_second:.0}/s, p50 {p50_ms:.3} ms, p99 {p99_ms:.3} ms")?;
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
