"""Modern MCP client (2026-07-28) on the official Python SDK 2.x. Run with --url and --key."""

import sys
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CreateMessageResult, ElicitResult, ListRootsResult, Root, TextContent

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "shared"))
from peer_checks import expect, headers, options  # noqa: E402
from peer_client import LIMIT_S, main  # noqa: E402
from peer_rounds import rounds  # noqa: E402
from peer_tasks import tasks  # noqa: E402


class Peer:
    legacy = False
    log_meta = {"io.modelcontextprotocol/logLevel": "info"}

    def __init__(self):
        self.client = None
        self.logs = []

    @asynccontextmanager
    async def connect(self):
        http = httpx2.AsyncClient(headers=headers, timeout=LIMIT_S, trust_env=False)
        # The mode "auto" asks server/discover, but would fall back to initialize.
        async with http, Client(
            streamable_http_client(options.url, http_client=http),
            logging_callback=self.logged,
            elicitation_callback=self.elicited,
            sampling_callback=self.sampled,
            list_roots_callback=self.rooted,
            read_timeout_seconds=LIMIT_S,
        ) as client:
            expect(client.protocol_version == "2026-07-28", f"negotiated {client.protocol_version}")
            expect(client.server_info and client.server_info.name, "no server info")
            self.client = client
            yield

    def more(self):
        return rounds(self) | tasks()

    async def logged(self, params):
        self.logs.append(params)

    async def elicited(self, context, params):
        return ElicitResult(action="accept", content={"answer": f"heard: {params.message}"})

    async def sampled(self, context, params):
        said = TextContent(type="text", text=f"heard: {params.messages[-1].content.text}")
        return CreateMessageResult(role="assistant", model="none", content=said)

    async def rooted(self, context):
        return ListRootsResult(roots=[Root(uri="file:///peer", name="peer")])

    async def abandon(self, name, args, seconds):
        # Leaving the scope closes the response stream, which is what cancels in this era.
        with anyio.move_on_after(seconds):
            await self.client.call_tool(name, args)


main(Peer())
