//! Lists: the catalogs of all servers that a caller may use, as one, in pages. A page is written
//! once for each catalog generation and caller, and kept.

use super::introduction::{SERVER_INFO, own_info};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tollbridge_filters::catalog::{Kind, Line, Server, Snapshot, State};
use tollbridge_filters::date;
use tollbridge_filters::era::Era;
use tollbridge_filters::json;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::native::{self, encode_cursor};
use tollbridge_filters::path::Scope;
use tollbridge_filters::route::Answer;

/// What a list says about the servers behind it.
const SERVERS: &str = "dev.tollbridge/servers";

/// How many names a list says that it does not show, because another server has them.
const HIDDEN_MAX: usize = 100;

/// Pages kept at once; each belongs to the newest catalog generation.
const PAGES_MAX: usize = 4_096;

/// The pages of the newest generation that were asked for.
#[derive(Default)]
pub struct Lists(Mutex<Pages>);

#[derive(Default)]
struct Pages {
    generation: u64,
    pages: HashMap<PageKey, Bytes>,
}

#[derive(PartialEq, Eq, Hash)]
struct PageKey {
    kind: Kind,
    era: Era,
    scope: Scope,
    /// What the caller may see; callers who see the same share a page.
    visible: Vec<ServerId>,
    after: Option<String>,
}

impl Lists {
    /// A page with what closes the answer behind it, so that a long one is not copied for that.
    pub(super) fn page(
        &self,
        snapshot: &Snapshot,
        answer: &Answer,
        kind: Kind,
        after: Option<&str>,
        entries_max: usize,
    ) -> Bytes {
        let key = PageKey {
            kind,
            era: answer.era,
            scope: answer.scope.clone(),
            visible: snapshot.visible(&answer.principal, &answer.scope).map(|server| server.id.clone()).collect(),
            after: after.map(str::to_owned),
        };
        if let Some(page) = self.kept(snapshot.generation, &key) {
            return page;
        }
        let page: Bytes = write(snapshot, answer, kind, after, entries_max).into();
        self.keep(snapshot.generation, key, page.clone());
        page
    }

    fn kept(&self, generation: u64, key: &PageKey) -> Option<Bytes> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.pages.get(key).filter(|_| pages.generation == generation).cloned()
    }

    fn keep(&self, generation: u64, key: PageKey, page: Bytes) {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.generation != generation || pages.pages.len() >= PAGES_MAX {
            *pages = Pages { generation, pages: HashMap::new() };
        }
        pages.pages.insert(key, page);
    }
}

fn write(snapshot: &Snapshot, answer: &Answer, kind: Kind, after: Option<&str>, entries_max: usize) -> String {
    let lines = snapshot.list(kind, answer.era, &answer.principal, &answer.scope);
    let (hidden, shown): (Vec<Line<'_>>, Vec<Line<'_>>) = lines.into_iter().partition(|line| line.hidden);
    let mut rest = shown.into_iter().skip_while(|line| after.is_some_and(|after| line.name <= after)).peekable();
    let mut page = format!("{{\"{}\":[", kind.member());
    let mut last = None;
    for line in rest.by_ref().take(entries_max) {
        if last.is_some() {
            page.push(',');
        }
        line.entry.write(line.name, &mut page);
        last = Some(line.name);
    }
    page.push(']');
    if let (Some(last), Some(_)) = (last, rest.peek()) {
        page.push_str(&format!(",\"nextCursor\":{}", json::quote(&encode_cursor(last))));
    }
    if answer.era == Era::Modern {
        page.push_str(r#","resultType":"complete","ttlMs":0,"cacheScope":"private""#);
    }
    page.push_str(&format!(",\"_meta\":{}}}}}", meta(snapshot, answer, &hidden)));
    page
}

/// The two tools that stand for all of them.
pub(super) fn meta_tools(snapshot: &Snapshot, answer: &Answer) -> String {
    let rest = match answer.era {
        Era::Modern => r#","resultType":"complete","ttlMs":0,"cacheScope":"private""#,
        Era::Legacy => "",
    };
    format!("{{\"tools\":[{}]{rest},\"_meta\":{}}}", native::meta::TOOLS, meta(snapshot, answer, &[]))
}

fn meta(snapshot: &Snapshot, answer: &Answer, hidden: &[Line<'_>]) -> Value {
    let mut servers: Map<String, Value> = snapshot
        .visible(&answer.principal, &answer.scope)
        .map(|server| (server.id.to_string(), state(server, answer.era)))
        .collect();
    for line in hidden.iter().take(HIDDEN_MAX) {
        if let Some(Value::Object(server)) = servers.get_mut(line.server.as_str()) {
            let names = server.entry("hidden").or_insert_with(|| json!([]));
            if let Some(names) = names.as_array_mut() {
                names.push(line.name.into());
            }
        }
    }
    match answer.era {
        Era::Modern => json!({SERVERS: servers, SERVER_INFO: own_info()}),
        Era::Legacy => json!({SERVERS: servers}),
    }
}

/// What a server's part of a list is worth.
fn state(server: &Server, era: Era) -> Value {
    match server.state {
        State::Unprobed => json!({"state": "unprobed"}),
        State::Unreachable { since } => {
            json!({"state": "unreachable", "since": date::rfc3339(since)})
        }
        _ if !server.speaks(era) => json!({"state": "era_unbridged"}),
        State::Ready => json!({"state": "ready"}),
        State::Stale { since } => json!({"state": "stale", "since": date::rfc3339(since)}),
    }
}
