use super::markdown;
use crate::measurement::{Axis, Found, Measurement, Scenario};
use crate::outcome::{AGGREGATED, Held, NGINX, ONE_SERVER, Outcome, REST_NAMED, REST_PLAIN, STREAMS, TOLLBRIDGE};
use crate::report::derived::Derived;
use crate::report::gate::{Gates, ensure_sound};
use crate::report::{goals, plot};

fn measured(scenario: Scenario, label: &str, size: u64, round: u32, cpu_us: f64) -> Measurement {
    let found = Found {
        seconds: 1.0,
        count: 10,
        per_second: 10.0,
        p50_ms: 1.0,
        p99_ms: cpu_us / 10.0,
        cpu_us_each: Some(cpu_us),
        cpu_cores: Some(1.0),
        ..Found::default()
    };
    Measurement { scenario, label: label.to_owned(), against: Some(NGINX.to_owned()), size, round, found }
}

fn three_rounds() -> Outcome {
    let mut outcome = Outcome { about: "About.".to_owned(), ..Outcome::default() };
    for (round, nginx, ours) in [(1, 20.0, 50.0), (2, 30.0, 40.0), (3, 10.0, 90.0)] {
        for scenario in [Scenario::Calls, Scenario::FixedRate] {
            outcome.measurements.push(measured(scenario, NGINX, 0, round, nginx));
            outcome.measurements.push(measured(scenario, ONE_SERVER, 0, round, ours));
        }
        for (label, cpu) in [(AGGREGATED, 55.0), (REST_PLAIN, 60.0), (REST_NAMED, 50.0)] {
            outcome.measurements.push(measured(Scenario::Calls, label, 0, round, cpu));
        }
    }
    outcome
}

#[test]
fn a_row_has_the_medians_and_the_ratio() {
    let text = markdown(&three_rounds());
    assert!(text.starts_with("About.\n\n| Calls |"), "{text}");
    assert!(text.contains("| tollbridge, one server | 10 | 1.000 | 5.000 | 50.0 | 2.50 | 1.00 | 0 | 0 |"), "{text}");
    assert!(text.contains("plain 1.20, named 1.00."), "{text}");
}

#[test]
fn who_was_not_there_has_a_row_without_figures() {
    let mut outcome = three_rounds();
    outcome.miss(Some("other"), "other answers nothing");
    outcome.miss(Some("other"), "other answers nothing");
    let text = markdown(&outcome);
    assert!(text.contains("Not measured (n/a): other answers nothing.\n"), "{text}");
    assert!(text.contains("| other | n/a | n/a | n/a | n/a | n/a | n/a | n/a | n/a |\n"), "{text}");
}

#[test]
fn what_was_written_is_read_again() {
    let path = std::env::temp_dir().join(format!("bench-outcome-{}", std::process::id()));
    let (written, wanted) = (three_rounds(), markdown(&three_rounds()));
    written.write(&path).expect("it can be written");
    let read = Outcome::read(&path).expect("it can be read");
    std::fs::remove_file(&path).ok();
    assert_eq!(markdown(&read), wanted);
}

#[test]
fn a_slow_minute_of_the_machine_is_no_ratio() {
    let mut outcome = Outcome::default();
    // The machine got slower between the two of the second round, and stayed so.
    for (round, nginx, ours) in [(1, 20.0, 30.0), (2, 20.0, 60.0), (3, 40.0, 60.0)] {
        outcome.measurements.push(measured(Scenario::Calls, NGINX, 0, round, nginx));
        outcome.measurements.push(measured(Scenario::Calls, ONE_SERVER, 0, round, ours));
    }
    let found = Derived::of(&outcome).ratio_of(Scenario::Calls, ONE_SERVER);
    assert_eq!(found, Some(1.5), "the ratio of the medians would be 3");
}

#[test]
fn what_is_added_is_the_median_of_the_rounds_differences() {
    let outcome = three_rounds();
    // 3, 1 and 8 ms in the rounds; the difference of the medians would be 3 as well, but of other rounds.
    let added = Derived::of(&outcome).added_ms(ONE_SERVER, |found| Some(found.p99_ms));
    assert_eq!(added, Some(3.0));
}

#[test]
fn gates_close_above_their_limits() {
    let outcome = three_rounds();
    let passed = |call, rest| Gates { call, rest }.ensure_passed(&outcome).is_ok();
    assert!(passed(Some(2.5), Some(1.2)), "what is at the limit passes");
    assert!(!passed(Some(2.4), None) && !passed(None, Some(1.1)));
    let nothing = Gates { call: Some(2.5), rest: None }.ensure_passed(&Outcome::default());
    assert!(nothing.is_err(), "a gate without a candidate must not pass");
}

#[test]
fn one_crossed_answer_spoils_the_report() {
    let mut outcome = three_rounds();
    assert!(ensure_sound(&outcome).is_ok());
    outcome.measurements[3].found.crossed = 1;
    assert!(ensure_sound(&outcome).is_err());
    outcome = three_rounds();
    outcome.fail("a stream broke off".to_owned());
    assert!(ensure_sound(&outcome).is_err());
    assert!(markdown(&outcome).contains("Failed: a stream broke off."));
}

#[test]
fn streams_are_charged_for_what_came_on_top_of_the_idle_process() {
    let mut outcome = Outcome::default();
    for (count, rss_kib) in [(0, 10_000), (1_000, 40_000), (9_000, 370_000)] {
        outcome.held.push(Held { label: STREAMS.to_owned(), count, rss_kib, pss_kib: rss_kib });
    }
    assert_eq!(Derived::of(&outcome).kib_each(STREAMS), [(1_000, 30.0), (9_000, 40.0)]);
    let missed: Vec<String> =
        goals::all(&outcome).into_iter().filter(goals::Goal::is_missed).map(|goal| goal.name).collect();
    assert_eq!(missed, ["a stream, of 9000", "a stream, of many over of few"], "what is not measured is not missed");
}

#[test]
fn a_curve_is_as_flat_as_its_farthest_point() {
    let mut outcome = Outcome::default();
    let keys = Scenario::Curve(Axis::Keys);
    let under_way = Scenario::Curve(Axis::UnderWay);
    for (size, cpu) in [(1, 40.0), (100, 38.0), (1_000, 50.0)] {
        outcome.measurements.push(measured(keys, TOLLBRIDGE, size, 1, cpu));
        outcome.measurements.push(measured(under_way, TOLLBRIDGE, size, 1, 2.0 * cpu));
        outcome.measurements.push(measured(under_way, NGINX, size, 1, cpu));
    }
    let curves = Derived::of(&outcome).curves();
    let deviations: Vec<_> = curves.iter().map(|curve| (curve.name(), curve.deviation_percent())).collect();
    assert_eq!(
        deviations,
        [("keys", Some(25.0)), ("calls under way", Some(0.0))],
        "with nginx beside, the ratio counts"
    );
    assert!(plot::svg(&outcome).matches("<polyline").count() == 3, "nginx has a line of its own");
}
