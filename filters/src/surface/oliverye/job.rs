//! Jobs: what producers push to lists in place of a request over HTTP.
//!
//! `{"request_id", "action": "mcp_search" | "mcp_tool_call", "payload"}`, where the payload is the body that
//! `POST /mcp/search` or `POST /mcp/execute` takes, or a string that holds it; and if they like `session_id`
//! and `reply_to`. Other members are their producer's own.

use crate::json::{self, Scanner, Span, once};
use crate::jsonrpc::Invalid;
use crate::rejection::{FieldFault, Rejection};
use crate::surface::{Operation, Row, body};
use bytes::Bytes;

/// Of an id, of a session's, and of a list's name.
const NAME_BYTES_MAX: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub id: JobId,
    pub action: Action,
    pub body: Bytes,
    /// The application session that it is done in.
    pub session: Option<String>,
    /// The list that its answer is pushed to.
    pub reply_to: Option<String>,
}

/// What the producer calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobId {
    /// As it was sent, with its quotes.
    pub raw: String,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Search,
    Call,
}

/// A message that is no job; where it can be told who sent it, it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    pub id: Option<JobId>,
    pub reason: Rejection,
}

impl Action {
    /// For metrics.
    pub fn name(self) -> &'static str {
        match self {
            Action::Search => "search",
            Action::Call => "call",
        }
    }

    /// The row whose decisions hold for it.
    pub(crate) fn row(self) -> &'static Row {
        match self {
            Action::Search => const { &super::SEARCH },
            Action::Call => const { &super::EXECUTE },
        }
    }

    pub fn operation(self) -> Operation {
        self.row().operation
    }
}

impl Job {
    pub fn read(message: &[u8]) -> Result<Job, Misfit> {
        let members = Members::read(message).map_err(|reason| Misfit { id: None, reason })?;
        let id = members.id().map_err(|reason| Misfit { id: None, reason })?;
        members.job(&id).map_err(|reason| Misfit { id: Some(id), reason })
    }
}

/// The members that mean something, raw.
#[derive(Default)]
struct Members<'m> {
    id: Option<&'m str>,
    action: Option<&'m str>,
    payload: Option<&'m str>,
    session: Option<&'m str>,
    reply_to: Option<&'m str>,
}

impl<'m> Members<'m> {
    fn read(message: &'m [u8]) -> Result<Members<'m>, Rejection> {
        let text = body::text(message)?;
        let mut scanner = Scanner::new(text);
        let [mut id, mut action, mut payload, mut session, mut reply_to] = [const { None::<Span> }; 5];
        let scanned = scanner.object(|scanner, key| {
            let slot = match key.as_ref() {
                "request_id" => &mut id,
                "action" => &mut action,
                "payload" => &mut payload,
                "session_id" => &mut session,
                "reply_to" => &mut reply_to,
                _ => return scanner.value().map(drop),
            };
            once(slot, scanner.value()?, &key)
        });
        let malformed = |malformed: json::Malformed| Rejection::Invalid(Invalid::Json(malformed.to_string()));
        scanned.and_then(|()| scanner.end()).map_err(malformed)?;
        let raw = |place: Option<Span>| place.and_then(|place| text.get(place)).filter(|raw| *raw != "null");
        let [id, action, payload, session, reply_to] = [id, action, payload, session, reply_to].map(raw);
        Ok(Members { id, action, payload, session, reply_to })
    }

    /// A text, or a whole number, which some producers count up.
    fn id(&self) -> Result<JobId, Rejection> {
        let raw = self.id.ok_or_else(|| wrong("request_id", FieldFault::Missing))?;
        let is_number = raw.bytes().all(|byte| byte.is_ascii_digit());
        let text = if is_number { raw.to_owned() } else { name("request_id", raw)? };
        if text.len() > NAME_BYTES_MAX {
            return Err(wrong("request_id", too_long()));
        }
        Ok(JobId { raw: raw.to_owned(), text })
    }

    fn job(&self, id: &JobId) -> Result<Job, Rejection> {
        let action = match self.action {
            None => return Err(wrong("action", FieldFault::Missing)),
            Some(raw) => match json::unquote(raw).as_ref() {
                "mcp_search" => Action::Search,
                "mcp_tool_call" => Action::Call,
                _ => return Err(wrong("action", fault("must be mcp_search or mcp_tool_call"))),
            },
        };
        // What is wrong with it is found out, and said, as over HTTP.
        let body = match self.payload.unwrap_or("{}") {
            quoted if quoted.starts_with('"') => json::unquote(quoted).into_owned(),
            raw => raw.to_owned(),
        };
        let session = self.session.map(|raw| name("session_id", raw)).transpose()?;
        let reply_to = self.reply_to.map(list).transpose()?;
        Ok(Job { id: id.clone(), action, body: body.into(), session, reply_to })
    }
}

fn name(member: &str, raw: &str) -> Result<String, Rejection> {
    if !raw.starts_with('"') {
        return Err(wrong(member, FieldFault::Type("string")));
    }
    match json::unquote(raw).into_owned() {
        name if (1..=NAME_BYTES_MAX).contains(&name.len()) => Ok(name),
        _ => Err(wrong(member, too_long())),
    }
}

/// Answers go where somebody reads them: not into what the gateway keeps, and not back to where jobs come from.
fn list(raw: &str) -> Result<String, Rejection> {
    let list = name("reply_to", raw)?;
    let is_taken = ["tb:", "gateway:", "request:", "agent_queue:"].iter().any(|taken| list.starts_with(taken));
    if is_taken || list == "mcp_requests" {
        return Err(wrong("reply_to", fault("names a key that is not for answers; name a list of your own")));
    }
    Ok(list)
}

fn wrong(name: &str, fault: FieldFault) -> Rejection {
    Rejection::Field { name: name.to_owned(), fault }
}

fn fault(what: &str) -> FieldFault {
    FieldFault::Value(what.to_owned())
}

fn too_long() -> FieldFault {
    FieldFault::Value(format!("must be 1 to {NAME_BYTES_MAX} bytes long"))
}

#[cfg(test)]
mod tests;
