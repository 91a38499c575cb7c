//! `${NAME}` and `${file:/path}` in values: what keeps secrets out of the file. `$${` is a literal
//! `${`. No message of this module repeats anything but the name or the path of a reference.

use std::fs::File;
use std::io::Read;

const SECRET_BYTES_MAX: u64 = 64 * 1024;

pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The text with each reference replaced; else what is wrong, and what to write instead.
pub(super) fn expand(text: &str, environment: Environment<'_>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        let (reference, after) = after
            .split_once('}')
            .ok_or("a `${` is not closed; write ${NAME} or ${file:/path}, or $${ where a literal ${ is meant")?;
        expanded.push_str(before);
        expanded.push_str(&look_up(reference, environment)?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn look_up(reference: &str, environment: Environment<'_>) -> Result<String, String> {
    if let Some(path) = reference.strip_prefix("file:") {
        return read(path).map_err(|error| {
            format!("cannot read the file {path:?} ({error}); create it, or make it readable for this user")
        });
    }
    if !is_name(reference) {
        return Err("what stands in `${…}` is no name of a variable (A-Z a-z 0-9 _); \
             write ${NAME} or ${file:/path}, or $${ where a literal ${ is meant"
            .to_owned());
    }
    environment(reference)
        .ok_or_else(|| format!("the environment variable {reference} is not set; set it, or write the value here"))
}

fn is_name(reference: &str) -> bool {
    let start = reference.chars().next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    start && reference.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Editors and `echo` end a file with a newline that is no part of the secret.
fn read(path: &str) -> Result<String, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err("it is larger than 64 KiB".to_owned());
    }
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}
