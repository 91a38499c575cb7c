//! One measurement out of many: the median of each figure over the rounds.

use crate::measurement::Measurement;

/// One row for each label and kind, in the order of their first measurement.
pub fn medians(measurements: &[Measurement]) -> Vec<Measurement> {
    let mut rows: Vec<Measurement> = Vec::new();
    for first in measurements {
        let same = |other: &&Measurement| other.label == first.label && other.kind == first.kind;
        if rows.iter().any(|row| same(&row)) {
            continue;
        }
        rows.push(combined(first, &measurements.iter().filter(same).collect::<Vec<_>>()));
    }
    rows
}

/// Failures are added up, never averaged away.
fn combined(first: &Measurement, rounds: &[&Measurement]) -> Measurement {
    let figure = |of: fn(&Measurement) -> f64| median(rounds.iter().map(|round| of(round)).collect());
    let optional = |of: fn(&Measurement) -> Option<f64>| median(rounds.iter().filter_map(|round| of(round)).collect());
    Measurement {
        label: first.label.clone(),
        kind: first.kind,
        seconds: figure(|round| round.seconds).unwrap_or_default(),
        count: rounds.iter().map(|round| round.count).sum(),
        per_second: figure(|round| round.per_second).unwrap_or_default(),
        p50_ms: figure(|round| round.p50_ms).unwrap_or_default(),
        p99_ms: figure(|round| round.p99_ms).unwrap_or_default(),
        errors: rounds.iter().map(|round| round.errors).sum(),
        crossed: rounds.iter().map(|round| round.crossed).sum(),
        first_error: rounds.iter().find_map(|round| round.first_error.clone()),
        cpu_us_each: optional(|round| round.cpu_us_each),
        cpu_cores: optional(|round| round.cpu_cores),
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { (values[middle - 1] + upper) / 2.0 })
}
