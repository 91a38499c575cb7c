//! Search: how tools are found, and the language model that may put what was found into order.

use super::place::Place;
use super::quantity::{DAY, MILLISECOND};
use super::section::Section;
use super::{Llm, Search, address};
use http::Uri;
use std::time::Duration;

const MODEL: &str = "gpt-4o-mini";
const TIMEOUT: Duration = Duration::from_secs(3);

pub(super) fn read(root: &Section<'_>) -> Search {
    let section = root.child("search", &["meta_tools", "llm"]);
    Search {
        meta_tools: section.or("meta_tools", false, Place::switch),
        llm: section.find("llm").as_ref().and_then(llm),
    }
}

fn llm(place: &Place<'_>) -> Option<Llm> {
    if place.is_text() {
        return match place.text()?.as_str() {
            "off" | "false" => None,
            _ => place.refuse(format_args!(
                "{} is no language model; write off, or keys: base_url, model, api_key, timeout",
                place.quoted()
            )),
        };
    }
    let section = place.section(&["base_url", "model", "api_key", "timeout"])?;
    Some(Llm {
        base_url: section.or("base_url", Uri::from_static("https://api.openai.com/v1"), address::url),
        model: section.or("model", MODEL.to_owned(), model),
        api_key: section.optional("api_key", api_key),
        timeout: section.or("timeout", TIMEOUT, |place| place.duration(MILLISECOND..=DAY)),
    })
}

fn model(place: &Place<'_>) -> Option<String> {
    let model = place.text()?;
    if model.is_empty() || !model.chars().all(|c| c.is_ascii_graphic()) {
        return place.refuse("this is no name of a model; write one, as in gpt-4o-mini");
    }
    Some(model)
}

/// An empty one stands for none, where the model asks for none.
fn api_key(place: &Place<'_>) -> Option<String> {
    let key = place.text()?;
    if !key.chars().all(|c| c.is_ascii_graphic()) {
        return place.refuse("this key has spaces or other characters that no header carries; write visible ASCII");
    }
    Some(key).filter(|key| !key.is_empty())
}
