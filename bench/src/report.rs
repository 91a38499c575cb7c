//! The report: medians over the rounds of a comparison, as Markdown and JSON, and the gate.
//!
//! It knows measurements only; how they came about is told by `--about`.

mod median;
mod table;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::flags::Flags;
use crate::measurement::{Kind, Measurement};
use median::medians;

/// The row that others are compared with, and the rows that the gate looks at.
const BASELINE: &str = "nginx";
const GATED: &str = "tollbridge";

/// The native call that REST calls are compared with, and how their rows begin.
const NATIVE: &str = "MCP, 300 B";
const REST: &str = "REST";

#[derive(Serialize)]
struct Record<'a> {
    about: &'a str,
    medians: &'a [Measurement],
    measurements: &'a [Measurement],
}

pub fn run(mut flags: Flags) -> Result<()> {
    let path: PathBuf = flags.required("--measurements")?;
    let about: String = flags.optional("--about")?.unwrap_or_default();
    let out: Option<PathBuf> = flags.optional("--out")?;
    let gate: Option<f64> = flags.optional("--gate")?;
    let rest_gate: Option<f64> = flags.optional("--rest-gate")?;
    flags.finish()?;
    let measurements = read(&path)?;
    let medians = medians(&measurements);
    print!("{}", table::markdown(&about, &medians));
    if let Some(line) = rest_line(&medians) {
        println!("\n{line}");
    }
    if let Some(out) = out {
        let record = Record { about: &about, medians: &medians, measurements: &measurements };
        let text = serde_json::to_string_pretty(&record)? + "\n";
        fs::write(&out, text).with_context(|| format!("cannot write {}: choose another --out", out.display()))?;
    }
    ensure_sound(&measurements)?;
    gate.map_or(Ok(()), |limit| ensure_within(&medians, limit))?;
    rest_gate.map_or(Ok(()), |limit| ensure_rest_within(&medians, limit))
}

/// How often the CPU time of a native call fits into that of the same call over each REST surface.
fn rest_ratios(medians: &[Measurement]) -> Vec<(&str, f64)> {
    let native = medians.iter().find(|row| row.label == NATIVE).and_then(|row| row.cpu_us_each);
    let rest = medians.iter().filter(|row| row.label.starts_with(REST));
    rest.filter_map(|row| Some((row.label.as_str(), row.cpu_us_each? / native?))).collect()
}

fn rest_line(medians: &[Measurement]) -> Option<String> {
    let ratios = rest_ratios(medians);
    let parts: Vec<String> = ratios.iter().map(|(label, ratio)| format!("{label} {ratio:.2}")).collect();
    (!parts.is_empty())
        .then(|| format!("CPU per call over that of the native call with the same arguments: {}.", parts.join(", ")))
}

fn ensure_rest_within(medians: &[Measurement], limit: f64) -> Result<()> {
    let ratios = rest_ratios(medians);
    ensure!(!ratios.is_empty(), "nothing to gate: measure {NATIVE} and {REST}, or leave --rest-gate out");
    for (label, ratio) in ratios {
        ensure!(ratio <= limit, "{label} takes {ratio:.2} times the CPU of {NATIVE}, allowed is {limit}");
    }
    Ok(())
}

fn read(path: &PathBuf) -> Result<Vec<Measurement>> {
    let hint = || format!("cannot read {}: write it with `bench load --json`", path.display());
    let text = fs::read_to_string(path).with_context(hint)?;
    text.lines().map(|line| serde_json::from_str(line).with_context(hint)).collect()
}

/// Figures from a run with failures are not to be believed, however good they look.
fn ensure_sound(measurements: &[Measurement]) -> Result<()> {
    for measurement in measurements {
        let sound = measurement.errors == 0 && measurement.crossed == 0 && measurement.count > 0;
        ensure!(sound, "a run failed, so its figures do not count; mend this first: {measurement}");
    }
    Ok(())
}

fn ensure_within(medians: &[Measurement], limit: f64) -> Result<()> {
    let calls: Vec<&Measurement> = medians.iter().filter(|row| row.kind == Kind::Calls).collect();
    let gated: Vec<_> = calls.iter().filter(|row| row.label.starts_with(GATED)).collect();
    ensure!(!gated.is_empty(), "nothing to gate: measure {GATED}, or leave --gate out");
    for row in gated {
        let ratio = cpu_ratio(row, medians).context("the gate compares CPU time: give --pid to every load")?;
        let label = &row.label;
        ensure!(
            ratio <= limit,
            "{label} takes {ratio:.2} times the CPU of {BASELINE}, allowed is {limit}: find what grew"
        );
    }
    Ok(())
}

/// How often the CPU time of the baseline's call fits into that of `row`.
fn cpu_ratio(row: &Measurement, medians: &[Measurement]) -> Option<f64> {
    let baseline = medians.iter().find(|other| other.kind == row.kind && other.label == BASELINE)?;
    Some(row.cpu_us_each? / baseline.cpu_us_each?)
}

#[cfg(test)]
mod tests;
