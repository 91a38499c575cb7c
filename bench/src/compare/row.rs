//! One thing that is measured in each round, and its measuring.

use std::time::Duration;

use anyhow::{Result, bail};

use super::Scene;
use super::contender::Door;
use crate::load::request::{Progress, Template};
use crate::load::{self, Pace};
use crate::measurement::{Measurement, Scenario};
use crate::outcome::Outcome;
use crate::process::Processes;

/// Calls that open a connection, and those behind it, and are not like the ones that follow.
const FIRST_CALLS: f64 = 2.0;

#[derive(Clone)]
pub struct Row {
    pub scenario: Scenario,
    pub label: String,
    pub against: Option<&'static str>,
    pub size: u64,
    pub pace: Pace,
    pub connections: u32,
    pub template: Template,
    pub processes: Processes,
}

impl Row {
    pub fn new(scenario: Scenario, label: &str, door: &Door, template: Template, connections: u32) -> Self {
        let processes = door.processes.clone();
        let label = label.to_owned();
        Self { scenario, label, against: None, size: 0, pace: Pace::Closed, connections, template, processes }
    }

    pub fn against(self, label: &'static str) -> Self {
        Self { against: Some(label), ..self }
    }

    pub fn at(self, size: u64) -> Self {
        Self { size, ..self }
    }

    /// The same calls at a rate of their own.
    pub fn per_second(self, rate: f64) -> Self {
        Self { pace: Pace::PerSecond(rate), ..self }
    }

    /// Long enough that no call which counts is among the first on its connection.
    fn warm_up(&self, at_least: Duration) -> Duration {
        let Pace::PerSecond(rate) = self.pace else { return at_least };
        at_least.max(Duration::from_secs_f64(FIRST_CALLS * f64::from(self.connections) / rate))
    }

    pub fn is_of_a_proxy(&self, scenario: Scenario) -> bool {
        self.scenario == scenario && !self.processes.pids().is_empty()
    }

    /// The load that it is; the CPU time of `processes` is taken.
    pub fn load(&self, warm_up: Duration, measured: Duration, processes: Processes) -> load::Plan {
        let Self { pace, connections, .. } = *self;
        load::Plan { pace, template: self.template.clone(), connections, warm_up, measured, processes }
    }

    /// Streams of progress in place of calls.
    pub fn streaming(mut self) -> Self {
        self.pace = Pace::Streams;
        self.template.progress = Progress::Told;
        self
    }
}

impl Scene<'_> {
    /// Measures all rows once, in every other round backwards: nobody always comes first.
    pub async fn round(&self, rows: &[Row], round: u32, outcome: &mut Outcome) -> Result<()> {
        let (mut forwards, mut backwards) = (rows.iter(), rows.iter().rev());
        let order: &mut dyn Iterator<Item = &Row> = if round % 2 == 1 { &mut forwards } else { &mut backwards };
        for row in order {
            self.measure(row, round, outcome).await?;
        }
        Ok(())
    }

    /// Measures `row` once, and adds what was found to the outcome.
    async fn measure(&self, row: &Row, round: u32, outcome: &mut Outcome) -> Result<()> {
        let measured = match row.scenario {
            Scenario::Events => self.plan.streamed,
            _ => self.plan.measured,
        };
        self.place.empty_access_logs();
        let warm_up = row.warm_up(self.plan.warm_up);
        let found = load::carry_out(&row.load(warm_up, measured, row.processes.clone())).await?;
        let Row { scenario, label, against, size, .. } = row;
        let place = if *size > 0 { format!(" at {size}") } else { String::new() };
        eprintln!("round {round}, {scenario:?}, {label}{place}: {found}");
        if found.count == 0 {
            bail!("{label}{place}: nothing was answered: {}", found.first_error.unwrap_or_default());
        }
        outcome.measurements.push(Measurement {
            scenario: *scenario,
            label: label.clone(),
            against: against.map(str::to_owned),
            size: *size,
            round,
            found,
        });
        Ok(())
    }
}
