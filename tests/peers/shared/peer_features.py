"""The feature table both Python clients run."""

import anyio
from mcp.types import PromptReference
from peer_checks import counts, every, expect, includes, named, options, profile, until, wire


async def cancelled():
    return (await counts())["cancelled"]


def features(peer):
    """`peer.client` is a connected Client (2.x) or ClientSession (1.x). What differs between
    them: `peer.logs` (the log notifications so far), `peer.log_meta`, `peer.legacy`,
    `peer.abandon(name, args, seconds)`, which starts a call and cancels it, and `peer.more()`, the
    features of its era.
    """
    client = peer.client

    async def call(spec, **more):
        return wire(await client.call_tool(named(spec["tool"]), spec["args"], **more))

    async def tools_list():
        tools = await every(client.list_tools, "tools")
        includes([tool["name"] for tool in tools], [named(name) for name in profile["tools"]])

    async def tools_call():
        text = (await call(profile["call"]))["content"][0]["text"]
        expect(text == profile["call"]["text"], text)

    async def structured():
        spec, result = profile["structured"], await call(profile["structured"])
        expect(result["content"][0]["text"].startswith(spec["text"]), result)
        expect(result.get("structuredContent") == spec["value"], result)

    async def is_error():
        result = await call(profile["isError"])
        expect(result["isError"] and result["content"][0]["text"].startswith(profile["isError"]["text"]), result)

    async def unknown():
        try:
            result = await call({"tool": "nope", "args": {}})
        except Exception as error:
            # A JSON-RPC error (MCPError, McpError) counts, a transport failure does not.
            if getattr(getattr(error, "error", None), "code", 0) >= 0:
                raise
        else:
            expect(result["isError"], result)

    async def big():
        size = len((await call(profile["big"]))["content"][0]["text"])
        expect(size == profile["big"]["args"]["bytes"], f"{size} bytes")

    async def progress():
        seen = []

        async def on_progress(progress, total, message):
            seen.append(progress)

        await call(profile["progress"], progress_callback=on_progress)
        expect(seen == list(range(1, profile["progress"]["events"] + 1)), f"progress {seen}")

    async def logging():
        async def enough():
            return len(peer.logs) >= spec["events"]

        spec = profile["logging"]
        if peer.legacy:
            await client.set_logging_level("debug")
        peer.logs.clear()
        await call(spec, meta=peer.log_meta)
        await until(f"{spec['events']} logs", 3, enough)
        if spec.get("toggle"):
            await call(spec)

    async def cancel():
        async def risen():
            return await cancelled() > before

        before = await cancelled() if options.stats else None
        spec, started = profile["cancel"], anyio.current_time()
        await peer.abandon(named(spec["tool"]), spec["args"], 0.3)
        took = anyio.current_time() - started
        expect(0.25 < took < 1.5, f"the call took {took:.1f} s")
        if options.stats:
            await until("cancelled at the server", 2, risen)

    async def resources_list():
        found = await every(client.list_resources, "resources")
        includes([one["uri"] for one in found], [profile["resource"]["uri"]])

    async def templates_list():
        found = await every(client.list_resource_templates, "resourceTemplates")
        includes([one["uriTemplate"] for one in found], [profile["template"]["uriTemplate"]])

    def read(spec):
        async def run():
            text = wire(await client.read_resource(spec["uri"]))["contents"][0]["text"]
            expect(text.startswith(spec["text"]), text[:200])

        return spec and run

    async def prompts_list():
        found = await every(client.list_prompts, "prompts")
        includes([one["name"] for one in found], [named(profile["prompt"]["name"])])

    async def prompts_get():
        spec = profile["prompt"]
        text = wire(await client.get_prompt(named(spec["name"]), spec["args"]))["messages"][0]["content"]["text"]
        expect(text == spec["text"], text)

    async def completion():
        spec = profile["completion"]
        ref = PromptReference(type="ref/prompt", name=named(spec["prompt"]))
        values = wire(await client.complete(ref, spec["argument"]))["completion"]["values"]
        expect(values == spec["values"], values)

    table = {
        "tools/list": tools_list,
        "tools/call": tools_call,
        "tools/call:structured": structured,
        "tools/call:isError": is_error,
        "tools/call:unknown": unknown,
        "tools/call:big": profile["big"] and big,
        "progress": progress,
        "logging": profile["logging"] and logging,
        "cancel": cancel,
        "resources/list": resources_list,
        "resources/templates/list": profile["template"] and templates_list,
        "resources/read": read(profile["resource"]),
        "resources/read:template": read(profile["template"]),
        "prompts/list": prompts_list,
        "prompts/get": prompts_get,
        "completion": profile["completion"] and completion,
    }
    if peer.legacy:
        table["ping"] = lambda: client.send_ping()
    return table | peer.more()
