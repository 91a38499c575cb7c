//! What must not get worse: limits that are given on the command line.

use anyhow::{Context, Result, ensure};

use super::derived::Derived;
use crate::measurement::Scenario;
use crate::outcome::{ONE_SERVER, Outcome, REST_NAMED, REST_PLAIN};

pub struct Gates {
    /// What a call to one server may cost, in multiples of nginx's.
    pub call: Option<f64>,
    /// What a REST call may cost, in multiples of the native one.
    pub rest: Option<f64>,
}

impl Gates {
    pub fn ensure_passed(&self, outcome: &Outcome) -> Result<()> {
        let derived = Derived::of(outcome);
        if let Some(limit) = self.call {
            let ratio = derived.ratio_of(Scenario::Calls, ONE_SERVER);
            ensure_within(ONE_SERVER, ratio, limit, "nginx")?;
        }
        if let Some(limit) = self.rest {
            for label in [REST_PLAIN, REST_NAMED] {
                ensure_within(label, derived.calls_ratio(label, ONE_SERVER), limit, "the native call")?;
            }
        }
        Ok(())
    }
}

fn ensure_within(label: &str, ratio: Option<f64>, limit: f64, over: &str) -> Result<()> {
    let ratio = ratio.with_context(|| format!("nothing to gate: measure {label}, or leave the gate out"))?;
    ensure!(ratio <= limit, "{label} takes {ratio:.2} times the CPU of {over}, allowed is {limit}: find what grew");
    Ok(())
}

/// Figures from a run with failures are not to be believed, however good they look.
pub fn ensure_sound(outcome: &Outcome) -> Result<()> {
    ensure!(outcome.failures.is_empty(), "the comparison failed: {}", outcome.failures.join("; "));
    for measurement in &outcome.measurements {
        let (found, label) = (&measurement.found, &measurement.label);
        let sound = found.errors == 0 && found.crossed == 0 && found.count > 0;
        ensure!(sound, "a run failed, so its figures do not count; mend this first: {label}: {found}");
    }
    Ok(())
}
