//! Tags: where several servers are behind one endpoint, what a server names itself (the ids of its
//! requests, tasks) is marked with the server, so that the client's answer finds its way back.
//! Nothing else of a message changes.

use crate::json::{self, Malformed, Scanner, Span, once};
use crate::jsonrpc::is_id;
use crate::names::{self, ServerId};
use crate::route::{Splice, spliced};
use std::borrow::Cow;

/// What of a server's messages is tagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    /// One server, or a caller that is never asked anything: bytes as they came.
    Nothing,
    /// A legacy stream: the ids of the server's requests, and the events'.
    Session,
    /// A modern request that declares tasks: their ids.
    Tasks,
}

/// The places in a server's message that may name something of its own.
#[derive(Default)]
struct Places {
    method: Option<Span>,
    id: Option<Span>,
    /// `params.requestId`
    request: Option<Span>,
    /// `params.taskId` or `result.taskId`
    task: Option<Span>,
    /// `params._meta.progressToken`
    token: Option<Span>,
}

/// A server's message as the client of several gets it.
pub fn tag<'m>(tags: Tags, server: &ServerId, message: &'m str) -> Cow<'m, str> {
    let Ok(places) = Places::read(message) else {
        return Cow::Borrowed(message);
    };
    let raw = |place: &Option<Span>| place.clone().and_then(|place| message.get(place));
    let method = raw(&places.method).map(json::unquote);
    let mut splices = Vec::new();
    let mut mark = |place: &Option<Span>, value: &str| {
        splices.extend(place.clone().map(|place| Splice::name(place, &names::tagged(server, value))));
    };
    match (tags, method.as_deref()) {
        (Tags::Nothing, _) => return Cow::Borrowed(message),
        (Tags::Session, Some("notifications/cancelled")) => {
            mark(&places.request, raw(&places.request).unwrap_or_default());
        }
        (Tags::Session, Some(_)) if places.id.is_some() => {
            mark(&places.id, raw(&places.id).unwrap_or_default());
            mark(&places.token, raw(&places.token).unwrap_or_default());
        }
        (Tags::Tasks, _) if raw(&places.task).is_some_and(|task| task.starts_with('"')) => {
            mark(&places.task, &json::unquote(raw(&places.task).unwrap_or_default()));
        }
        (Tags::Session | Tags::Tasks, _) => {}
    }
    match splices.as_slice() {
        [] => Cow::Borrowed(message),
        splices => {
            let marked = spliced(message.as_bytes(), splices.iter());
            String::from_utf8(marked).map_or(Cow::Borrowed(message), Cow::Owned)
        }
    }
}

/// The server behind a tagged value, and the value as the server gave it.
pub fn untag(tagged: &str) -> Option<(ServerId, &str)> {
    let (server, value) = names::split(tagged)?;
    let id = ServerId::derive(server).ok().filter(|id| id.as_str() == server)?;
    Some((id, value))
}

/// The same for an id or a token, whose value goes into a message as it is: a client that makes one up
/// must not write more than that.
pub fn untag_raw(tagged: &str) -> Option<(ServerId, &str)> {
    untag(tagged).filter(|(_, raw)| {
        let mut scanner = Scanner::new(raw);
        is_id(raw) && scanner.value() == Ok(0..raw.len())
    })
}

impl Places {
    fn read(message: &str) -> Result<Places, Malformed> {
        let mut places = Places::default();
        let mut scanner = Scanner::tolerant(message);
        scanner.object(|scanner, key| match key.as_ref() {
            "method" => once(&mut places.method, scanner.value()?, "method"),
            "id" => once(&mut places.id, scanner.value()?, "id"),
            "params" | "result" if scanner.peek() == Some(b'{') => {
                scanner.object(|scanner, key| places.inner(scanner, &key))
            }
            _ => scanner.value().map(drop),
        })?;
        scanner.end()?;
        Ok(places)
    }

    fn inner(&mut self, scanner: &mut Scanner<'_>, key: &str) -> Result<(), Malformed> {
        match key {
            "requestId" => once(&mut self.request, scanner.value()?, key),
            "taskId" => once(&mut self.task, scanner.value()?, key),
            "_meta" if scanner.peek() == Some(b'{') => scanner.object(|scanner, key| match key.as_ref() {
                "progressToken" => once(&mut self.token, scanner.value()?, "progressToken"),
                _ => scanner.value().map(drop),
            }),
            _ => scanner.value().map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> ServerId {
        ServerId::derive("s-1").unwrap()
    }

    #[test]
    fn what_a_server_names_is_tagged_and_nothing_else() {
        #[rustfmt::skip]
        let table = [
            (Tags::Session, r#"{ "id" : 0,"method":"ping"}"#, r#"{ "id" : "s-1__0","method":"ping"}"#),
            (Tags::Session, r#"{"id":"a","method":"sampling/createMessage","params":{"_meta":{"progressToken":7}}}"#,
                r#"{"id":"s-1__\"a\"","method":"sampling/createMessage","params":{"_meta":{"progressToken":"s-1__7"}}}"#),
            (Tags::Session, r#"{"method":"notifications/cancelled","params":{"requestId":3}}"#,
                r#"{"method":"notifications/cancelled","params":{"requestId":"s-1__3"}}"#),
            (Tags::Session, r#"{"id":3,"result":{"taskId":"t","n":1e400}}"#, r#"{"id":3,"result":{"taskId":"t","n":1e400}}"#),
            (Tags::Session, r#"{"method":"notifications/progress","params":{"progressToken":3}}"#,
                r#"{"method":"notifications/progress","params":{"progressToken":3}}"#),
            (Tags::Tasks, r#"{"id":3,"result":{"resultType":"task","taskId":"t\u0041"}}"#,
                r#"{"id":3,"result":{"resultType":"task","taskId":"s-1__tA"}}"#),
            (Tags::Tasks, r#"{"method":"notifications/tasks","params":{"taskId":"t"}}"#,
                r#"{"method":"notifications/tasks","params":{"taskId":"s-1__t"}}"#),
            (Tags::Tasks, r#"{"id":3,"result":{"content":[]}}"#, r#"{"id":3,"result":{"content":[]}}"#),
            (Tags::Nothing, r#"{"id":0,"method":"ping"}"#, r#"{"id":0,"method":"ping"}"#),
            (Tags::Session, "no JSON", "no JSON"),
        ];
        for (tags, message, expected) in table {
            assert_eq!(tag(tags, &server(), message), expected, "{tags:?}");
        }
    }

    #[test]
    fn a_tag_leads_back_and_carries_nothing_in() {
        for raw in ["0", "-7", r#""a""#, r#""a\"b""#, r#""x__y""#] {
            assert_eq!(untag_raw(&names::tagged(&server(), raw)), Some((server(), raw)));
        }
        for made_up in [
            "s-1__0,\"method\":\"x\"",
            "s-1__\"a\",\"b\"",
            "s-1__",
            "S-1__0",
            "__0",
            "s-1_0",
            "s-1__1.5",
            "s-1__{}",
            "s-1__-",
        ] {
            assert_eq!(untag_raw(made_up), None, "{made_up}");
        }
    }
}
