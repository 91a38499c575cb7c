"""Runs the features for both Python clients. Prints one JSON line for each."""

import json
import os
import sys

import anyio
from peer_checks import options
from peer_features import features

LIMIT_S = 10


def told(error):
    """The message of an error, or of what an ExceptionGroup holds."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(told(inner) for inner in error.exceptions)
    name = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
    return f"{name}{error}"[:500]


def say(feature, ok, detail=None):
    line = {"feature": feature, "ok": ok} | ({"detail": detail} if detail else {})
    print(json.dumps(line, separators=(",", ":")), flush=True)


async def report(feature, run):
    if run is None:
        return say(feature, None, "not offered")
    try:
        with anyio.fail_after(LIMIT_S):
            await run()
    except TimeoutError:
        say(feature, False, f"no end within {LIMIT_S} s")
    except Exception as error:
        say(feature, False, told(error))
    else:
        say(feature, True)


async def run(peer):
    def chosen(feature):
        return options.only is None or feature in options.only.split(",")

    async def not_connected():
        raise AssertionError("not connected")

    try:
        async with peer.connect():
            say("connect", True)
            for feature, check in features(peer).items():
                if chosen(feature):
                    await report(feature, check)
    except Exception as error:
        if peer.client is None:
            say("connect", False, told(error))
            for feature in filter(chosen, features(peer)):
                await report(feature, not_connected)
        else:
            print(f"while disconnecting: {told(error)}", file=sys.stderr)
    if peer.legacy and chosen("delete"):
        await report("delete", peer.ended if peer.client else not_connected)


def main(peer):
    anyio.run(run, peer)
    sys.stdout.flush()
    os._exit(0)  # not held up by a stream that a server keeps open
