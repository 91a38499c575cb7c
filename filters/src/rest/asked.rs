//! What the body of a REST call asks for: one pass over it, and the arguments stay the text that came.

use crate::json::{self, Scanner, once};
use crate::jsonrpc::Invalid;
use crate::rejection::{FieldFault, Rejection};
use crate::surface::Surface;
use crate::surface::body::{self, Fields};

/// A tool call as its body asks for it.
pub(super) struct Asked {
    pub name: String,
    pub server: Option<String>,
    pub arguments: String,
}

impl Asked {
    /// `{name, arguments}` and every other spelling of it; one pass, and the arguments stay text.
    pub fn read(body: &[u8], surface: Surface) -> Result<Asked, Rejection> {
        let text = body::text(body)?;
        let mut scanner = Scanner::new(text);
        if scanner.peek() != Some(b'{') {
            return Err(Fields::read(body)
                .err()
                .unwrap_or(Rejection::Field { name: String::new(), fault: FieldFault::Type("object") }));
        }
        let (mut name, mut server, mut arguments, mut unknown) = (None, None, None, None);
        let scanned = scanner.object(|scanner, key| match key.as_ref() {
            "name" | "tool_name" => once(&mut name, scanner.value()?, "name"),
            "server_id" | "server_name" => once(&mut server, scanner.value()?, "server_id"),
            "arguments" | "args" => once(&mut arguments, scanner.value()?, "arguments"),
            _ => {
                unknown = Some(key.into_owned());
                scanner.value().map(drop)
            }
        });
        let malformed = |malformed: json::Malformed| Rejection::Invalid(Invalid::Json(malformed.to_string()));
        scanned.and_then(|()| scanner.end()).map_err(malformed)?;
        let field = |name: &str, fault| Rejection::Field { name: name.to_owned(), fault };
        let spelled = if surface == Surface::LitellmRest { "name" } else { "tool_name" };
        if let Some(unknown) = unknown {
            return Err(field(&unknown, FieldFault::Unknown));
        }
        let raw =
            |place: &Option<json::Span>| place.clone().and_then(|place| text.get(place)).filter(|raw| *raw != "null");
        let string = |place, name: &str| match raw(place) {
            Some(raw) if raw.starts_with('"') => Ok(Some(json::unquote(raw).into_owned())),
            Some(_) => Err(field(name, FieldFault::Type("string"))),
            None => Ok(None),
        };
        let server = string(&server, "server_id")?;
        if surface == Surface::LitellmRest && server.is_none() {
            return Err(field("server_id", FieldFault::Missing));
        }
        let name = string(&name, spelled)?.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| field(spelled, FieldFault::Missing))?;
        let arguments = arguments.and_then(|place| text.get(place)).unwrap_or("{}");
        if !arguments.starts_with('{') {
            return Err(field("arguments", FieldFault::Type("object")));
        }
        Ok(Asked { name, server, arguments: arguments.to_owned() })
    }
}

/// The body as the arguments; none is an empty object.
pub(super) fn read_arguments(body: &[u8]) -> Result<String, Rejection> {
    let text = body::text(body)?.trim_matches([' ', '\t', '\r', '\n']);
    if text.is_empty() {
        return Ok("{}".to_owned());
    }
    let mut scanner = Scanner::new(text);
    let malformed = |malformed: json::Malformed| Rejection::Invalid(Invalid::Json(malformed.to_string()));
    scanner.value().and_then(|_| scanner.end()).map_err(malformed)?;
    match text.starts_with('{') {
        true => Ok(text.to_owned()),
        false => Err(Rejection::Field { name: String::new(), fault: FieldFault::Type("object") }),
    }
}

pub(super) fn read_search(mut fields: Fields) -> Result<String, Rejection> {
    let query = fields.text(&["query"])?.filter(|query| !query.trim().is_empty());
    let query = query.ok_or_else(|| fields.wrong("query", FieldFault::Missing))?;
    fields.ignore(&["session_id"]);
    fields.end().map(|()| query)
}
