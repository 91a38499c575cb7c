//! Servers of RouteIQ's REST dialect: a call is `POST {base}/tools/call`, and its answer no JSON-RPC.

use super::relay::{Relay, status_of};
use super::{AnswerHead, Conversation, Downstream, Stop};
use crate::failure::Reason;
use bytes::Bytes;
use http::HeaderValue;
use tollbridge_filters::json;
use tollbridge_filters::rejection::Rejection;
use tollbridge_filters::route::Carry;
use tollbridge_filters::translate::{Told, to_rpc};

impl Conversation<'_> {
    /// The same conversation, with what such a server understands.
    pub(super) fn in_plain(&self, base: &str) -> Result<Conversation<'_>, Stop> {
        let envelope = &self.carry.envelope;
        let (path, body) = match envelope.method().as_ref() {
            "tools/call" => {
                let name = self.carry.name.as_deref().map_or_else(|| json::quote(""), json::quote);
                let arguments = envelope.arguments().unwrap_or("{}");
                ("tools/call", format!(r#"{{"tool_name":{name},"arguments":{arguments}}}"#))
            }
            "resources/read" => {
                ("resources/read", format!(r#"{{"uri":{}}}"#, json::quote(&envelope.uri().unwrap_or_default())))
            }
            other => return Err(Stop::Rejected(Rejection::UnknownMethod(other.to_owned()))),
        };
        Ok(Conversation { body: body.into(), path: Some(format!("{base}/{path}")), ..*self })
    }
}

impl<D: Downstream> Relay<'_, D> {
    /// Takes the whole answer. REST surfaces get it as it is; for MCP clients it becomes a result.
    pub(super) async fn run_plain(mut self, carry: &Carry) -> Result<(), Stop> {
        let done = self.plain(carry).await;
        match &done {
            Ok(()) => self.endpoint.health.answered(),
            Err(Stop::Failed(_)) => self.pool.failed(self.endpoint),
            Err(_) => {}
        }
        self.link.close().await;
        done
    }

    async fn plain(&mut self, carry: &Carry) -> Result<(), Stop> {
        let status = status_of(&self.link);
        self.trace.status = status;
        if let 401 | 403 = status {
            return Err(self.failed(Reason::Credential(status)));
        }
        let body = self.whole(self.asked.gateway.live().conf.limits.response_bytes).await?;
        if carry.calling.is_some() {
            return self.hand_down(status, body).await;
        }
        let told =
            Told::read_plain(body, status).ok_or_else(|| self.bad_reply("it is no answer of the REST dialect"))?;
        let id = carry.envelope.id().unwrap_or("null");
        let answer = match carry.envelope.method().as_ref() {
            "resources/read" => tollbridge_filters::translate::to_resource(&told, id, carry),
            _ => to_rpc(&told, id, carry.era),
        };
        self.hand_down(200, answer).await
    }

    async fn hand_down(&mut self, status: u16, body: Bytes) -> Result<(), Stop> {
        let content_type = HeaderValue::from_static("application/json");
        let content_length = Some(body.len() as u64);
        self.down.begin(AnswerHead { status, content_type, content_length, retry_after: None }).await?;
        self.pass(body).await?;
        Ok(self.down.end().await?)
    }
}
