//! The medians as two Markdown tables, one of calls and one of events.

use super::{BASELINE, cpu_ratio};
use crate::measurement::{Kind, Measurement};

pub fn markdown(about: &str, medians: &[Measurement]) -> String {
    let calls = table(medians, Kind::Calls, "requests/s", "CPU µs/call");
    let events = table(medians, Kind::Events, "events/s", "CPU µs/event");
    let parts = [about.to_owned(), calls, events];
    let parts: Vec<&str> = parts.iter().map(|part| part.trim_end()).filter(|part| !part.is_empty()).collect();
    parts.join("\n\n") + "\n"
}

fn table(medians: &[Measurement], kind: Kind, rate: &str, cpu: &str) -> String {
    let rows: Vec<String> = medians.iter().filter(|row| row.kind == kind).map(|row| self::row(row, medians)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let title = match kind {
        Kind::Calls => "Calls",
        Kind::Events => "Events of streams: delay",
    };
    format!(
        "| {title} | {rate} | p50 ms | p99 ms | {cpu} | CPU / {BASELINE}'s | cores busy | errors | crossed |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|\n{}",
        rows.concat()
    )
}

fn row(row: &Measurement, medians: &[Measurement]) -> String {
    let Measurement { label, per_second, p50_ms, p99_ms, errors, crossed, .. } = row;
    let cpu = optional(row.cpu_us_each, 1);
    let ratio = optional(cpu_ratio(row, medians), 2);
    let cores = optional(row.cpu_cores, 2);
    format!(
        "| {label} | {per_second:.0} | {p50_ms:.3} | {p99_ms:.3} | {cpu} | {ratio} | {cores} | {errors} | {crossed} |\n"
    )
}

fn optional(figure: Option<f64>, decimals: usize) -> String {
    figure.map_or("–".to_owned(), |figure| format!("{figure:.decimals$}"))
}
