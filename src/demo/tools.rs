//! What both demonstration servers offer: five tools, a resource and a prompt.

mod catalog;

use super::upstream::Era;
use rmcp::model::*;
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::time::Duration;

const COUNT_MAX: u32 = 1_000;
const SLOW_MS_MAX: u64 = 60_000;

#[derive(Clone, Copy)]
pub(super) struct Tools {
    era: Era,
}

impl Tools {
    pub(super) fn new(era: Era) -> Tools {
        Tools { era }
    }
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let offers = ServerCapabilities::builder().enable_tools().enable_resources().enable_prompts().build();
        let info = ServerConfig::new(offers)
            .with_server_info(Implementation::new(self.era.server_id(), env!("CARGO_PKG_VERSION")))
            .with_instructions("Tools to try a gateway with.");
        match self.era {
            // Otherwise rmcp falls back to a version that it may not speak, and answers `initialize`.
            Era::Modern => info.with_protocol_version(ProtocolVersion::V_2026_07_28),
            Era::Legacy => info.with_protocol_version(ProtocolVersion::V_2025_11_25),
        }
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(self.era.versions())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(catalog::tools()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        catalog::tools().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(call.arguments.unwrap_or_default());
        let result = match call.name.as_ref() {
            "echo" => echo(parse(arguments)?),
            "add" => add(parse(arguments)?),
            "count" => count(parse(arguments)?, context).await?,
            "slow" => slow(parse(arguments)?, context).await?,
            "fail" => CallToolResult::error(text("failed as asked")),
            unknown => return Err(ErrorData::invalid_params(format!("no tool {unknown:?}"), None)),
        };
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(vec![catalog::readme()]))
    }

    async fn read_resource(
        &self,
        read: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        if read.uri != catalog::README_URI {
            return Err(ErrorData::resource_not_found("no such resource", Some(json!({"uri": read.uri}))));
        }
        let readme = format!("# {}\n\nA demonstration server behind Tollbridge.\n", self.era.server_id());
        let contents = ResourceContents::text(readme, read.uri).with_mime_type("text/markdown");
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(vec![catalog::greet()]))
    }

    async fn get_prompt(
        &self,
        get: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        if get.name != "greet" {
            return Err(ErrorData::invalid_params(format!("no prompt {:?}", get.name), None));
        }
        let Greet { name } = parse(Value::Object(get.arguments.unwrap_or_default()))?;
        let message = PromptMessage::new_text(Role::User, format!("Hello {name}"));
        Ok(GetPromptResult::new(vec![message]).into())
    }
}

#[derive(Deserialize)]
struct Echo {
    text: String,
}

#[derive(Deserialize)]
struct Add {
    a: f64,
    b: f64,
}

#[derive(Deserialize)]
struct Count {
    n: u32,
}

#[derive(Deserialize)]
struct Slow {
    ms: u64,
}

#[derive(Deserialize)]
struct Greet {
    name: String,
}

fn parse<T: DeserializeOwned>(arguments: Value) -> Result<T, ErrorData> {
    serde_json::from_value(arguments).map_err(|error| ErrorData::invalid_params(error.to_string(), None))
}

fn echo(Echo { text: said }: Echo) -> CallToolResult {
    let mut result = CallToolResult::structured(json!({"text": said}));
    result.content = text(said);
    result
}

fn add(Add { a, b }: Add) -> CallToolResult {
    CallToolResult::success(text((a + b).to_string()))
}

async fn count(Count { n }: Count, context: RequestContext<RoleServer>) -> Result<CallToolResult, ErrorData> {
    if n > COUNT_MAX {
        return Err(ErrorData::invalid_params(format!("n is at most {COUNT_MAX}"), None));
    }
    for step in 1..=n {
        pause(Duration::from_millis(200), &context).await?;
        if let Some(token) = context.meta.get_progress_token() {
            let progress = ProgressNotificationParam::new(token, step.into()).with_total(n.into());
            // Who does not listen any more has cancelled the call; the next pause sees it.
            let _ = context.peer.notify_progress(progress).await;
        }
    }
    Ok(CallToolResult::success(text(format!("counted to {n}"))))
}

async fn slow(Slow { ms }: Slow, context: RequestContext<RoleServer>) -> Result<CallToolResult, ErrorData> {
    if ms > SLOW_MS_MAX {
        return Err(ErrorData::invalid_params(format!("ms is at most {SLOW_MS_MAX}"), None));
    }
    pause(Duration::from_millis(ms), &context).await?;
    Ok(CallToolResult::success(text(format!("waited {ms} ms"))))
}

async fn pause(length: Duration, context: &RequestContext<RoleServer>) -> Result<(), ErrorData> {
    tokio::select! {
        () = tokio::time::sleep(length) => Ok(()),
        () = context.ct.cancelled() => Err(ErrorData::internal_error("cancelled", None)),
    }
}

fn text(text: impl Into<String>) -> Vec<ContentBlock> {
    vec![ContentBlock::text(text)]
}
