//! What every document says: how a call is paid for, what a result and a failure look like.

use serde_json::{Map, Value, json};

/// The schemas of [`components`], whose names no tool gets.
pub(super) const SCHEMAS: [&str; 4] = ["CallToolResult", "ContentBlock", "Problem", "ResultForm"];

pub(super) fn components(schemas_of_tools: Map<String, Value>) -> Value {
    let mut schemas = schemas();
    schemas.extend(schemas_of_tools);
    json!({
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        "parameters": {"result": {
            "name": "result",
            "in": "query",
            "description": "What a successful call answers: `structured`, the structured content where the tool gives \
                it, or `whole`, always the whole CallToolResult.",
            "schema": {"allOf": [{"$ref": "#/components/schemas/ResultForm"}], "default": "structured"},
        }},
        "responses": {"Problem": {
            "description": "The call failed. The body says who failed and what to do.",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }},
        "schemas": schemas,
    })
}

fn schemas() -> Map<String, Value> {
    let result = json!({
        "type": "object",
        "description": "The result of a tool (MCP, CallToolResult).",
        "properties": {
            "content": {"type": "array", "items": {"$ref": "#/components/schemas/ContentBlock"}},
            "structuredContent": {"type": "object"},
            "isError": {"type": "boolean"},
            "_meta": {"type": "object"},
        },
        "required": ["content"],
    });
    let content = json!({
        "type": "object",
        "description": "Text, an image, audio, a resource or a link to one (MCP, ContentBlock).",
        "properties": {"type": {"type": "string"}},
        "required": ["type"],
    });
    let problem = json!({
        "type": "object",
        "description": "Why a call failed (RFC 9457).",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "requestId": {"type": "string"},
            "source": {"type": "string", "description": "Who failed: downstream, gateway or upstream."},
            "result": {
                "description": "What the tool said of its own failure.",
                "allOf": [{"$ref": "#/components/schemas/CallToolResult"}],
            },
        },
        "required": ["type", "title", "status"],
    });
    let form = json!({"type": "string", "enum": ["structured", "whole"]});
    SCHEMAS.map(str::to_owned).into_iter().zip([result, content, problem, form]).collect()
}
