//! The questions that the gateway asks servers on its own account.

use super::ask::Question;
use tollbridge_filters::catalog::Kind;
use tollbridge_filters::era::{Era, MODERN};
use tollbridge_filters::json;

/// How the gateway introduces itself where it does not speak for a client.
pub const OWN_INFO: &str = concat!(r#"{"name":"tollbridge","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

/// What is declared in discovery, so that a server shows everything that some client may use.
pub const EVERY_CAPABILITY: &str = r#"{"roots":{},"sampling":{},"elicitation":{"form":{},"url":{}}}"#;

impl<'q> Question<'q> {
    pub fn discover() -> Question<'q> {
        Question::modern("server/discover", "")
    }

    fn modern(method: &'q str, members: &str) -> Question<'q> {
        let meta = format!(
            r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientInfo":{OWN_INFO},"io.modelcontextprotocol/clientCapabilities":{EVERY_CAPABILITY}}}"#
        );
        let params = format!("{{{members}{meta}}}");
        Question { era: Era::Modern, version: None, session: None, id: Some(1), method, params, headers: None }
    }

    pub fn initialize(version: &str, capabilities: &str, client_info: &str) -> Question<'q> {
        let version = json::quote(version);
        let params =
            format!(r#"{{"protocolVersion":{version},"capabilities":{capabilities},"clientInfo":{client_info}}}"#);
        Question {
            era: Era::Legacy,
            version: None,
            session: None,
            id: Some(0),
            method: "initialize",
            params,
            headers: None,
        }
    }

    pub fn initialized(version: &'q str, session: Option<&'q str>) -> Question<'q> {
        Question { id: None, method: "notifications/initialized", ..Question::ping(version, session) }
    }

    pub fn ping(version: &'q str, session: Option<&'q str>) -> Question<'q> {
        let (era, params) = (Era::Legacy, "{}".to_owned());
        Question { era, version: Some(version), session, id: Some(1), method: "ping", params, headers: None }
    }

    pub fn set_level(version: &'q str, session: Option<&'q str>, level: &str) -> Question<'q> {
        let params = format!(r#"{{"level":{}}}"#, json::quote(level));
        Question { method: "logging/setLevel", params, ..Question::ping(version, session) }
    }

    pub fn subscribe(version: &'q str, session: Option<&'q str>, uri: &str) -> Question<'q> {
        let params = format!(r#"{{"uri":{}}}"#, json::quote(uri));
        Question { method: "resources/subscribe", params, ..Question::ping(version, session) }
    }

    /// To hear when lists change; these are the members of `notifications`.
    pub fn listen(lists: &[&str]) -> Question<'q> {
        let wanted: Vec<String> = lists.iter().map(|list| format!("{}:true", json::quote(list))).collect();
        let members = format!(r#""notifications":{{{}}},"#, wanted.join(","));
        Question::modern("subscriptions/listen", &members)
    }

    /// One page of a list; `legacy` is the revision and session to ask in, if it is a legacy server.
    pub fn list(kind: Kind, cursor: Option<&str>, legacy: Option<(&'q str, Option<&'q str>)>) -> Question<'q> {
        let cursor = cursor.map(|cursor| format!(r#""cursor":{}"#, json::quote(cursor))).unwrap_or_default();
        match legacy {
            Some((version, session)) => {
                let params = format!("{{{cursor}}}");
                Question { method: kind.list_method(), params, ..Question::ping(version, session) }
            }
            None if cursor.is_empty() => Question::modern(kind.list_method(), ""),
            None => Question::modern(kind.list_method(), &format!("{cursor},")),
        }
    }
}
