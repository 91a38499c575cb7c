"""What the checks of both Python clients are made of, and the arguments they take."""

import argparse
import json
import urllib.request
from pathlib import Path

import anyio


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--key")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--stats")
    parser.add_argument("--only")
    parser.add_argument("--profile", default="native")
    parser.add_argument("--server", default="peer")
    return parser.parse_args()


options = parse()
headers = {"authorization": f"Bearer {options.key}"} if options.key else {}
profiles = json.loads(Path(__file__).with_name("profiles.json").read_text().replace("{server}", options.server))
chosen = profiles[options.profile]
profile = profiles.get(chosen.get("like"), {}) | chosen


def expect(holds, detail):
    if not holds:
        raise AssertionError(detail)


def wire(result):
    """A result as the JSON it came as: the field names differ between the SDKs."""
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)


def named(name):
    return options.prefix + name


async def until(what, seconds, check):
    with anyio.move_on_after(seconds):
        while not await check():
            await anyio.sleep(0.02)
        return
    raise AssertionError(f"not {what} within {seconds} s")


async def every(listing, key):
    items, cursor = [], None
    while True:
        page = wire(await listing(cursor=cursor))
        items += page[key]
        cursor = page.get("nextCursor")
        if cursor is None:
            return items


def includes(found, wanted):
    missing = [one for one in wanted if one not in found]
    expect(not missing, f"no {missing} in {found}")


async def counts():
    """What the server counted, asked past everything between."""

    def get():
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(options.stats, timeout=2) as answer:
            return json.load(answer)

    return await anyio.to_thread.run_sync(get)


async def told(peer, tool, args):
    """Calls a tool; gives all the text of the result."""
    content = wire(await peer.client.call_tool(named(tool), args))["content"]
    return "\n".join(block["text"] for block in content)


async def tells(peer, spec):
    """That the result of a call as a spec of the profile says has the spec's text in it."""
    text = await told(peer, spec["tool"], spec["args"])
    expect(spec["text"] in text, text[:300])


async def listed(peer, name):
    tools = await every(peer.client.list_tools, "tools")
    return any(tool["name"] == named(name) for tool in tools)
