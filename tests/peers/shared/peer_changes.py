"""What changes at a Python server while it runs: its set of tools, and one resource.

How its clients hear of it differs between the SDKs, and comes in as two functions.
"""

from mcp.types import CallToolResult
from peer_server import executed, options, result

# Behind one endpoint URIs are not rewritten, so each server has its own.
WATCHED = f"test://watched/{options().name}"


def register_changes(server, Context, tools_changed, touched):
    """`await tools_changed(ctx)` and `await touched(ctx)` tell all clients that want to know."""
    touches = 0

    @server.tool()
    async def grow(name: str, ctx: Context, nonce: str | None = None) -> CallToolResult:
        async def grown(nonce: str | None = None) -> CallToolResult:
            executed(nonce)
            return result(f"grown {name}")

        executed(nonce)
        server.add_tool(grown, name=name)
        await tools_changed(ctx)
        return result(f"grew {name}")

    @server.tool()
    async def shrink(name: str, ctx: Context, nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        server.remove_tool(name)
        await tools_changed(ctx)
        return result(f"shrank {name}")

    @server.tool()
    async def touch(ctx: Context, nonce: str | None = None) -> CallToolResult:
        nonlocal touches
        executed(nonce)
        touches += 1
        await touched(ctx)
        return result(f"touched {touches}")

    @server.resource(WATCHED)
    def watched() -> str:
        return f"touched {touches}"
