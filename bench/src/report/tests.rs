use super::{ensure_sound, ensure_within, medians, table};
use crate::measurement::{Kind, Measurement};

fn calls(label: &str, cpu_us: f64) -> Measurement {
    Measurement {
        label: label.to_owned(),
        kind: Kind::Calls,
        seconds: 1.0,
        count: 10,
        per_second: 10.0,
        p50_ms: 1.0,
        p99_ms: 2.0,
        errors: 0,
        crossed: 0,
        first_error: None,
        cpu_us_each: Some(cpu_us),
        cpu_cores: Some(1.0),
    }
}

fn three_rounds() -> Vec<Measurement> {
    let round = |nginx, ours| [calls("nginx", nginx), calls("tollbridge /mcp", ours)];
    [round(20.0, 50.0), round(30.0, 40.0), round(10.0, 90.0)].concat()
}

#[test]
fn rows_are_medians_in_order_of_appearance() {
    let rows = medians(&three_rounds());
    let figures: Vec<_> = rows.iter().map(|row| (row.label.as_str(), row.cpu_us_each)).collect();
    assert_eq!(figures, [("nginx", Some(20.0)), ("tollbridge /mcp", Some(50.0))]);
}

#[test]
fn the_gate_closes_above_its_limit() {
    let rows = medians(&three_rounds());
    assert!(ensure_within(&rows, 2.5).is_ok(), "2.5 times is within 2.5");
    assert!(ensure_within(&rows, 2.4).is_err(), "2.5 times is not within 2.4");
    assert!(ensure_within(&rows[..1], 2.5).is_err(), "a gate without a candidate must not pass");
}

#[test]
fn one_crossed_answer_spoils_the_report() {
    let mut rounds = three_rounds();
    assert!(ensure_sound(&rounds).is_ok());
    rounds[3].crossed = 1;
    assert!(ensure_sound(&rounds).is_err());
    assert_eq!(medians(&rounds)[1].crossed, 1, "failures are summed, not averaged");
}

#[test]
fn the_table_shows_the_ratio() {
    let text = table::markdown("About.", &medians(&three_rounds()));
    assert!(text.starts_with("About.\n\n| Calls |"), "{text}");
    assert!(text.contains("| tollbridge /mcp | 10 | 1.000 | 2.000 | 50.0 | 2.50 | 1.00 | 0 | 0 |"), "{text}");
}
