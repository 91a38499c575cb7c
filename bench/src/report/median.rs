//! One measurement out of many: the median of each figure over the rounds.

use crate::measurement::{Found, Measurement};

/// One row for each scenario, label and size, in the order of their first measurement.
pub fn rows(measurements: &[Measurement]) -> Vec<Measurement> {
    let mut rows: Vec<Measurement> = Vec::new();
    for first in measurements {
        if rows.iter().any(|row| row.is_of_row(first)) {
            continue;
        }
        let rounds = measurements.iter().filter(|round| round.is_of_row(first));
        let rounds: Vec<&Found> = rounds.map(|round| &round.found).collect();
        rows.push(Measurement { found: combined(&rounds), ..first.clone() });
    }
    rows
}

/// Failures are added up, never averaged away.
fn combined(rounds: &[&Found]) -> Found {
    let figure = |of: fn(&Found) -> f64| median(rounds.iter().map(|round| of(round))).unwrap_or_default();
    let optional = |of: fn(&Found) -> Option<f64>| median(rounds.iter().filter_map(|round| of(round)));
    Found {
        seconds: figure(|round| round.seconds),
        count: rounds.iter().map(|round| round.count).sum(),
        per_second: figure(|round| round.per_second),
        p50_ms: figure(|round| round.p50_ms),
        p99_ms: figure(|round| round.p99_ms),
        errors: rounds.iter().map(|round| round.errors).sum(),
        crossed: rounds.iter().map(|round| round.crossed).sum(),
        first_error: rounds.iter().find_map(|round| round.first_error.clone()),
        cpu_us_each: optional(|round| round.cpu_us_each),
        cpu_cores: optional(|round| round.cpu_cores),
    }
}

/// `None` of nothing.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { (values[middle - 1] + upper) / 2.0 })
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn medians_of_odd_even_and_no_numbers() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }
}
