"""Features of the modern era: results that need input first, and subscriptions/listen."""

from uuid import uuid4

import anyio
from mcp.client.subscriptions import ResourceUpdated, ToolsListChanged
from peer_checks import expect, listed, profile, tells, told


def rounds(peer):
    client = peer.client

    def asks(spec):
        return spec and (lambda: tells(peer, spec))

    async def heard(listen):
        """The next event of a subscription; the SDK takes only those that carry its tag."""
        with anyio.move_on_after(3):
            return await anext(listen)
        raise AssertionError("nothing told within 3 s")

    async def changed(listen, tool, name):
        """Calls `tool`, and as soon as the client is told that the list changed asks for it."""
        async with anyio.create_task_group() as group:
            group.start_soon(told, peer, tool, {"name": name})
            event = await heard(listen)
            expect(isinstance(event, ToolsListChanged), event)
            return await listed(peer, name)

    async def list_changed():
        # Entered with the acknowledgement.
        async with client.listen(tools_list_changed=True) as listen:
            expect(listen.honored.tools_list_changed, "not acknowledged")
            name = f"grown-{uuid4()}"
            expect(await changed(listen, profile["grow"], name), "the client was told before the list had the tool")
            text = await told(peer, name, {})
            expect(text == f"grown {name}", text)
            lost = not await changed(listen, profile["shrink"], name)
            expect(lost, "the client was told before the list lost the tool")

    async def updated():
        spec = profile["subscribe"]
        async with client.listen(resource_subscriptions=[spec["uri"]]) as listen:
            expect(listen.honored.resource_subscriptions == [spec["uri"]], "not acknowledged")
            await told(peer, spec["tool"], spec["args"])
            event = await heard(listen)
            expect(isinstance(event, ResourceUpdated) and event.uri == spec["uri"], event)

    return {
        "mrtr:elicitation": asks(profile.get("elicitation")),
        "mrtr:sampling": asks(profile.get("sampling")),
        "mrtr:roots": asks(profile.get("roots")),
        "mrtr:state": asks(profile.get("journey")),
        "listen:list_changed": profile.get("grow") and list_changed,
        "listen:updated": profile.get("subscribe") and updated,
    }
