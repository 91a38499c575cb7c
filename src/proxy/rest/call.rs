//! A tool call of a REST surface: carried as MCP, answered in the surface's words.

use super::super::Proxy;
use super::super::caller::Caller;
use super::super::client::{self, Client};
use super::super::exchange::{Exchange, Lane};
use crate::carry::{self, Gone, No, Trace, Translated, said};
use crate::reply::{Shape, Shaped};
use http::Method;
use pingora::{Error, ErrorType, Result};
use tollbridge_filters::catalog::Snapshot;
use tollbridge_filters::route::{Calling, Carry, Form};
use tollbridge_filters::surface::{Operation, Surface};

/// What became of a call, for callers who do not read bodies.
pub(in crate::proxy) const OUTCOME: &str = "X-MCP-Outcome";

impl Proxy {
    /// A tool call of another surface.
    pub(in crate::proxy) async fn call(
        &self,
        caller: &mut Caller<'_>,
        exchange: &mut Exchange,
        snapshot: &Snapshot,
        carry: &Carry,
        calling: &Calling,
    ) -> Result<()> {
        exchange.label(Lane::Carry, "tools/call");
        self.say(exchange, carry);
        exchange.surface = calling.surface;
        exchange.era = Some(carry.era);
        exchange.tool = carry.name.clone();
        let forwarded = self.forwarded_of_rest(caller, carry);
        let mut trace = Trace { request_id: exchange.request_id().to_owned(), ..Trace::default() };
        let request_id = exchange.request_id().to_owned();
        let bytes_max = self.gateway.live().conf.limits.response_bytes;
        let mut client = Client::new(caller, exchange);
        let id = carry.envelope.id().unwrap_or_default();
        let mut translated = Translated::new(&mut client, calling, id, bytes_max);
        let done = carry::carry(&self.gateway, carry, &forwarded, &|| None, &mut translated, &mut trace).await;
        let ended = said(done, translated.ending(), carry, calling, snapshot);
        let streams = translated.streams() || calling.form == Form::Events && ended.is_ok();
        let gone = match (&ended, streams) {
            (Err(No::Gone), _) => Err(Gone),
            (Ok(reply), true) => {
                let sent = translated.event(last_event(calling, "result"), &reply.body.concat()).await;
                if sent.is_ok() { translated.close().await } else { sent }
            }
            (Err(no), true) => {
                let shaped = shaped(no, calling, &request_id);
                let sent = translated.event(last_event(calling, "error"), &shaped.body).await;
                if sent.is_ok() { translated.close().await } else { sent }
            }
            (_, false) => Ok(()),
        };
        exchange.note(trace);
        match (ended, gone, streams) {
            (_, Err(Gone), _) => {
                exchange.has_gone();
                Error::e_explain(ErrorType::ConnectionClosed, "the client went away")
            }
            (Ok(_), Ok(()), true) => Ok(()),
            (Ok(reply), Ok(()), false) => {
                let headers = [(OUTCOME, reply.outcome.name())];
                client::say(caller, exchange, 200, "application/json", &headers, reply.body).await
            }
            (Err(no), Ok(()), true) => {
                exchange.outcome = shaped(&no, calling, &request_id).label;
                Ok(())
            }
            (Err(no), Ok(()), false) => {
                if let No::Failed(failure) = &no {
                    tracing::warn!(%failure, request_id = exchange.request_id(), "a call failed");
                }
                let shaped = shaped(&no, calling, &request_id);
                client::say_no(caller, exchange, shaped, Some((OUTCOME, "error"))).await
            }
        }
    }

    /// Of the caller's headers, those that are configured and those of tracing. What MCP clients mirror
    /// is the gateway's to write here.
    fn forwarded_of_rest(&self, caller: &Caller<'_>, carry: &Carry) -> http::HeaderMap {
        let mut forwarded = self.forwarded(caller.head(), &carry.servers);
        let foreign: Vec<_> = forwarded.keys().filter(|name| is_mcp(name)).cloned().collect();
        for name in foreign {
            forwarded.remove(name);
        }
        carry::mirror(carry, &mut forwarded);
        forwarded
    }
}

fn is_mcp(name: &http::HeaderName) -> bool {
    name.as_str().starts_with("mcp-") || name.as_str() == "last-event-id"
}

/// JSON-RPC has one name for every message.
fn last_event(calling: &Calling, name: &'static str) -> &'static str {
    if calling.surface == Surface::Rpc { "message" } else { name }
}

fn shaped(no: &No, calling: &Calling, request_id: &str) -> Shaped {
    let operation = Some(Operation::Call);
    let (surface, id) = (calling.surface, calling.id.as_deref());
    Shape { surface, verb: &Method::POST, operation, id, request_id }.put(no.trouble())
}
