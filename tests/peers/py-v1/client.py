"""Legacy MCP client (initialize handshake, sessions) on the official Python SDK 1.x.

Run with --url and --key; --profile everything is for server-everything.
"""

import sys
from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import (
    CancelledNotification,
    CancelledNotificationParams,
    ClientNotification,
    CreateMessageResult,
    ElicitResult,
    ListRootsResult,
    ResourceUpdatedNotification,
    Root,
    ServerNotification,
    TextContent,
)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "shared"))
from peer_checks import expect, headers, options  # noqa: E402
from peer_client import LIMIT_S, main  # noqa: E402
from peer_streams import streams  # noqa: E402


class Peer:
    legacy = True
    log_meta = None

    def __init__(self):
        self.client = self.session_id = self.version = None
        self.logs, self.gets, self.heard = [], [], defaultdict(list)

    @asynccontextmanager
    async def connect(self):
        # The SDK gives up on a GET stream on which nothing was read for some time, twice.
        timeout = httpx.Timeout(LIMIT_S, read=300)
        hooks = {"response": [self.answered]}
        http = httpx.AsyncClient(headers=headers, timeout=timeout, event_hooks=hooks, trust_env=False)
        async with http, streamable_http_client(options.url, http_client=http) as (read, write, session_id):
            async with ClientSession(
                read,
                write,
                logging_callback=self.logged,
                elicitation_callback=self.elicited,
                sampling_callback=self.sampled,
                list_roots_callback=self.rooted,
                message_handler=self.notified,
            ) as client:
                with anyio.fail_after(LIMIT_S):
                    server = await client.initialize()
                expect(server.serverInfo.name, "no server info")
                self.client, self.session_id, self.version = client, session_id(), server.protocolVersion
                yield

    def more(self):
        return streams(self)

    def session(self):
        """The headers of a request in this session, past the SDK."""
        return {"mcp-protocol-version": self.version, "mcp-session-id": self.session_id}

    async def answered(self, response):
        if response.request.method == "GET":
            self.gets.append((response.is_success, response.request.headers.get("last-event-id")))

    async def logged(self, params):
        self.logs.append(params)

    async def notified(self, message):
        if isinstance(message, ServerNotification):
            notification = message.root
            uri = str(notification.params.uri) if isinstance(notification, ResourceUpdatedNotification) else None
            self.heard[notification.method].append(uri)

    async def elicited(self, context, params):
        return ElicitResult(action="accept", content={"answer": f"heard: {params.message}", "name": "Ada"})

    async def sampled(self, context, params):
        said = TextContent(type="text", text=f"heard: {params.messages[-1].content.text}")
        return CreateMessageResult(role="assistant", model="none", content=said)

    async def rooted(self, context):
        return ListRootsResult(roots=[Root(uri="file:///peer", name="peer")])

    async def abandon(self, name, args, seconds):
        # This SDK forgets a cancelled call without telling the server, and hands out no
        # request ids, so the notification is sent by hand with the id it is about to use.
        request = self.client._request_id
        with anyio.move_on_after(seconds):
            await self.client.call_tool(name, args)
        params = CancelledNotificationParams(requestId=request, reason="abandoned")
        await self.client.send_notification(ClientNotification(CancelledNotification(params=params)))

    async def ended(self):
        """Uses the session after connect() ended it with a DELETE."""
        expect(self.session_id, "the server gave no session id")
        more = self.session() | {"accept": "application/json, text/event-stream"}
        async with httpx.AsyncClient(headers=headers | more, trust_env=False) as http:
            answer = await http.post(options.url, json={"jsonrpc": "2.0", "id": "ended", "method": "ping"})
        expect(answer.status_code == 404, f"the ended session still answers {answer.status_code}, not 404")


main(Peer())
