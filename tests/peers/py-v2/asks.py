"""Tools that need input of their client.

The SDK asks for it in the way of the client's era: on the stream of the call, or by answering
`input_required` and being called again.
"""

from typing import Annotated

from mcp.server.mcpserver.resolve import AcceptedElicitation, Elicit, ElicitationResult, ListRoots, Resolve, Sample
from mcp.shared.message import ServerMessageMetadata
from mcp.types import (
    CallToolResult,
    CreateMessageResult,
    EmptyResult,
    ListRootsResult,
    PingRequest,
    SamplingMessage,
    TextContent,
)
from peer_server import executed, result
from pydantic import BaseModel


class Answer(BaseModel):
    answer: str


async def about(topic: str) -> Elicit[Answer]:
    return Elicit(f"What of {topic}?", Answer)


async def thought(prompt: str) -> Sample:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    return Sample([message], max_tokens=9)


async def roots() -> ListRoots:
    return ListRoots()


def register_asks(server, Context):
    @server.tool()
    async def ask(
        topic: str, answered: Annotated[ElicitationResult[Answer], Resolve(about)], nonce: str | None = None
    ) -> CallToolResult:
        executed(nonce)
        said = answered.data.answer if isinstance(answered, AcceptedElicitation) else None
        return result(f"{answered.action} {said}")

    @server.tool()
    async def think(
        prompt: str, sampled: Annotated[CreateMessageResult, Resolve(thought)], nonce: str | None = None
    ) -> CallToolResult:
        executed(nonce)
        return result(sampled.content.text)

    @server.tool()
    async def where(found: Annotated[ListRootsResult, Resolve(roots)], nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        return result(" ".join(str(root.uri) for root in found.roots))

    @server.tool()
    async def poke(ctx: Context, nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        # The SDK's own method sends it on the GET stream.
        of_call = ServerMessageMetadata(related_request_id=ctx.request_id)
        await ctx.session.send_request(PingRequest(), EmptyResult, metadata=of_call)
        return result("pong")
