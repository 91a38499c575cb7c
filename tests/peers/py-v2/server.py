"""MCP server on the official Python SDK 2.x: its modern side (2026-07-28, stateless) and its legacy side.

The SDK always serves the legacy era on the same endpoint and cannot turn it off: in a test
of the modern side, `sessions_opened` in /stats must have stayed 0.
"""

import sys
import warnings
from pathlib import Path
from weakref import WeakKeyDictionary

from mcp.server.lowlevel import NotificationOptions
from mcp.server.mcpserver import Context, MCPServer
from mcp.shared.exceptions import MCPDeprecationWarning
from mcp.types import EmptyResult, SetLevelRequestParams, SubscribeRequestParams, UnsubscribeRequestParams

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "shared"))
from asks import register_asks  # noqa: E402
from peer_apart import register_apart  # noqa: E402
from peer_changes import WATCHED, register_changes  # noqa: E402
from peer_events import store_for_each  # noqa: E402
from peer_journey import register_journey  # noqa: E402
from peer_server import options, register, serve  # noqa: E402

warnings.simplefilter("ignore", MCPDeprecationWarning)  # logging is deprecated as of 2026-07-28

MODERN = "2026-07-28"

# The legacy sessions, and the resources each of them watches.
connections = WeakKeyDictionary()


def watches(ctx):
    return connections.setdefault(ctx.session._connection, set())


async def noting_sessions(ctx, call_next):
    if ctx.protocol_version != MODERN:
        watches(ctx)
    return await call_next(ctx)


async def tools_changed(ctx):
    await ctx.notify_tools_changed()  # in the modern era
    for connection in list(connections):
        await connection.send_tool_list_changed()


async def touched(ctx):
    await ctx.notify_resource_updated(WATCHED)  # in the modern era
    for connection, watched in list(connections.items()):
        if WATCHED in watched:
            await connection.send_resource_updated(WATCHED)


async def set_level(ctx, params):
    return EmptyResult()


async def subscribe(ctx, params):
    watches(ctx).add(str(params.uri))
    return EmptyResult()


async def unsubscribe(ctx, params):
    watches(ctx).discard(str(params.uri))
    return EmptyResult()


args = options()
server = MCPServer(args.name, version="1.0.0", log_level="WARNING", middleware=[noting_sessions])
register(server, Context)
register_asks(server, Context)
register_journey(server, Context)
register_apart(server, Context)
register_changes(server, Context, tools_changed, touched)
# MCPServer has no public way to take these, nor to say what of them it does.
lowlevel = server._lowlevel_server
lowlevel.add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)
lowlevel.add_request_handler("resources/subscribe", SubscribeRequestParams, subscribe)
lowlevel.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, unsubscribe)
initialization = lowlevel.create_initialization_options
lowlevel.create_initialization_options = lambda: initialization(NotificationOptions(tools_changed=True))
app = server.streamable_http_app()
store_for_each(server.session_manager)
serve(app, args.port)
