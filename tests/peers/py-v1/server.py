"""Legacy MCP server (<= 2025-11-25, stateful sessions) on the official Python SDK 1.x."""

import sys
from pathlib import Path

from mcp.server.fastmcp import Context, FastMCP

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "shared"))
from peer_server import options, register, serve  # noqa: E402

args = options()
server = FastMCP(args.name, log_level="WARNING")
register(server, Context)


# FastMCP has no public way to take logging/setLevel, which is what advertises `logging`.
@server._mcp_server.set_logging_level()
async def set_level(level):
    pass


serve(server.streamable_http_app(), args.port)
