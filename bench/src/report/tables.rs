//! An outcome as Markdown tables, one a scenario.

use std::collections::BTreeSet;

use super::derived::{Curve, Derived, Point};
use crate::measurement::{Found, Measurement, Scenario};
use crate::outcome::{
    HAPROXY, LEGACY_STREAMS, NGINX, ONE_SERVER, Outcome, REST_NAMED, REST_PLAIN, SESSIONS, STREAMS, Steps, SystemCalls,
    TOLLBRIDGE,
};

pub const NOTHING: &str = "n/a";

pub fn markdown(outcome: &Outcome) -> String {
    let derived = Derived::of(outcome);
    let parts = [
        outcome.about.clone(),
        note("Failed", &outcome.failures),
        note("Not measured (n/a)", &outcome.absent.iter().map(|absent| absent.why.clone()).collect::<Vec<_>>()),
        load(&derived, Scenario::Calls, "Calls", "call"),
        rest_line(&derived),
        load(&derived, Scenario::CallsOverSse, "Calls, each answered as an event stream", "call"),
        load(&derived, Scenario::Events, "Events of streams: delay", "event"),
        fixed_rate(&derived),
        load(&derived, Scenario::List, &list_title(outcome), "list"),
        starts(&derived),
        held(&derived),
        curves(&derived),
        steps(&derived),
        system_calls(&outcome.system_calls),
    ];
    let parts: Vec<&str> = parts.iter().map(|part| part.trim_end()).filter(|part| !part.is_empty()).collect();
    parts.join("\n\n") + "\n"
}

/// A heading, a line below it, and the rows; nothing where there are no rows.
fn table(heads: &[String], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let below = format!("|---|{}\n", "--:|".repeat(heads.len().saturating_sub(1)));
    line(heads) + &below + &rows.iter().map(|row| line(row)).collect::<String>()
}

