//! One small diagram of a plot: lines over a size that grows by factors.

use super::{element, text};

const WIDTH: f64 = 410.0;
const HEIGHT: f64 = 200.0;
const GAP: f64 = 20.0;
const COLUMNS: usize = 2;

pub struct Panel {
    pub title: String,
    pub series: Vec<Series>,
}

pub struct Series {
    label: String,
    colour: &'static str,
    pub points: Vec<(u64, f64)>,
}

/// Where a panel draws: its corners, and what they stand for.
struct Frame {
    left: f64,
    right: f64,
    floor: f64,
    ceiling: f64,
    first: f64,
    last: f64,
    most: f64,
}

impl Series {
    pub fn new(label: &str, colour: &'static str) -> Self {
        Self { label: label.to_owned(), colour, points: Vec::new() }
    }
}

/// Draws the panels below `top`, and returns how high they are together.
pub fn draw_all(body: &mut String, panels: &[Panel], top: f64) -> f64 {
    for (place, panel) in panels.iter().enumerate() {
        let left = 10.0 + (place % COLUMNS) as f64 * (WIDTH + GAP);
        panel.draw(body, left, top + (place / COLUMNS) as f64 * (HEIGHT + GAP));
    }
    panels.len().div_ceil(COLUMNS) as f64 * (HEIGHT + GAP)
}

impl Panel {
    fn draw(&self, body: &mut String, left: f64, top: f64) {
        text(body, (left, top + 15.0), "start", "bold", &self.title);
        let points = || self.series.iter().flat_map(|series| &series.points);
        let mut sizes: Vec<u64> = points().map(|(size, _)| *size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let frame = Frame {
            left: left + 25.0,
            right: left + WIDTH - 25.0,
            floor: top + HEIGHT - 20.0,
            ceiling: top + 55.0,
            first: sizes.first().map_or(0.0, |size| scaled(*size)),
            last: sizes.last().map_or(0.0, |size| scaled(*size)),
            most: points().map(|(_, value)| *value).fold(1.0, f64::max),
        };
        let Frame { left: from, right, floor, .. } = frame;
        element(body, &format!("<path d=\"M{from:.1} {floor:.1}H{right:.1}\" stroke=\"#d0d7de\"/>"));
        for size in &sizes {
            text(body, (frame.x(*size), floor + 15.0), "middle", "normal", &size.to_string());
        }
        let mut said = Vec::new();
        for (place, series) in self.series.iter().enumerate() {
            if self.series.len() > 1 {
                legend(body, series, left + place as f64 * WIDTH / self.series.len() as f64, top + 30.0);
            }
            frame.draw(body, series, &mut said);
        }
    }
}

impl Frame {
    fn x(&self, size: u64) -> f64 {
        let part = (scaled(size) - self.first) / (self.last - self.first).max(0.1);
        self.left + 15.0 + part * (self.right - self.left - 30.0)
    }

    fn y(&self, value: f64) -> f64 {
        self.floor - value / self.most * (self.floor - self.ceiling)
    }

    /// `said` is where figures stand already: lines that run together share theirs.
    fn draw(&self, body: &mut String, Series { colour, points, .. }: &Series, said: &mut Vec<(f64, f64)>) {
        let places: Vec<String> =
            points.iter().map(|(size, value)| format!("{:.1},{:.1}", self.x(*size), self.y(*value))).collect();
        let places = places.join(" ");
        element(body, &format!("<polyline points=\"{places}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"));
        for (size, value) in points {
            let (x, y) = (self.x(*size), self.y(*value));
            element(body, &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"));
            let is_free = |(other_x, other_y): &(f64, f64)| (x - other_x).abs() > 30.0 || (y - other_y).abs() > 14.0;
            if said.iter().all(is_free) {
                text(body, (x, y - 6.0), "middle", "normal", &format!("{value:.1}"));
                said.push((x, y));
            }
        }
    }
}

fn legend(body: &mut String, Series { label, colour, .. }: &Series, x: f64, y: f64) {
    // The full name is in the table; here is room for what tells the lines apart.
    let short = label.rsplit(", ").next().unwrap_or(label).trim_start_matches("streams of ");
    element(body, &format!("<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{colour}\"/>", x + 4.0, y - 4.0));
    text(body, (x + 12.0, y), "start", "normal", short);
}

/// Sizes grow by factors, so their logarithms are what is spread evenly; one more, because some
/// begin with 0.
fn scaled(size: u64) -> f64 {
    (size as f64 + 1.0).ln()
}
