//! What is computed from the rows: ratios, what is added to nginx's delay, memory for each stream,
//! how flat a curve is.

use std::collections::BTreeMap;

use super::median::{median, rows};
use crate::measurement::{Axis, Found, Measurement, Scenario};
use crate::outcome::{NGINX, ONE_SERVER, Outcome, TOLLBRIDGE};

/// The medians of an outcome, to be asked for what follows from them.
pub struct Derived<'o> {
    pub outcome: &'o Outcome,
    pub rows: Vec<Measurement>,
}

/// The curve of one axis.
pub struct Curve {
    pub axis: Axis,
    pub points: Vec<Point>,
}

pub struct Point {
    pub size: u64,
    /// Microseconds of a call.
    pub cpu: f64,
    /// The same of nginx, where it was measured, too.
    pub nginx: Option<f64>,
    /// In multiples of the first point; where nginx was measured, it is the ratio to nginx that is compared.
    pub over_first: f64,
}

/// A figure by round. What is compared is compared within each round, and then the median is taken: a slow
/// minute of the machine has hit both sides.
type Rounds = BTreeMap<u32, f64>;

impl<'o> Derived<'o> {
    pub fn of(outcome: &'o Outcome) -> Self {
        Self { outcome, rows: rows(&outcome.measurements) }
    }

    pub fn rows_of(&self, scenario: Scenario) -> Vec<&Measurement> {
        self.rows.iter().filter(|row| row.scenario == scenario).collect()
    }

    pub fn row(&self, scenario: Scenario, label: &str) -> Option<&Measurement> {
        self.rows.iter().find(|row| row.scenario == scenario && row.label == label)
    }

    /// The CPU time of `row` in multiples of that of the row that it is compared with.
    pub fn ratio(&self, row: &Measurement) -> Option<f64> {
        self.baseline(row)?;
        median(self.costs(row).into_values())
    }

    pub fn ratio_of(&self, scenario: Scenario, label: &str) -> Option<f64> {
        self.ratio(self.row(scenario, label)?)
    }

    /// The CPU time of one call in multiples of another's.
    pub fn calls_ratio(&self, label: &str, over: &str) -> Option<f64> {
        self.paired(Scenario::Calls, (label, over), |found| found.cpu_us_each, |one, other| one / other)
    }

    /// What `label` adds to nginx's delay at the same rate.
    pub fn added_ms(&self, label: &str, of: fn(&Found) -> Option<f64>) -> Option<f64> {
        self.paired(Scenario::FixedRate, (label, NGINX), of, |one, other| one - other)
    }

    /// How much of what Tollbridge reached was asked of all at the same rate.
    pub fn share_of_most(&self) -> Option<f64> {
        let rate = |scenario| Some(self.rounds(self.row(scenario, ONE_SERVER)?, |found| Some(found.per_second)));
        let (asked, reached) = (rate(Scenario::FixedRate)?, rate(Scenario::Calls)?);
        median(pairs(&asked, &reached, |one, other| one / other).into_values())
    }

    fn paired(
        &self,
        scenario: Scenario,
        (one, other): (&str, &str),
        of: fn(&Found) -> Option<f64>,
        relation: fn(f64, f64) -> f64,
    ) -> Option<f64> {
        let rounds = |label| Some(self.rounds(self.row(scenario, label)?, of));
        median(pairs(&rounds(one)?, &rounds(other)?, relation).into_values())
    }

    /// The row that `row` is compared with.
    fn baseline(&self, row: &Measurement) -> Option<&Measurement> {
        let against = row.against.as_deref()?;
        let same = |other: &&Measurement| other.scenario == row.scenario && other.size == row.size;
        self.rows.iter().filter(same).find(|other| other.label == against)
    }

    /// CPU time by round, in multiples of that of the row that it is compared with, where there is one.
    fn costs(&self, row: &Measurement) -> Rounds {
        let cost = |row| self.rounds(row, |found| found.cpu_us_each);
        match self.baseline(row) {
            Some(baseline) => pairs(&cost(row), &cost(baseline), |one, other| one / other),
            None => cost(row),
        }
    }

    fn rounds(&self, row: &Measurement, of: fn(&Found) -> Option<f64>) -> Rounds {
        let rounds = self.outcome.measurements.iter().filter(|round| round.is_of_row(row));
        rounds.filter_map(|round| Some((round.round, of(&round.found)?))).collect()
    }

    /// KiB for each stream or session, by their number.
    pub fn kib_each(&self, label: &str) -> Vec<(u64, f64)> {
        let held: Vec<_> = self.outcome.held.iter().filter(|held| held.label == label).collect();
        let Some(before) = held.iter().find(|held| held.count == 0) else { return Vec::new() };
        let with_some = held.iter().filter(|held| held.count > 0);
        with_some.map(|held| (held.count, (held.rss_kib as f64 - before.rss_kib as f64) / held.count as f64)).collect()
    }

    /// Start in milliseconds, RSS and PSS in MiB.
    pub fn start(&self, label: &str) -> Option<(f64, f64, f64)> {
        let starts = || self.outcome.starts.iter().filter(|start| start.label == label);
        Some((
            median(starts().map(|start| start.ms))?,
            median(starts().map(|start| start.rss_kib as f64 / 1024.0))?,
            median(starts().map(|start| start.pss_kib as f64 / 1024.0))?,
        ))
    }

    pub fn curves(&self) -> Vec<Curve> {
        let axes = [Axis::Servers, Axis::Tools, Axis::Keys, Axis::Connections, Axis::UnderWay];
        axes.into_iter().map(|axis| self.curve(axis)).filter(|curve| !curve.points.is_empty()).collect()
    }

    fn curve(&self, axis: Axis) -> Curve {
        let mut rows = self.rows_of(Scenario::Curve(axis));
        rows.retain(|row| row.label == TOLLBRIDGE);
        rows.sort_by_key(|row| row.size);
        let first = rows.first().map(|row| self.costs(row)).unwrap_or_default();
        let point = |row: &&Measurement| {
            Some(Point {
                size: row.size,
                cpu: row.found.cpu_us_each?,
                nginx: self.baseline(row).and_then(|nginx| nginx.found.cpu_us_each),
                over_first: median(pairs(&self.costs(row), &first, |one, other| one / other).into_values())?,
            })
        };
        Curve { axis, points: rows.iter().filter_map(point).collect() }
    }
}

/// What belongs together in the same round.
fn pairs(ones: &Rounds, others: &Rounds, relation: fn(f64, f64) -> f64) -> Rounds {
    let pairs = ones.iter().filter_map(|(round, one)| Some((*round, relation(*one, *others.get(round)?))));
    pairs.collect()
}

impl Curve {
    /// By how many per cent the point farthest from the first one differs from it.
    pub fn deviation_percent(&self) -> Option<f64> {
        let deviations = self.points.iter().map(|point| (point.over_first - 1.0) * 100.0);
        deviations.max_by(|one, other| one.abs().total_cmp(&other.abs()))
    }

    pub fn is_beside_nginx(&self) -> bool {
        self.points.iter().any(|point| point.nginx.is_some())
    }

    pub fn name(&self) -> &'static str {
        match self.axis {
            Axis::Connections => "connections",
            Axis::Keys => "keys",
            Axis::Servers => "servers",
            Axis::Tools => "tools",
            Axis::UnderWay => "calls under way",
        }
    }
}
