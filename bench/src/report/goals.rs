//! What Tollbridge is meant to cost, and whether it does.

use super::derived::Derived;
use crate::measurement::Scenario::{Calls, Events, List};
use crate::outcome::{
    AGGREGATED, LEGACY, LEGACY_STREAMS, LIST, ONE_SERVER, Outcome, REST_NAMED, REST_PLAIN, STREAMS, TOLLBRIDGE,
};

pub struct Goal {
    pub name: String,
    limit: f64,
    unit: &'static str,
    /// `None`: it was not measured.
    found: Option<f64>,
}

/// How much more a stream may take where there are many than where there are some.
const LINEAR: f64 = 1.1;

pub fn all(outcome: &Outcome) -> Vec<Goal> {
    let derived = Derived::of(outcome);
    let goal = |name: &str, limit, unit, found| Goal { name: name.to_owned(), limit, unit, found };
    let mut goals = vec![
        goal("a call to one server", 1.5, "x nginx", derived.ratio_of(Calls, ONE_SERVER)),
        goal("a call to all servers as one", 1.6, "x nginx", derived.ratio_of(Calls, AGGREGATED)),
        goal("a call in a legacy session", 1.7, "x nginx", derived.ratio_of(Calls, LEGACY)),
        goal("a plain REST call", 1.2, "x native", derived.calls_ratio(REST_PLAIN, ONE_SERVER)),
        goal("a named REST call", 1.2, "x native", derived.calls_ratio(REST_NAMED, ONE_SERVER)),
        goal("p99 at half load", 1.0, "ms added to nginx", derived.added_ms(ONE_SERVER, |found| Some(found.p99_ms))),
        goal("an event of a stream", 1.4, "x nginx", derived.ratio_of(Events, ONE_SERVER)),
        goal("a list of 1,000 tools", 2.0, "x nginx with a file", derived.ratio_of(List, LIST)),
        goal("memory when idle", 20.0, "MiB", derived.start(TOLLBRIDGE).map(|(_, rss, _)| rss)),
    ];
    for (label, what) in [(STREAMS, "a stream"), (LEGACY_STREAMS, "a stream of a legacy session")] {
        let each = derived.kib_each(label);
        for (count, kib) in &each {
            goals.push(goal(&format!("{what}, of {count}"), 32.0, "KiB", Some(*kib)));
        }
        let (first, last) = (each.first().map(|(_, kib)| *kib), each.last().map(|(_, kib)| *kib));
        let growth = last.zip(first).filter(|_| each.len() > 1).map(|(last, first)| last / first);
        goals.push(goal(&format!("{what}, of many over of few"), LINEAR, "x", growth));
    }
    for curve in derived.curves() {
        let over = if curve.is_beside_nginx() { "% of the ratio to nginx" } else { "%" };
        let name = format!("a call, as {} grow", curve.name());
        goals.push(goal(&name, 10.0, over, curve.deviation_percent().map(f64::abs)));
    }
    goals
}

impl Goal {
    pub fn is_missed(&self) -> bool {
        self.found.is_some_and(|found| found > self.limit)
    }

    fn verdict(&self) -> &'static str {
        match self.found {
            None => "not measured",
            Some(_) if self.is_missed() => "**missed**",
            Some(_) => "met",
        }
    }
}

pub fn table(goals: &[Goal]) -> String {
    let mut text = "| Goal | at most | found | |\n|---|--:|--:|---|\n".to_owned();
    for goal in goals {
        let Goal { name, limit, unit, found } = goal;
        let found = found.map_or("n/a".to_owned(), |found| format!("{found:.2}"));
        text.push_str(&format!("| {name} | {limit} {unit} | {found} | {} |\n", goal.verdict()));
    }
    text
}
