//! The circumstances of a comparison, as one sentence for the report.

use std::fs;
use std::process::Command;

use super::plan::Plan;

pub fn sentence(plan: &Plan) -> String {
    let commit = said("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let changes = said("git", &["status", "--porcelain"]).map_or("", |_| " with local changes");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cores = said("nproc", &["--all"]).unwrap_or_else(|| cores.to_string());
    let mut programs = Vec::new();
    // nginx tells its version where others tell errors.
    programs.extend(said("sh", &["-c", "nginx -v 2>&1"]).and_then(|line| Some(line.split_once(": ")?.1.to_owned())));
    let haproxy = said("sh", &["-c", "haproxy -v 2>/dev/null"]);
    programs.extend(haproxy.and_then(|line| Some(format!("haproxy/{}", line.split_whitespace().nth(2)?))));
    let kernel = said("uname", &["-sr"]).unwrap_or_default();
    format!(
        "{}, commit {commit}{changes}, {cores} x {}, {kernel}, {}; medians of {} rounds of {} s, {} connections, {} streams.",
        said("date", &["-u", "+%Y-%m-%d"]).unwrap_or_default(),
        cpu().unwrap_or_else(|| "unknown CPU".to_owned()),
        programs.join(", "),
        plan.rounds,
        plan.measured.as_secs_f64(),
        plan.connections,
        plan.streams,
    )
}

/// The first line of what a program says, if it says anything.
fn said(program: &str, words: &[&str]) -> Option<String> {
    let output = Command::new(program).args(words).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.lines().next()?.trim().to_owned())
}

fn cpu() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    Some(text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "))?.1.to_owned())
}
