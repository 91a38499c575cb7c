//! Two tools in place of all of them, for catalogs too large for a model's context: one searches, the
//! other calls what was found. Switched on by `search.meta_tools`, at `/mcp` alone.

use super::{Request, Way, missing};
use crate::Admitted;
use crate::catalog::{Kind, Target};
use crate::headers;
use crate::json;
use crate::path::Scope;
use crate::rejection::Rejection;
use crate::route::{Effect, Question, Splice};

pub const SEARCH: &str = "search_tools";
pub const CALL: &str = "call_tool";

const HITS: usize = 5;
const HITS_MAX: usize = 50;

/// What is listed in place of every tool.
pub const TOOLS: &str = r#"{"name":"search_tools","title":"Search tools","description":"Finds tools by words. Call what it gives with call_tool.","inputSchema":{"type":"object","properties":{"query":{"type":"string","description":"What the tool should do"},"limit":{"type":"integer","minimum":1,"maximum":50,"default":5}},"required":["query"]},"annotations":{"readOnlyHint":true}},{"name":"call_tool","title":"Call a tool","description":"Calls a tool that search_tools has found.","inputSchema":{"type":"object","properties":{"name":{"type":"string","description":"The tool's name"},"arguments":{"type":"object","description":"What the tool takes"}},"required":["name"]}}"#;

/// What a call of one of the two means.
pub(super) enum Meant<'r> {
    Search(Question),
    Call(Box<Way<'r>>),
}

impl<'r> Request<'r> {
    /// `None`: this is a tool of a server.
    pub(super) fn meta(&self) -> Option<Result<Meant<'r>, Rejection>> {
        if !self.meta_tools || self.admitted.scope != Scope::All || self.envelope.verb() != "tools/call" {
            return None;
        }
        match self.envelope.name()?.as_ref() {
            SEARCH => Some(self.search().map(Meant::Search)),
            CALL => Some(self.indirect().map(Box::new).map(Meant::Call)),
            _ => None,
        }
    }

    fn search(&self) -> Result<Question, Rejection> {
        let query = self.argument("query")?.filter(|raw| raw.starts_with('"'));
        let query = json::unquote(query.ok_or_else(|| missing("arguments.query"))?).into_owned();
        let most = match self.argument("limit")? {
            None => HITS,
            Some(raw) => {
                let limit = raw.parse().ok().filter(|limit| (1..=HITS_MAX).contains(limit));
                limit.ok_or_else(|| Rejection::InvalidParams(format!("arguments.limit must be 1 to {HITS_MAX}")))?
            }
        };
        Ok(Question::SearchTools { query, most })
    }

    /// The call that is meant: its name and its arguments take the places of ours.
    fn indirect(&self) -> Result<Way<'r>, Rejection> {
        let name =
            self.argument("name")?.filter(|raw| raw.starts_with('"')).ok_or_else(|| missing("arguments.name"))?;
        let name = json::unquote(name).into_owned();
        let arguments = self.argument("arguments")?.unwrap_or("{}");
        if !arguments.starts_with('{') {
            return Err(Rejection::InvalidParams("arguments.arguments must be an object".to_owned()));
        }
        let places = self.envelope.name_place().zip(self.envelope.arguments_place());
        let (name_place, arguments_place) = places.ok_or_else(|| missing("params.arguments"))?;
        let Admitted { principal, scope } = self.admitted;
        let Target { server, rename, entry } = self.snapshot.resolve(Kind::Tool, &name, self.era, principal, scope)?;
        let bare = rename.unwrap_or(name);
        let mirrors = entry.map(|entry| headers::mirror(arguments, &entry.mirrored)).transpose()?.unwrap_or_default();
        let complaint = self.judge(entry, || arguments)?;
        let splices = [
            Some(Splice::name(name_place, &bare)),
            Some(Splice { place: arguments_place, text: arguments.to_owned() }),
        ];
        Ok(Way {
            servers: vec![server.id.clone()],
            splices,
            name: Some(bare),
            listed: entry.is_some(),
            effect: Effect::Act,
            mirrors,
            complaint,
            entry: None,
        })
    }

    /// An argument of the call, raw.
    fn argument(&self, key: &str) -> Result<Option<&str>, Rejection> {
        let Some(arguments) = self.envelope.arguments() else {
            return Ok(None);
        };
        let wrong = |malformed: json::Malformed| Rejection::InvalidParams(malformed.to_string());
        let place = json::find(arguments, [key]).map_err(wrong)?;
        Ok(place.and_then(|place| arguments.get(place)))
    }
}
