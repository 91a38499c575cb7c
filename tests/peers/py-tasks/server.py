"""MCP server on FastMCP with its tasks extension; it serves both eras at one endpoint."""

import sys
import warnings
from pathlib import Path

import anyio
from fastmcp import Context, FastMCP
from fastmcp_tasks import TasksExtension
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp.types import CallToolResult, InputRequiredResult

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "shared"))
from peer_journey import register_journey  # noqa: E402
from peer_server import executed, options, register, result, serve  # noqa: E402
from rounds import about, register_rounds  # noqa: E402

warnings.simplefilter("ignore", MCPDeprecationWarning)  # logging is deprecated as of 2026-07-28


def register_tasks(server):
    """Tools that run as tasks for clients that know tasks."""

    @server.tool(task=True)
    async def crunch(n: int, nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        return result(f"crunched {n}")

    @server.tool(task=True)
    async def consult(topic: str, ctx: Context, nonce: str | None = None) -> CallToolResult | InputRequiredResult:
        executed(nonce)
        return about(ctx, topic)

    @server.tool(task=True)
    async def linger(nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        await anyio.sleep_forever()


args = options()
server = FastMCP(args.name, version="1.0.0")
server.add_extension(TasksExtension())
register(server, Context)
register_journey(server, Context)
register_rounds(server)
register_tasks(server)
serve(server.http_app(), args.port)
