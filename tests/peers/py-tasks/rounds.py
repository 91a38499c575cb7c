"""Tools that answer `input_required`, and are called again with the responses."""

from fastmcp import Context
from mcp.types import (
    CallToolResult,
    CreateMessageRequest,
    CreateMessageRequestParams,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
)
from peer_journey import elicitation
from peer_server import executed, result


def once(ctx, request, told):
    """Asks once; `told(response)` is what the tool then answers."""
    responses = ctx.input_responses or {}
    if "wanted" not in responses:
        return InputRequiredResult(input_requests={"wanted": request})
    return result(told(responses["wanted"]))


def about(ctx, topic):
    return once(ctx, elicitation(topic), lambda response: f"{response.action} {(response.content or {}).get('answer')}")


def register_rounds(server):
    @server.tool()
    async def ask(topic: str, ctx: Context, nonce: str | None = None) -> CallToolResult | InputRequiredResult:
        executed(nonce)
        return about(ctx, topic)

    @server.tool()
    async def think(prompt: str, ctx: Context, nonce: str | None = None) -> CallToolResult | InputRequiredResult:
        executed(nonce)
        message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
        request = CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=9))
        return once(ctx, request, lambda response: response.content.text)

    @server.tool()
    async def where(ctx: Context, nonce: str | None = None) -> CallToolResult | InputRequiredResult:
        executed(nonce)
        return once(ctx, ListRootsRequest(), lambda response: " ".join(str(root.uri) for root in response.roots))
