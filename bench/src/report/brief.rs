//! The few figures that stand in the README of the repository.

use super::derived::Derived;
use super::tables::number;
use crate::measurement::Scenario;
use crate::outcome::{
    AGGREGATED, HAPROXY, LEGACY, LEGACY_STREAMS, LIST, NGINX, ONE_SERVER, Outcome, REST_NAMED, STREAMS, TOLLBRIDGE,
};

pub fn table(outcome: &Outcome) -> String {
    let derived = Derived::of(outcome);
    let mut text = format!("{}\n\n| CPU time in one run, nginx = 1 | |\n|---|--:|\n", outcome.about);
    let mut line = |name: &str, found: Option<f64>, unit: &str, decimals: usize| {
        if found.is_some() {
            text.push_str(&format!("| {name} | {}{unit} |\n", number(found, decimals)));
        }
    };
    line("HAProxy", derived.ratio_of(Scenario::Calls, HAPROXY), "", 2);
    line("a call to one server", derived.ratio_of(Scenario::Calls, ONE_SERVER), "", 2);
    line("a call to all servers as one", derived.ratio_of(Scenario::Calls, AGGREGATED), "", 2);
    line("a call in a legacy session", derived.ratio_of(Scenario::Calls, LEGACY), "", 2);
    line("a REST call by name", derived.ratio_of(Scenario::Calls, REST_NAMED), "", 2);
    line("an event of a stream", derived.ratio_of(Scenario::Events, ONE_SERVER), "", 2);
    line("a list of 1,000 tools, over a file of that size", derived.ratio_of(Scenario::List, LIST), "", 2);
    let added = derived.added_ms(ONE_SERVER, |found| Some(found.p99_ms));
    line("p99 of a call at half load, more than nginx's", added, " ms", 2);
    for (label, name) in [(STREAMS, "a quiet stream"), (LEGACY_STREAMS, "a quiet stream with its legacy session")] {
        if let (Some((count, kib)), nginx) = (derived.kib_each(label).last().copied(), derived.kib_each(NGINX)) {
            let beside = nginx.last().map(|(_, kib)| format!(" (nginx {kib:.1})")).unwrap_or_default();
            line(&format!("{name}, of {count}"), Some(kib), &format!(" KiB{beside}"), 1);
        }
    }
    let nginx = derived.start(NGINX).map(|(_, rss, _)| format!(" (nginx {rss:.1})")).unwrap_or_default();
    line("idle, with 100 keys", derived.start(TOLLBRIDGE).map(|(_, rss, _)| rss), &format!(" MiB{nginx}"), 1);
    text
}
