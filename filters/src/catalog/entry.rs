//! What one server offers, as it said it: each tool, prompt, resource and template keeps its bytes.

use super::Profile;
use crate::arguments::{BadSchema, Schema};
use crate::era::Eras;
use crate::headers::MirroredParam;
use crate::json;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The lists of MCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Tool,
    Prompt,
    Resource,
    Template,
}

impl Kind {
    pub const EVERY: [Kind; 4] = [Kind::Tool, Kind::Prompt, Kind::Resource, Kind::Template];

    pub fn list_method(self) -> &'static str {
        match self {
            Kind::Tool => "tools/list",
            Kind::Prompt => "prompts/list",
            Kind::Resource => "resources/list",
            Kind::Template => "resources/templates/list",
        }
    }

    pub fn of_list_method(method: &str) -> Option<Kind> {
        Kind::EVERY.into_iter().find(|kind| kind.list_method() == method)
    }

    /// The member of the result that holds the entries.
    pub fn member(self) -> &'static str {
        match self {
            Kind::Tool => "tools",
            Kind::Prompt => "prompts",
            Kind::Resource => "resources",
            Kind::Template => "resourceTemplates",
        }
    }

    /// The server capability without which there is no such list.
    pub fn capability(self) -> &'static str {
        match self {
            Kind::Tool => "tools",
            Kind::Prompt => "prompts",
            Kind::Resource | Kind::Template => "resources",
        }
    }

    /// What names an entry.
    fn key(self) -> &'static str {
        match self {
            Kind::Tool | Kind::Prompt => "name",
            Kind::Resource => "uri",
            Kind::Template => "uriTemplate",
        }
    }

    /// Names of tools and prompts carry their server; URIs are never rewritten.
    pub fn is_renamed(self) -> bool {
        matches!(self, Kind::Tool | Kind::Prompt)
    }
}

/// One tool, prompt, resource or template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name, URI or URI template.
    pub key: String,
    /// The entry as the server sent it.
    raw: String,
    key_place: Range<usize>,
    pub mirrored: Vec<MirroredParam>,
    schema: Compiled,
}

/// A tool's schema, compiled when it is first needed; copies of an entry share it.
#[derive(Clone, Debug, Default)]
struct Compiled(Arc<OnceLock<Option<Result<Schema, BadSchema>>>>);

/// It follows from the entry's text, which is compared.
impl PartialEq for Compiled {
    fn eq(&self, _: &Compiled) -> bool {
        true
    }
}

impl Eq for Compiled {}

impl Entry {
    /// Reads an entry; `None` where it has no name, or where a client must drop it because its
    /// `x-mcp-header` annotations are invalid (MCP 2026-07-28, Streamable HTTP).
    pub fn read(kind: Kind, raw: &str) -> Option<Entry> {
        let key_place = json::find(raw, [kind.key()]).ok()??;
        let quoted = raw.get(key_place.clone()).filter(|text| text.starts_with('"'))?;
        let key = json::unquote(quoted).into_owned();
        let mirrored = if kind == Kind::Tool { mirrored_params(raw)? } else { Vec::new() };
        let (raw, schema) = (raw.to_owned(), Compiled::default());
        (!key.is_empty()).then_some(Entry { key, raw, key_place, mirrored, schema })
    }

    /// The entry as the server sent it.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// A member of the entry as the server sent it; `None` also where it stands twice.
    pub fn member(&self, key: &str) -> Option<&str> {
        self.raw.get(json::find(&self.raw, [key]).ok()??)
    }

    /// What the tool's arguments are checked against; `None` where it has no schema.
    pub fn schema(&self) -> Option<&Result<Schema, BadSchema>> {
        let compile = || self.member("inputSchema").map(Schema::compile);
        self.schema.0.get_or_init(compile).as_ref()
    }

    /// Writes the entry under a public name; nothing else of it changes.
    pub fn write(&self, name: &str, out: &mut String) {
        if name == self.key {
            return out.push_str(&self.raw);
        }
        out.push_str(self.raw.get(..self.key_place.start).unwrap_or_default());
        out.push_str(&json::quote(name));
        out.push_str(self.raw.get(self.key_place.end..).unwrap_or_default());
    }
}

/// Everything that a server offered when it was asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offer {
    pub eras: Eras,
    pub dialect: Dialect,
    /// Objects, as the server sent them.
    pub capabilities: serde_json::Map<String, Value>,
    pub server_info: Value,
    pub instructions: Option<String>,
    tools: List,
    prompts: List,
    resources: List,
    templates: List,
}

/// What is spoken to a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// JSON-RPC: MCP.
    #[default]
    Rpc,
    /// RouteIQ's REST dialect; tools are called at this path.
    Rest { base: String },
    /// Nobody knows: the server has not answered yet.
    Unknown,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct List {
    entries: Vec<Entry>,
    by_key: HashMap<String, usize>,
    digest: [u8; 32],
}

