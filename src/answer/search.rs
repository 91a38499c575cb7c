//! Searching tools: an index for each generation of the catalog, made when somebody first searches it.

use crate::gateway::Gateway;
use crate::manage::Ranked;
use bytes::Bytes;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use tollbridge_filters::catalog::{Kind, Snapshot};
use tollbridge_filters::era::Era;
use tollbridge_filters::names::ServerId;
use tollbridge_filters::route::Answer;
use tollbridge_filters::search::{Document, Index, Match, parameters};
use tollbridge_filters::surface::oliverye;
use tollbridge_filters::surface::view::{Tool, View};

/// The index of the newest catalog that was searched.
#[derive(Default)]
pub struct Searches(Mutex<Option<Arc<Indexed>>>);

struct Indexed {
    generation: u64,
    index: Index,
    /// The server and the name of each document.
    documents: Vec<(ServerId, String)>,
}

/// A tool that was found.
pub struct Hit<'h> {
    pub tool: Tool<'h>,
    pub score: f64,
    pub reasoning: String,
}

impl Searches {
    /// The best matches among what a view shows, the best first.
    pub fn search<'v>(&self, view: &View<'v>, query: &str, most: usize) -> Vec<Hit<'v>> {
        let indexed = self.indexed(view.snapshot);
        let visible: Vec<&ServerId> = view.servers().map(|server| &server.id).collect();
        let may_see =
            |at: usize| indexed.documents.get(at).is_some_and(|(server, _)| visible.binary_search(&server).is_ok());
        let found = indexed.index.search(query, may_see, most);
        found.into_iter().filter_map(|found| hit(view, &indexed, found)).collect()
    }

    fn indexed(&self, snapshot: &Snapshot) -> Arc<Indexed> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.as_ref().filter(|kept| kept.generation == snapshot.generation) {
            Some(kept) => Arc::clone(kept),
            None => {
                let indexed = Arc::new(index(snapshot));
                *kept = Some(Arc::clone(&indexed));
                indexed
            }
        }
    }
}

fn index(snapshot: &Snapshot) -> Indexed {
    let entries = || {
        snapshot.servers().flat_map(|server| {
            let offer = server.offer.iter();
            offer.flat_map(move |offer| offer.entries(Kind::Tool).iter().map(move |entry| (server, entry)))
        })
    };
    let texts: Vec<[Option<String>; 2]> =
        entries().map(|(_, entry)| ["title", "description"].map(|key| unquoted(entry.member(key)))).collect();
    let documents = entries().zip(&texts).map(|((server, entry), [title, description])| Document {
        name: &entry.key,
        title: title.as_deref(),
        description: description.as_deref(),
        parameters: parameters(entry.raw()).into_iter().map(Into::into).collect(),
        server: server.id.as_str(),
    });
    let index = Index::build(documents);
    let documents = entries().map(|(server, entry)| (server.id.clone(), entry.key.clone())).collect();
    Indexed { generation: snapshot.generation, index, documents }
}

fn unquoted(raw: Option<&str>) -> Option<String> {
    serde_json::from_str(raw?).ok()
}

fn hit<'v>(view: &View<'v>, indexed: &Indexed, found: Match) -> Option<Hit<'v>> {
    let (server, name) = indexed.documents.get(found.document)?;
    let server = view.snapshot.server(server)?;
    let entry = server.tool(name)?;
    Some(Hit { tool: Tool { server, name: &entry.key, entry }, score: found.score, reasoning: found.reasoning })
}

/// oliverye's shape of a hit.
pub fn told(view: &View<'_>, hit: &Hit<'_>) -> Value {
    json!({
        "mcp_server": hit.tool.server.profile.name,
        "mcp_server_uuid": oliverye::uuid(hit.tool.server),
        "tool_name": view.callable_name(&hit.tool),
        "description": hit.tool.description().unwrap_or_default(),
        "input_schema": hit.tool.schema(),
        "match_score": (hit.score * 1e4).round() / 1e4,
        "reasoning": hit.reasoning,
    })
}

/// A hit as a model is shown it.
pub fn candidate((index, hit): (usize, &Hit<'_>)) -> Value {
    let description: String =
        hit.tool.description().unwrap_or_default().chars().take(DESCRIPTION_CHARACTERS_MAX).collect();
    json!({"index": index, "name": hit.tool.name, "description": description, "server": hit.tool.server.profile.name})
}

const DESCRIPTION_CHARACTERS_MAX: usize = 1_000;

/// A hit with a model's score and reasons.
pub fn reranked(told: &[Value], ranked: Ranked) -> Option<Value> {
    let mut hit = told.get(ranked.index)?.clone();
    let members = hit.as_object_mut()?;
    members.insert("match_score".to_owned(), ranked.score.into());
    members.insert("reasoning".to_owned(), ranked.reasoning.into());
    Some(hit)
}

/// The answer of `search_tools`.
pub(super) fn answer(gateway: &Gateway, snapshot: &Snapshot, answer: &Answer, query: &str, most: usize) -> Bytes {
    let view = View { snapshot, principal: &answer.principal, scope: &answer.scope };
    let hits = gateway.searches.search(&view, query, most);
    let tools: Vec<Value> = hits.iter().map(|hit| described(snapshot, hit)).collect();
    let found = json!({"tools": tools});
    let mut result = json!({
        "content": [{"type": "text", "text": found.to_string()}],
        "structuredContent": found,
    });
    if let (Era::Modern, Some(members)) = (answer.era, result.as_object_mut()) {
        members.insert("resultType".to_owned(), "complete".into());
    }
    result.to_string().into()
}

/// A hit under the name that it is called by.
fn described(snapshot: &Snapshot, hit: &Hit<'_>) -> Value {
    json!({
        "name": snapshot.public_name(&hit.tool.server.id, hit.tool.name),
        "description": hit.tool.description(),
        "inputSchema": hit.tool.schema(),
        "match_score": (hit.score * 1e4).round() / 1e4,
        "reasoning": hit.reasoning,
    })
}
