//! An outcome as one SVG: what a call costs by contender, and how that grows.

use std::fmt::Write;

use super::derived::{Curve, Derived};
use crate::measurement::Scenario;
use crate::outcome::{DIRECT, NGINX_LEGACY, Outcome};

const WIDTH: f64 = 860.0;
const BAR: f64 = 26.0;
const LABELS: f64 = 250.0;
const CURVE_WIDTH: f64 = 410.0;
const CURVE_HEIGHT: f64 = 190.0;
const OURS: &str = "#1f6feb";
const OTHERS: &str = "#8b949e";

pub fn svg(outcome: &Outcome) -> String {
    let derived = Derived::of(outcome);
    let bars = bars(&derived);
    let curves = derived.curves();
    let curves_top = 50.0 + bars.len() as f64 * BAR + 30.0;
    let height = curves_top + (curves.len() as f64 / 2.0).ceil() * (CURVE_HEIGHT + 30.0) + 10.0;
    let mut body = String::new();
    draw_bars(&mut body, &bars);
    for (place, curve) in curves.iter().enumerate() {
        let left = 10.0 + (place % 2) as f64 * (CURVE_WIDTH + 20.0);
        let top = curves_top + (place / 2) as f64 * (CURVE_HEIGHT + 30.0);
        draw_curve(&mut body, curve, left, top);
    }
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

fn draw_bars(body: &mut String, bars: &[(String, f64)]) {
    text(body, 10.0, 24.0, "start", "bold", "CPU time of a call; nginx = 1");
    let longest = bars.iter().map(|(_, ratio)| *ratio).fold(1.0, f64::max);
    for (place, (label, ratio)) in bars.iter().enumerate() {
        let top = 40.0 + place as f64 * BAR;
        let width = ratio / longest * (WIDTH - LABELS - 70.0);
        let colour = if label.starts_with("tollbridge") { OURS } else { OTHERS };
        text(body, LABELS - 8.0, top + 15.0, "end", "normal", label);
        let (left, high) = (LABELS, BAR - 8.0);
        line(
            body,
            &format!("<rect x=\"{left}\" y=\"{top}\" width=\"{width:.1}\" height=\"{high}\" fill=\"{colour}\"/>"),
        );
        text(body, LABELS + width + 6.0, top + 15.0, "start", "normal", &format!("{ratio:.2}"));
    }
}

fn draw_curve(body: &mut String, curve: &Curve, left: f64, top: f64) {
    text(body, left, top + 12.0, "start", "bold", &format!("CPU µs of a call, as {} grow", curve.name()));
    let (floor, ceiling) = (top + CURVE_HEIGHT - 20.0, top + 30.0);
    let (from, to) = (left + 30.0, left + CURVE_WIDTH - 40.0);
    line(body, &format!("<path d=\"M{from} {ceiling}V{floor}H{to}\" fill=\"none\" stroke=\"#d0d7de\"/>"));
    let most = curve.points.iter().flat_map(|(_, cpu, nginx)| [Some(*cpu), *nginx]).flatten().fold(1.0, f64::max) * 1.1;
    // Sizes grow by factors, so their logarithms are what is spread evenly.
    let log = |size: u64| (size.max(1) as f64).ln();
    let (first, last) = (curve.points.first(), curve.points.last());
    let (first, last) = (first.map_or(0.0, |point| log(point.0)), last.map_or(1.0, |point| log(point.0)));
    let x = |size: u64| from + 10.0 + (log(size) - first) / (last - first).max(0.1) * (to - from - 20.0);
    let y = |cpu: f64| floor - cpu / most * (floor - ceiling);
    let ours: Vec<(f64, f64, f64)> = curve.points.iter().map(|(size, cpu, _)| (x(*size), y(*cpu), *cpu)).collect();
    let nginx = curve.points.iter().filter_map(|(size, _, nginx)| nginx.map(|cpu| (x(*size), y(cpu), cpu)));
    draw_line(body, &nginx.collect::<Vec<_>>(), OTHERS);
    draw_line(body, &ours, OURS);
    for (size, _, _) in &curve.points {
        text(body, x(*size), floor + 15.0, "middle", "normal", &size.to_string());
    }
}

fn draw_line(body: &mut String, points: &[(f64, f64, f64)], colour: &str) {
    if points.is_empty() {
        return;
    }
    let places: Vec<String> = points.iter().map(|(x, y, _)| format!("{x:.1},{y:.1}")).collect();
    let places = places.join(" ");
    line(body, &format!("<polyline points=\"{places}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"));
    for (x, y, cpu) in points {
        line(body, &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"));
        text(body, *x, y - 7.0, "middle", "normal", &format!("{cpu:.1}"));
    }
}

fn text(body: &mut String, x: f64, y: f64, anchor: &str, weight: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    line(
        body,
        &format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-weight=\"{weight}\" fill=\"#1f2328\">{words}</text>"
        ),
    );
}

fn line(body: &mut String, element: &str) {
    writeln!(body, "{element}").ok();
}