/// Ranks of [`Offer::rank`].
pub(super) const LISTED: u8 = 0;
pub(super) const FITS_TEMPLATE: u8 = 1;
const MAY_HAVE: u8 = 2;

impl Offer {
    /// Of this offer, what a registration lets through, with what it describes besides.
    pub fn within(&self, profile: &Profile) -> Offer {
        let mut offer = self.clone();
        let described = profile.definitions.iter().filter_map(|raw| Entry::read(Kind::Tool, raw));
        let tools = self.entries(Kind::Tool).iter().cloned().chain(described);
        let is_let = |declared: &[String], entry: &Entry| declared.is_empty() || declared.contains(&entry.key);
        offer.set(Kind::Tool, tools.filter(|tool| is_let(&profile.tools, tool)).collect());
        let resources = self.entries(Kind::Resource).iter().cloned();
        offer.set(Kind::Resource, resources.filter(|resource| is_let(&profile.resources, resource)).collect());
        offer
    }

    /// What is known of a server that has not answered yet; `None`: nothing.
    pub fn declared(profile: &Profile) -> Option<Offer> {
        let described = profile.definitions.iter().filter_map(|raw| Entry::read(Kind::Tool, raw));
        let named = |member: &str, name: &String, rest: &str| format!("{{\"{member}\":{}{rest}}}", json::quote(name));
        let tools = profile.tools.iter().map(|name| named("name", name, r#","inputSchema":{"type":"object"}"#));
        let tools = described.chain(tools.filter_map(|raw| Entry::read(Kind::Tool, &raw)));
        let resources = profile.resources.iter();
        let resources = resources.map(|uri| named("uri", uri, &format!(",\"name\":{}", json::quote(uri))));
        let mut offer = Offer { dialect: Dialect::Unknown, ..Offer::default() };
        offer.set(Kind::Tool, tools.collect());
        offer.set(Kind::Resource, resources.filter_map(|raw| Entry::read(Kind::Resource, &raw)).collect());
        offer.capabilities.insert("tools".to_owned(), Value::Object(serde_json::Map::new()));
        offer.capabilities.insert("resources".to_owned(), Value::Object(serde_json::Map::new()));
        profile.declares().then_some(offer)
    }

    /// Sets one list; of two entries with the same name the first stays.
    pub fn set(&mut self, kind: Kind, entries: Vec<Entry>) {
        let mut list = List::default();
        let mut digest = Sha256::new();
        for entry in entries {
            if !list.by_key.contains_key(&entry.key) {
                digest.update(&entry.raw);
                list.by_key.insert(entry.key.clone(), list.entries.len());
                list.entries.push(entry);
            }
        }
        list.digest = digest.finalize().into();
        *self.list_mut(kind) = list;
    }

    pub(super) fn digest(&self, kind: Kind) -> &[u8; 32] {
        &self.list(kind).digest
    }

    pub fn entries(&self, kind: Kind) -> &[Entry] {
        &self.list(kind).entries
    }

    pub fn entry(&self, kind: Kind, key: &str) -> Option<&Entry> {
        let list = self.list(kind);
        list.entries.get(*list.by_key.get(key)?)
    }

    /// How likely this server has a resource; less is likelier, `None` is never.
    pub(super) fn rank(&self, uri: &str) -> Option<u8> {
        if self.resources.by_key.contains_key(uri) || self.templates.by_key.contains_key(uri) {
            return Some(LISTED);
        }
        if self.templates.entries.iter().any(|template| fits(&template.key, uri)) {
            return Some(FITS_TEMPLATE);
        }
        self.capabilities.contains_key("resources").then_some(MAY_HAVE)
    }

    fn list(&self, kind: Kind) -> &List {
        match kind {
            Kind::Tool => &self.tools,
            Kind::Prompt => &self.prompts,
            Kind::Resource => &self.resources,
            Kind::Template => &self.templates,
        }
    }

    fn list_mut(&mut self, kind: Kind) -> &mut List {
        match kind {
            Kind::Tool => &mut self.tools,
            Kind::Prompt => &mut self.prompts,
            Kind::Resource => &mut self.resources,
            Kind::Template => &mut self.templates,
        }
    }
}

/// Whether a URI may come from a template (RFC 6570): the literal parts in order, something for
/// each expression. Linear, whatever the texts.
fn fits(template: &str, uri: &str) -> bool {
    let mut literals = template.split('{').map(|part| part.split_once('}').map_or(part, |(_, literal)| literal));
    let Some(mut rest) = literals.next().and_then(|first| uri.strip_prefix(first)) else {
        return false;
    };
    for literal in literals {
        if literal.is_empty() {
            continue;
        }
        match rest.split_once(literal) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    template.ends_with('}') || rest.is_empty()
}

/// The arguments that a tool's schema mirrors into headers; `None` where an annotation is invalid.
fn mirrored_params(tool: &str) -> Option<Vec<MirroredParam>> {
    if !tool.contains("x-mcp-header") {
        return Some(Vec::new());
    }
    let tool: Value = serde_json::from_str(tool).ok()?;
    let schema = tool.get("inputSchema")?;
    let mut found = Vec::new();
    collect(schema, &mut Vec::new(), &mut found)?;
    let annotations = count(schema);
    let mut headers: Vec<&str> = found.iter().map(|param| param.header.as_str()).collect();
    headers.sort_unstable();
    headers.dedup();
    // What is annotated where no chain of `properties` leads, or twice, is invalid.
    (headers.len() == found.len() && found.len() == annotations).then_some(found)
}

fn collect(schema: &Value, path: &mut Vec<String>, found: &mut Vec<MirroredParam>) -> Option<()> {
    let Some(Value::Object(properties)) = schema.get("properties") else {
        return Some(());
    };
    for (key, property) in properties {
        path.push(key.clone());
        if let Some(header) = property.get("x-mcp-header") {
            let header = header.as_str().filter(|text| is_token(text))?;
            let kind = property.get("type").and_then(Value::as_str)?;
            if !matches!(kind, "string" | "integer" | "boolean") {
                return None;
            }
            let header = format!("mcp-param-{}", header.to_ascii_lowercase());
            found.push(MirroredParam { header, path: path.clone() });
        }
        collect(property, path, found)?;
        path.pop();
    }
    Some(())
}

/// Annotations anywhere in a schema; a property that is merely called so is none.
fn count(schema: &Value) -> usize {
    match schema {
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| match (key.as_str(), value) {
                ("x-mcp-header", Value::Object(_)) => count(value),
                ("x-mcp-header", _) => 1,
                _ => count(value),
            })
            .sum(),
        Value::Array(elements) => elements.iter().map(count).sum(),
        _ => 0,
    }
}

/// RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    let mark = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || mark(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renamed_entry_keeps_every_other_byte() {
        let raw = r#"{ "x":1e400, "na\u006de" : "a\"b" ,"inputSchema":{"type":"object"}, "name2":"name"}"#;
        let entry = Entry::read(Kind::Tool, raw).unwrap();
        assert_eq!(entry.key, "a\"b");
        let mut out = String::new();
        entry.write("s__a\"b", &mut out);
        assert_eq!(out, raw.replace(r#""a\"b""#, r#""s__a\"b""#));
    }

    #[test]
    fn members_are_the_bytes_that_came() {
        let raw = r#"{"name":"t","inputSchema":{ "a":1e400 },"title":"x","title":"y"}"#;
        let entry = Entry::read(Kind::Tool, raw).unwrap();
        assert_eq!(entry.raw(), raw);
        assert_eq!(entry.member("inputSchema"), Some(r#"{ "a":1e400 }"#));
        assert_eq!(entry.member("title"), None, "of two nobody knows which");
        assert_eq!(entry.member("a"), None);
    }

    #[test]
    fn uris_fit_templates() {
        for (template, uri, expected) in [
            ("test://item/{id}", "test://item/7", true),
            ("test://item/{id}", "test://other/7", false),
            ("test://{a}/data/{b}", "test://x/data/y", true),
            ("test://{a}/data", "test://x/data", true),
            ("test://{a}/data", "test://x/data/more", false),
            ("test://{+path}", "test://a/b/c", true),
        ] {
            assert_eq!(fits(template, uri), expected, "{template} {uri}");
        }
    }

    #[test]
    fn invalid_header_annotations_drop_the_tool() {
        let tool = |schema: &str| Entry::read(Kind::Tool, &format!(r#"{{"name":"t","inputSchema":{schema}}}"#));
        let good = r#"{"type":"object","properties":{"r":{"type":"string","x-mcp-header":"Region"},
            "o":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"}}}}}"#;
        let mirrored = tool(good).unwrap().mirrored;
        assert_eq!(mirrored[0], MirroredParam { header: "mcp-param-region".into(), path: vec!["r".into()] });
        assert_eq!(mirrored[1].path, ["o", "n"]);
        for bad in [
            r#"{"properties":{"r":{"type":"number","x-mcp-header":"R"}}}"#,
            r#"{"properties":{"r":{"type":"string","x-mcp-header":""}}}"#,
            r#"{"properties":{"r":{"type":"string","x-mcp-header":"a b"}}}"#,
            r#"{"properties":{"r":{"type":"string","x-mcp-header":7}}}"#,
            r#"{"properties":{"a":{"type":"string","x-mcp-header":"R"},"b":{"type":"string","x-mcp-header":"r"}}}"#,
            r#"{"properties":{"a":{"type":"array","items":{"type":"string","x-mcp-header":"R"}}}}"#,
        ] {
            assert!(tool(bad).is_none(), "{bad}");
        }
        assert!(tool(r#"{"properties":{"x-mcp-header":{"type":"string"}}}"#).is_some());
    }
}
