"""MCP server on the official Python SDK 2.x, for its modern side (2026-07-28, stateless).

The SDK always serves the legacy era on the same endpoint and cannot turn it off: in a test
of the modern side, `sessions_opened` in /stats must have stayed 0.
"""

import sys
import warnings
from pathlib import Path

from mcp.server.mcpserver import Context, MCPServer
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp.types import EmptyResult, SetLevelRequestParams

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "shared"))
from peer_server import options, register, serve  # noqa: E402

warnings.simplefilter("ignore", MCPDeprecationWarning)  # logging is deprecated as of 2026-07-28


async def set_level(ctx, params):
    return EmptyResult()


args = options()
server = MCPServer(args.name, version="1.0.0", log_level="WARNING")
register(server, Context)
# MCPServer has no public way to take logging/setLevel, which is what advertises `logging`.
server._lowlevel_server.add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)
serve(server.streamable_http_app(), args.port)
