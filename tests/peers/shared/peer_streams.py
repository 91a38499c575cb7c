"""Features of legacy streams: servers that ask, streams that belong to no call, streams resumed."""

import json
from uuid import uuid4

import anyio
import httpx
from httpx_sse import EventSource
from peer_checks import counts, expect, headers, listed, named, options, profile, tells, told, until

LIST_CHANGED = "notifications/tools/list_changed"
UPDATED = "notifications/resources/updated"


def streams(peer):
    """Beside what `features` asks of a peer: `peer.heard` (by method, the notifications so far),
    `peer.gets` (what was answered to GET), and `peer.session()` (the headers of its session).
    """
    client = peer.client

    def asks(spec):
        return spec and (lambda: tells(peer, spec))

    async def listening():
        async def opened():
            return any(ok and not last for ok, last in peer.gets)

        await until("a GET stream open", 3, opened)

    async def announced(spec):
        """Has the server log on the GET stream, and waits until that has come."""

        async def arrived():
            return any(said in str(log.data) for log in peer.logs)

        said = str(uuid4()) if spec.get("own") else spec["match"]
        peer.logs.clear()
        await told(peer, spec["tool"], {"text": said} if spec.get("own") else {})
        await until("the announcement", 3, arrived)
        if not spec.get("own"):
            await told(peer, spec["tool"], {})  # it is a switch, and has to be off again

    async def concurrent():
        async with anyio.create_task_group() as group:
            for spec in profile["concurrent"]:
                group.start_soon(tells, peer, spec)

    async def get_stream():
        await listening()
        await client.set_logging_level("debug")
        await announced(profile["announce"])

    async def get_stream_roots():
        await listening()
        await tells(peer, profile["rootsApart"])

    async def changed(tool, name):
        """Calls `tool`, and as soon as the client is told that the list changed asks for it."""
        peer.heard[LIST_CHANGED].clear()

        async def heard():
            return peer.heard[LIST_CHANGED]

        async with anyio.create_task_group() as group:
            group.start_soon(told, peer, tool, {"name": name})
            await until(f"told after {tool}", 3, heard)
            return await listed(peer, name)

    async def list_changed():
        await listening()
        name = f"grown-{uuid4()}"
        expect(await changed(profile["grow"], name), "the client was told before the list had the tool")
        text = await told(peer, name, {})
        expect(text == f"grown {name}", text)
        expect(not await changed(profile["shrink"], name), "the client was told before the list lost the tool")

    async def subscribe():
        spec = profile["subscribe"]

        async def updates():
            return [uri for uri in peer.heard[UPDATED] if uri == spec["uri"]]

        await listening()
        await client.set_logging_level("debug")
        await client.subscribe_resource(spec["uri"])
        await told(peer, spec["tool"], spec["args"])
        await until("an update", 3, updates)
        if spec.get("toggle"):
            await told(peer, spec["tool"], spec["args"])
        await client.unsubscribe_resource(spec["uri"])
        peer.heard[UPDATED].clear()
        await told(peer, spec["tool"], spec["args"])
        # The stream keeps its order: an update would have come before this.
        await announced(profile["announce"])
        expect(not await updates(), "updates after unsubscribing")
        if spec.get("toggle"):
            await told(peer, spec["tool"], spec["args"])

    async def polling():
        def resumptions():
            return sum(1 for ok, last in peer.gets if ok and last)

        before = resumptions()
        await tells(peer, profile["polling"])
        expect(resumptions() > before, "the client did not have to come back for the result")

    return {
        "elicitation": asks(profile.get("elicitation")),
        "sampling": asks(profile.get("sampling")),
        "roots": asks(profile.get("roots")),
        "server ping": asks(profile.get("serverPing")),
        "concurrent asks": profile.get("concurrent") and concurrent,
        "get stream": profile.get("announce") and get_stream,
        "get stream:roots": profile.get("rootsApart") and get_stream_roots,
        "list_changed": profile.get("grow") and list_changed,
        "subscribe": profile.get("subscribe") and subscribe,
        "resume": profile.get("resume") and (lambda: resumed(peer)),
        "polling": profile.get("polling") and polling,
    }


async def resumed(peer):
    """Breaks a call's stream off in the middle and resumes it, past the SDK, whose client cannot."""
    spec, progress, result, last = profile["resume"], [], None, None
    common = headers | peer.session() | {"accept": "application/json, text/event-stream"}

    async def read(answer, enough):
        """Reads a stream until `enough()`; the caller then breaks it off."""
        nonlocal result, last
        async for event in EventSource(answer).aiter_sse():
            last = event.id or last
            message = json.loads(event.data) if event.data else {}
            if message.get("method") == "notifications/progress":
                progress.append(message["params"]["progress"])
            if message.get("id") == "resumed":
                result = message["result"]
            if enough():
                return

    params = {"name": named(spec["tool"]), "arguments": spec["args"], "_meta": {"progressToken": "resumed"}}
    call = {"jsonrpc": "2.0", "id": "resumed", "method": "tools/call", "params": params}
    async with httpx.AsyncClient(headers=common, timeout=8, trust_env=False) as http:
        async with http.stream("POST", options.url, json=call) as answer:
            expect(answer.status_code == 200, f"POST is answered {answer.status_code}")
            await read(answer, lambda: len(progress) == 3)
        expect(result is None and last is not None, f"no event id to resume with, or all came at once: {progress}")
        counted = (await counts())["counted"]

        async def missed():
            return (await counts())["counted"] >= counted + 2

        await until("two steps missed", 3, missed)
        status = 409
        with anyio.fail_after(6):
            # 409: the server has not noticed yet that the connection is gone.
            while status == 409:
                asking = {"accept": "text/event-stream", "last-event-id": last}
                async with http.stream("GET", options.url, headers=asking) as answer:
                    status = answer.status_code
                    if status == 200:
                        await read(answer, lambda: result is not None)
    expect(status == 200, f"GET is answered {status}")
    expect(progress == list(range(1, spec["events"] + 1)), f"progress {progress}")
    expect(result and result["content"][0]["text"] == spec["text"], result)
