//! An outcome as one SVG: what a call costs by contender, and how that and memory grow.

mod panel;

use std::fmt::Write;

use super::derived::{Curve, Derived};
use crate::measurement::Scenario;
use crate::outcome::{DIRECT, HAPROXY, LEGACY_STREAMS, NGINX, NGINX_LEGACY, Outcome, SESSIONS, STREAMS, TOLLBRIDGE};
use panel::{Panel, Series};

const WIDTH: f64 = 860.0;
const BAR: f64 = 26.0;
const BARS_TOP: f64 = 40.0;
/// What stands left of the bars.
const LABELS: f64 = 250.0;
const OURS: &str = "#1f6feb";
const OURS_TOO: &str = "#8250df";
const OTHERS: &str = "#8b949e";
const OTHERS_TOO: &str = "#bc8c2b";

pub fn svg(outcome: &Outcome) -> String {
    let derived = Derived::of(outcome);
    let bars = bars(&derived);
    let mut panels: Vec<Panel> = derived.curves().iter().map(curve_panel).collect();
    let streams = [(NGINX, OTHERS), (HAPROXY, OTHERS_TOO), (STREAMS, OURS), (LEGACY_STREAMS, OURS_TOO)];
    panels.extend(memory_panel("KiB of a quiet stream, as they grow", &streams, |label| derived.kib_each(label)));
    let rss = |label: &str| -> Vec<(u64, f64)> {
        let held = outcome.held.iter().filter(|held| held.label == label);
        held.map(|held| (held.count, held.rss_kib as f64 / 1024.0)).collect()
    };
    panels.extend(memory_panel("MiB of the process, as idle sessions grow", &[(SESSIONS, OURS)], rss));

    let mut body = String::new();
    let bars_height = if bars.is_empty() { 0.0 } else { draw_bars(&mut body, &bars) };
    let panels_height = panel::draw_all(&mut body, &panels, bars_height);
    let height = bars_height + panels_height + 10.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    )
}

/// Label and CPU time in multiples of nginx's.
fn bars(derived: &Derived) -> Vec<(String, f64)> {
    let rows = derived.rows_of(Scenario::Calls);
    let rows = rows.iter().filter(|row| row.label != DIRECT && row.label != NGINX_LEGACY);
    rows.filter_map(|row| Some((row.label.clone(), derived.ratio(row)?))).collect()
}

/// Returns how high they are together.
fn draw_bars(body: &mut String, bars: &[(String, f64)]) -> f64 {
    text(body, (10.0, 24.0), "start", "bold", "CPU time of a call; nginx = 1");
    let longest = bars.iter().map(|(_, ratio)| *ratio).fold(1.0, f64::max);
    for (place, (label, ratio)) in bars.iter().enumerate() {
        let top = BARS_TOP + place as f64 * BAR;
        let width = ratio / longest * (WIDTH - LABELS - 70.0);
        let colour = if label.starts_with(TOLLBRIDGE) { OURS } else { OTHERS };
        let (left, high) = (LABELS, BAR - 8.0);
        text(body, (left - 8.0, top + 14.0), "end", "normal", label);
        element(
            body,
            &format!("<rect x=\"{left}\" y=\"{top}\" width=\"{width:.1}\" height=\"{high}\" fill=\"{colour}\"/>"),
        );
        text(body, (left + width + 6.0, top + 14.0), "start", "normal", &format!("{ratio:.2}"));
    }
    BARS_TOP + bars.len() as f64 * BAR + 20.0
}

fn curve_panel(curve: &Curve) -> Panel {
    let mut ours = Series::new(TOLLBRIDGE, OURS);
    let mut nginx = Series::new(NGINX, OTHERS);
    for point in &curve.points {
        ours.points.push((point.size, point.cpu));
        nginx.points.extend(point.nginx.map(|cpu| (point.size, cpu)));
    }
    let series = [nginx, ours].into_iter().filter(|series| !series.points.is_empty()).collect();
    Panel { title: format!("CPU µs of a call, as {} grow", curve.name()), series }
}

fn memory_panel(
    title: &str,
    labels: &[(&str, &'static str)],
    points: impl Fn(&str) -> Vec<(u64, f64)>,
) -> Option<Panel> {
    let series = labels.iter().map(|(label, colour)| {
        let mut series = Series::new(label, colour);
        series.points = points(label);
        series
    });
    let series: Vec<Series> = series.filter(|series| !series.points.is_empty()).collect();
    (!series.is_empty()).then(|| Panel { title: title.to_owned(), series })
}

fn text(body: &mut String, (x, y): (f64, f64), anchor: &str, weight: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let place = format!("x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"");
    element(body, &format!("<text {place} font-weight=\"{weight}\" fill=\"#1f2328\">{words}</text>"));
}

fn element(body: &mut String, element: &str) {
    // A string takes everything.
    writeln!(body, "{element}").ok();
}
