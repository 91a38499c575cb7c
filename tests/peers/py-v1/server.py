"""Legacy MCP server (<= 2025-11-25, stateful sessions) on the official Python SDK 1.x."""

import sys
from pathlib import Path
from weakref import WeakKeyDictionary

import anyio
from mcp.server.fastmcp import Context, FastMCP
from mcp.server.lowlevel import NotificationOptions

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "shared"))
from asks import register_asks  # noqa: E402
from peer_apart import register_apart  # noqa: E402
from peer_changes import WATCHED, register_changes  # noqa: E402
from peer_events import store_for_each  # noqa: E402
from peer_server import options, register, serve  # noqa: E402

# The sessions that asked for the tools or called one, and the resources each of them watches.
sessions = WeakKeyDictionary()


class Server(FastMCP):
    async def list_tools(self):
        known(self.get_context())
        return await super().list_tools()

    async def call_tool(self, name, arguments):
        known(self.get_context())
        return await super().call_tool(name, arguments)


def known(context):
    return sessions.setdefault(context.session, set())


async def tell(send, watched=None):
    for session, watches in list(sessions.items()):
        if watched is None or watched in watches:
            try:
                await send(session)
            except anyio.ClosedResourceError:
                sessions.pop(session)  # it has ended


async def tools_changed(ctx):
    await tell(lambda session: session.send_tool_list_changed())


async def touched(ctx):
    await tell(lambda session: session.send_resource_updated(WATCHED), WATCHED)


args = options()
server = Server(args.name, log_level="WARNING")
register(server, Context)
register_asks(server, Context)
register_apart(server, Context)
register_changes(server, Context, tools_changed, touched)
# FastMCP has no public way to take these three, nor to say what of them it does.
lowlevel = server._mcp_server
initialization = lowlevel.create_initialization_options


@lowlevel.set_logging_level()
async def set_level(level):
    pass


@lowlevel.subscribe_resource()
async def subscribe(uri):
    known(server.get_context()).add(str(uri))


@lowlevel.unsubscribe_resource()
async def unsubscribe(uri):
    known(server.get_context()).discard(str(uri))


def initialization_options():
    made = initialization(NotificationOptions(tools_changed=True))
    made.capabilities.resources.subscribe = True
    return made


lowlevel.create_initialization_options = initialization_options
app = server.streamable_http_app()
store_for_each(server.session_manager)
serve(app, args.port)
