"""What both Python servers share: arguments, /stats, and the features themselves.

The server object comes in as a parameter: FastMCP of mcp 1.x or MCPServer of mcp 2.x,
whose decorators are the same.
"""

import argparse
import asyncio
import socket
from collections import Counter
from typing import Annotated

import anyio
import uvicorn
from mcp.types import CallToolResult, Completion
from pydantic import BaseModel
from starlette.responses import JSONResponse

NAMES = ["ada", "alan", "grace"]
SESSION = b"mcp-session-id"

stats = {"sessions_opened": 0, "sessions_closed": 0, "calls": Counter(), "cancelled": 0, "counted": 0}


class Echoed(BaseModel):
    text: str


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--name", default="peer")
    return parser.parse_args()


def result(text, **more):
    return CallToolResult.model_validate({"content": [{"type": "text", "text": text}], **more})


def executed(nonce):
    if nonce is not None:
        stats["calls"][nonce] += 1


def register(server, Context):
    """Registers the six plain tools, two resources and the prompt on `server`."""

    @server.tool()
    async def echo(text: str, nonce: str | None = None) -> Annotated[CallToolResult, Echoed]:
        executed(nonce)
        return result(text, structuredContent={"text": text})

    @server.tool()
    async def add(a: float, b: float, nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        return result(f"{a + b:g}")

    @server.tool()
    async def count(n: int, ctx: Context, ms: int = 20, nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        for i in range(1, n + 1):
            await ctx.report_progress(i, n)  # sends nothing without a progressToken
            await ctx.info(f"count {i} of {n}")  # modern: nothing without a logLevel
            stats["counted"] += 1
            await anyio.sleep(ms / 1000)
        return result(f"counted {n}")

    @server.tool()
    async def slow(ms: int, nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        try:
            await anyio.sleep(ms / 1000)
        except anyio.get_cancelled_exc_class():
            stats["cancelled"] += 1
            raise
        return result(f"waited {ms}")

    @server.tool()
    async def fail(nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        return result("failed as asked", isError=True)

    @server.tool()
    async def big(bytes: int, nonce: str | None = None) -> CallToolResult:
        executed(nonce)
        return result("x" * bytes)

    @server.resource("test://static")
    def static() -> str:
        return "static text"

    @server.resource("test://item/{id}")
    def item(id: str) -> str:
        return f"item {id}"

    @server.prompt()
    def greet(name: str) -> str:
        return f"Hello {name}"

    @server.completion()
    async def complete(ref, argument, context):
        if argument.name != "name":
            return None
        return Completion(values=[name for name in NAMES if name.startswith(argument.value)])

    @server.custom_route("/stats", methods=["GET"])
    async def get_stats(request):
        return JSONResponse(stats)


def counting_sessions(app):
    """Counts sessions from outside the SDK, by what it answers: neither SDK has a hook."""

    async def wrapped(scope, receive, send):
        async def observed(message):
            if message["type"] == "http.response.start" and message["status"] == 200:
                asked = SESSION in dict(scope["headers"])
                if scope["method"] == "DELETE":
                    stats["sessions_closed"] += 1
                elif not asked and SESSION in dict(message["headers"]):
                    stats["sessions_opened"] += 1
            await send(message)

        await app(scope, receive, observed if scope["type"] == "http" else send)

    return wrapped


def serve(app, port):
    """Serves `app` on 127.0.0.1 until SIGTERM, and announces the port once it listens."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    config = uvicorn.Config(counting_sessions(app), log_level="warning", timeout_graceful_shutdown=1)

    async def run():
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        print(f"listening {listener.getsockname()[1]}", flush=True)
        await serving

    asyncio.run(run())