fn heads(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

pub fn number(figure: Option<f64>, decimals: usize) -> String {
    figure.map_or(NOTHING.to_owned(), |figure| format!("{figure:.decimals$}"))
}

fn note(title: &str, what: &[String]) -> String {
    if what.is_empty() { String::new() } else { format!("{title}: {}.", what.join("; ")) }
}

fn load(derived: &Derived, scenario: Scenario, title: &str, unit: &str) -> String {
    let row = |row: &&Measurement| {
        let Found { per_second, p50_ms, p99_ms, errors, crossed, cpu_us_each, cpu_cores, .. } = &row.found;
        vec![
            row.label.clone(),
            format!("{per_second:.0}"),
            format!("{p50_ms:.3}"),
            format!("{p99_ms:.3}"),
            number(*cpu_us_each, 1),
            number(derived.ratio(row), 2),
            number(*cpu_cores, 2),
            errors.to_string(),
            crossed.to_string(),
        ]
    };
    let (rate, cpu) = (format!("{unit}s/s"), format!("CPU µs/{unit}"));
    let heads = heads(&[title, &rate, "p50 ms", "p99 ms", &cpu, "CPU / nginx's", "cores busy", "errors", "crossed"]);
    let mut rows: Vec<Vec<String>> = derived.rows_of(scenario).iter().map(row).collect();
    if scenario == Scenario::Calls && !rows.is_empty() {
        let absent = derived.outcome.absent.iter().filter_map(|absent| absent.label.clone());
        rows.extend(absent.map(|label| [vec![label], vec![NOTHING.to_owned(); heads.len() - 1]].concat()));
    }
    table(&heads, rows)
}

fn rest_line(derived: &Derived) -> String {
    let ratio = |label| derived.calls_ratio(label, ONE_SERVER);
    let (Some(plain), Some(named)) = (ratio(REST_PLAIN), ratio(REST_NAMED)) else { return String::new() };
    format!(
        "CPU of a REST call over that of the native call with the same arguments: plain {plain:.2}, named {named:.2}."
    )
}

fn fixed_rate(derived: &Derived) -> String {
    let rows = derived.rows_of(Scenario::FixedRate);
    let asked = rows.first().map(|row| row.found.per_second);
    let Some((asked, share)) = asked.zip(derived.share_of_most()) else { return String::new() };
    let title = format!("Calls at {asked:.0}/s, {:.0} % of tollbridge's most", 100.0 * share);
    let heads =
        heads(&[&title, "p50 ms", "p99 ms", "p50 added to nginx's", "p99 added", "CPU µs/call", "CPU / nginx's"]);
    let row = |row: &&Measurement| {
        let Found { p50_ms, p99_ms, cpu_us_each, .. } = &row.found;
        let ratio =
            derived.row(Scenario::FixedRate, NGINX).and_then(|nginx| Some((*cpu_us_each)? / nginx.found.cpu_us_each?));
        vec![
            row.label.clone(),
            format!("{p50_ms:.3}"),
            format!("{p99_ms:.3}"),
            number(derived.added_ms(&row.label, |found| Some(found.p50_ms)), 3),
            number(derived.added_ms(&row.label, |found| Some(found.p99_ms)), 3),
            number(*cpu_us_each, 1),
            number(ratio, 2),
        ]
    };
    table(&heads, rows.iter().map(row).collect())
}

fn list_title(outcome: &Outcome) -> String {
    let bytes = outcome.list_bytes.map_or(NOTHING.to_owned(), |bytes| bytes.to_string());
    format!("`tools/list`: 1,000 tools, one page of {bytes} B")
}

fn starts(derived: &Derived) -> String {
    let row = |label: &&str| {
        let (ms, rss, pss) = derived.start(label)?;
        Some(vec![(*label).to_owned(), format!("{ms:.0}"), format!("{rss:.1}"), format!("{pss:.1}")])
    };
    let heads = heads(&["Start, and memory when idle", "ms to the first answer", "RSS MiB", "PSS MiB"]);
    table(&heads, [NGINX, HAPROXY, TOLLBRIDGE].iter().filter_map(row).collect())
}

fn held(derived: &Derived) -> String {
    let mut rows = Vec::new();
    for label in [NGINX, HAPROXY, STREAMS, LEGACY_STREAMS, SESSIONS] {
        for (count, kib) in derived.kib_each(label) {
            let same = derived.outcome.held.iter().find(|held| held.label == label && held.count == count);
            let mib = |kib: Option<u64>| number(kib.map(|kib| kib as f64 / 1024.0), 1);
            let (rss, pss) = (mib(same.map(|held| held.rss_kib)), mib(same.map(|held| held.pss_kib)));
            rows.push(vec![label.to_owned(), count.to_string(), rss, pss, format!("{kib:.1}")]);
        }
    }
    table(&heads(&["Quiet streams, and sessions", "held", "RSS MiB", "PSS MiB", "KiB each"]), rows)
}

fn curves(derived: &Derived) -> String {
    let row = |curve: &Curve| {
        let points = curve.points.iter().map(|Point { size, cpu, nginx, .. }| match nginx {
            Some(nginx) => format!("{size}: {cpu:.1} (nginx {nginx:.1}, ratio {:.2})", cpu / nginx),
            None => format!("{size}: {cpu:.1}"),
        });
        let points: Vec<String> = points.collect();
        let of = if curve.is_beside_nginx() { " of the ratio" } else { "" };
        let deviation = curve.deviation_percent().map_or(NOTHING.to_owned(), |percent| format!("{percent:+.1} %{of}"));
        vec![curve.name().to_owned(), points.join("; "), deviation]
    };
    let heads = heads(&["CPU µs/call, as there are more", "number: µs", "farthest from the first"]);
    table(&heads, derived.curves().iter().map(row).collect())
}

/// Steps as rows, who was sampled as columns: the share of each in what its calls cost in the rounds.
fn steps(derived: &Derived) -> String {
    let sampled = &derived.outcome.steps;
    let names: BTreeSet<&String> = sampled.iter().flat_map(|of| of.shares.keys()).collect();
    let mut names: Vec<&String> = names.into_iter().collect();
    let most = |name: &String| sampled.iter().filter_map(|of| of.shares.get(name)).copied().fold(0.0, f64::max);
    names.sort_by(|one, other| most(other).total_cmp(&most(one)));
    let cost = |label: &str| derived.row(Scenario::Calls, label).and_then(|row| row.found.cpu_us_each);
    let cell = |of: &Steps, share: f64| match cost(&of.label) {
        Some(cpu) => format!("{:.1}", share * cpu),
        None => format!("{:.0} %", share * 100.0),
    };
    let row = |name: &&String| {
        let cells = sampled.iter().map(|of| cell(of, of.shares.get(*name).copied().unwrap_or_default()));
        [vec![(*name).clone()], cells.collect()].concat()
    };
    let heads: Vec<&str> =
        ["CPU µs of a call, by step"].into_iter().chain(sampled.iter().map(|of| of.label.as_str())).collect();
    table(&self::heads(&heads), names.iter().map(row).collect())
}

fn system_calls(found: &[SystemCalls]) -> String {
    let row = |of: &SystemCalls| {
        let mut names: Vec<(&String, &f64)> = of.each.iter().collect();
        names.sort_by(|one, other| other.1.total_cmp(one.1));
        let names: Vec<String> = names.iter().map(|(name, each)| format!("{name} {each:.2}")).collect();
        vec![of.label.clone(), format!("{:.2}", of.each.values().sum::<f64>()), names.join(", ")]
    };
    table(&heads(&["System calls for each call", "together", "by name"]), found.iter().map(row).collect())
}

#[cfg(test)]
mod tests;
