"""Tools of legacy Python servers that leave the stream of their call."""

import anyio
from mcp.types import CallToolResult
from peer_server import executed, result


def register_apart(server, Context):
    @server.tool()
    async def where_apart(ctx: Context, nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        # The SDK asks for roots on the GET stream; it has no other way.
        return result(" ".join(str(root.uri) for root in (await ctx.session.list_roots()).roots))

    @server.tool()
    async def announce(text: str, ctx: Context, nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        # Without the id of a request this goes out on the GET stream.
        await ctx.session.send_log_message(level="info", data=text)
        return result("announced")

    @server.tool()
    async def defer(ms: int, ctx: Context, nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        await ctx.close_sse_stream()
        await anyio.sleep(ms / 1000)
        return result(f"deferred {ms}")
