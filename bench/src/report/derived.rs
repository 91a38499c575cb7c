//! What is computed from the rows: ratios, what is added to nginx's delay, memory for each stream,
//! how flat a curve is.

use std::collections::BTreeSet;

use super::median::{median, rows};
use crate::measurement::{Axis, Measurement, Scenario};
use crate::outcome::{NGINX, Outcome, TOLLBRIDGE};

/// The medians of an outcome, to be asked for what follows from them.
pub struct Derived<'o> {
    pub outcome: &'o Outcome,
    pub rows: Vec<Measurement>,
}

/// The curve of one axis.
pub struct Curve {
    pub axis: Axis,
    /// Size, CPU time of a call in microseconds, and that of nginx where it was measured, too.
    pub points: Vec<(u64, f64, Option<f64>)>,
}

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
        let against = row.against.as_deref()?;
        let same = |other: &&Measurement| other.scenario == row.scenario && other.size == row.size;
        let baseline = self.rows.iter().filter(same).find(|other| other.label == against)?;
        Some(row.found.cpu_us_each? / baseline.found.cpu_us_each?)
    }

    pub fn ratio_of(&self, scenario: Scenario, label: &str) -> Option<f64> {
        self.ratio(self.row(scenario, label)?)
    }

    /// The CPU time of one call in multiples of another's.
    pub fn calls_ratio(&self, label: &str, over: &str) -> Option<f64> {
        let cpu = |label| self.row(Scenario::Calls, label)?.found.cpu_us_each;
        Some(cpu(label)? / cpu(over)?)
    }

    /// What `label` adds to nginx's delay at the same rate: the median of the rounds' differences.
    pub fn added_ms(&self, label: &str, of: fn(&Measurement) -> f64) -> Option<f64> {
        let measured = |label: &str| -> Vec<(u32, f64)> {
            let rounds = self.outcome.of(Scenario::FixedRate).filter(|round| round.label == label);
            rounds.map(|round| (round.round, of(round))).collect()
        };
        let nginx = measured(NGINX);
        let differences = measured(label).into_iter().filter_map(|(round, ms)| {
            let (_, baseline) = nginx.iter().find(|(other, _)| *other == round)?;
            Some(ms - baseline)
        });
        median(differences)
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
        let axes = [Axis::Servers, Axis::Tools, Axis::Keys, Axis::Connections];
        axes.into_iter().map(|axis| self.curve(axis)).filter(|curve| !curve.points.is_empty()).collect()
    }

    fn curve(&self, axis: Axis) -> Curve {
        let rows = self.rows_of(Scenario::Curve(axis));
        let sizes: BTreeSet<u64> = rows.iter().map(|row| row.size).collect();
        let cpu = |size, label| {
            let row = rows.iter().find(|row| row.size == size && row.label == label)?;
            row.found.cpu_us_each
        };
        let points = sizes.into_iter().filter_map(|size| Some((size, cpu(size, TOLLBRIDGE)?, cpu(size, NGINX))));
        Curve { axis, points: points.collect() }
    }
}

impl Curve {
    /// By how many per cent the point farthest from the first one differs from it. Where nginx was
    /// measured, too, it is the ratio to nginx that is looked at.
    pub fn deviation_percent(&self) -> Option<f64> {
        let value = |(_, cpu, nginx): &(u64, f64, Option<f64>)| nginx.map_or(*cpu, |nginx| cpu / nginx);
        let first = value(self.points.first()?);
        let deviations = self.points.iter().map(|point| (value(point) / first - 1.0) * 100.0);
        deviations.max_by(|one, other| one.abs().total_cmp(&other.abs()))
    }

    pub fn name(&self) -> &'static str {
        match self.axis {
            Axis::Connections => "connections",
            Axis::Keys => "keys",
            Axis::Servers => "servers",
            Axis::Tools => "tools",
        }
    }
}
