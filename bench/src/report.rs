//! The report: what an outcome means, as Markdown, as a plot, as goals that were met or missed.
//!
//! - [`median`] one row out of many rounds; [`derived`] what is computed from rows
//! - [`tables`], [`plot`], [`brief`] how it is shown; [`record`] where it is kept
//! - [`gate`], [`goals`] whether it is good enough
//!
//! It knows outcomes only; how they came about is none of its business.

mod brief;
mod derived;
mod gate;
mod goals;
mod median;
mod plot;
mod record;
mod tables;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::flags::Flags;
use crate::outcome::Outcome;
use gate::Gates;

/// What is to be done with an outcome, besides showing it.
pub struct Wishes {
    gates: Gates,
    goals: bool,
    strict: bool,
    /// The root of the repository, whose documents are rewritten.
    record: Option<PathBuf>,
    svg: Option<PathBuf>,
}

impl Wishes {
    pub fn read(flags: &mut Flags) -> Result<Self> {
        let gates = Gates { call: flags.optional("--gate")?, rest: flags.optional("--rest-gate")? };
        let strict = flags.switch("--strict");
        Ok(Self {
            gates,
            goals: flags.switch("--goals") || strict,
            strict,
            record: flags.switch("--record").then(|| PathBuf::from(".")),
            svg: flags.optional("--svg")?,
        })
    }
}

pub fn run(mut flags: Flags) -> Result<()> {
    let path: PathBuf = flags.required("--result")?;
    let wishes = Wishes::read(&mut flags)?;
    flags.finish()?;
    present(&Outcome::read(&path)?, &wishes)
}

pub fn present(outcome: &Outcome, wishes: &Wishes) -> Result<()> {
    let (text, plot) = (tables::markdown(outcome), plot::svg(outcome));
    print!("{text}");
    let goals = goals::all(outcome);
    if wishes.goals {
        print!("\n{}", goals::table(&goals));
    }
    if let Some(svg) = &wishes.svg {
        fs::write(svg, &plot).with_context(|| format!("cannot write {}: choose another --svg", svg.display()))?;
    }
    // Figures from a run with failures are not to be believed, however good they look.
    gate::ensure_sound(outcome)?;
    if let Some(root) = &wishes.record {
        record::write(root, &format!("{text}\n{}", goals::table(&goals)), &brief::table(outcome), &plot)?;
    }
    wishes.gates.ensure_passed(outcome)?;
    let missed: Vec<&str> = goals.iter().filter(|goal| goal.is_missed()).map(|goal| goal.name.as_str()).collect();
    ensure!(!wishes.strict || missed.is_empty(), "missed: {}", missed.join(", "));
    Ok(())
}
