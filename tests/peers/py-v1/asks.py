"""Tools that ask their client on the stream of the call."""

from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    CallToolResult,
    EmptyResult,
    ListRootsRequest,
    ListRootsResult,
    PingRequest,
    SamplingMessage,
    ServerRequest,
    TextContent,
)
from peer_server import executed, result
from pydantic import BaseModel


class Answer(BaseModel):
    answer: str


def register_asks(server, Context):
    @server.tool()
    async def ask(topic: str, ctx: Context, nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        answered = await ctx.elicit(f"What of {topic}?", Answer)
        said = answered.data.answer if answered.action == "accept" else None
        return result(f"{answered.action} {said}")

    @server.tool()
    async def think(prompt: str, ctx: Context, nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
        sampled = await ctx.session.create_message([message], max_tokens=9, related_request_id=ctx.request_id)
        return result(sampled.content.text)

    async def send(ctx, request, result_type):
        """The SDK's own methods for these send them on the GET stream."""
        of_call = ServerMessageMetadata(related_request_id=ctx.request_id)
        return await ctx.session.send_request(ServerRequest(request), result_type, metadata=of_call)

    @server.tool()
    async def where(ctx: Context, nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        roots = (await send(ctx, ListRootsRequest(method="roots/list"), ListRootsResult)).roots
        return result(" ".join(str(root.uri) for root in roots))

    @server.tool()
    async def poke(ctx: Context, nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        await send(ctx, PingRequest(method="ping"), EmptyResult)
        return result("pong")
