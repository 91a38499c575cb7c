//! Where a report is kept: between markers in two documents, and beside them as a picture.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const PLOT: &str = "bench/result.svg";

pub fn write(root: &Path, report: &str, brief: &str, plot: &str) -> Result<()> {
    let report = format!("![CPU time of a call by contender, and as things grow](result.svg)\n\n{report}");
    rewrite(&root.join("bench/README.md"), "result", &report)?;
    rewrite(&root.join("README.md"), "bench", brief)?;
    Ok(fs::write(root.join(PLOT), plot)?)
}

fn rewrite(path: &Path, name: &str, text: &str) -> Result<()> {
    let hint = || format!("cannot record in {}: run this in the repository", path.display());
    let document = fs::read_to_string(path).with_context(hint)?;
    let document =
        between(&document, name, text).with_context(|| format!("{} has no markers {name}", path.display()))?;
    fs::write(path, document).with_context(hint)
}

/// `document` with `text` in place of what stands between the markers of this name.
fn between(document: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->"));
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{}\n{end}{after}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let document = "a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n";
        let new = between(document, "x", "new\n").expect("it has them");
        assert_eq!(new, "a\n<!-- x:begin -->\nnew\n<!-- x:end -->\nb\n");
        assert_eq!(between(&new, "x", "new").as_ref(), Some(&new), "twice is as good as once");
        assert!(between(document, "y", "new").is_none());
    }
}
