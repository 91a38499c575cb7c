"""The event stores of sessions, so that clients can resume streams; for both Python servers."""

from collections import deque
from typing import NamedTuple

import anyio
from mcp.server.streamable_http import EventMessage, EventStore

KEPT = 256
RETRY_MS = 100  # how soon a client comes back for a stream that was ended


class Event(NamedTuple):
    id: str
    stream: str
    message: object


class Events(EventStore):
    """The store of one session. The ids have to be unique in their session only."""

    def __init__(self):
        self.count = 0
        self.kept = deque(maxlen=KEPT)
        self.transport = None
        self.resuming = set()

    async def store_event(self, stream_id, message):
        if message is not None and stream_id in self.resuming:
            await self.resumed(stream_id)
        self.count += 1
        self.kept.append(Event(str(self.count), stream_id, message))
        return str(self.count)

    async def replay_events_after(self, last_event_id, send_callback):
        kept = list(self.kept)
        at = next((i for i, event in enumerate(kept) if event.id == last_event_id), None)
        if at is None:
            return None
        stream = kept[at].stream
        self.resuming.add(stream)
        for event in kept[at + 1 :]:
            # The event that opens a stream is stored without a message.
            if event.stream == stream and event.message is not None:
                await send_callback(EventMessage(event.message, event.id))
        return stream

    async def resumed(self, stream):
        """Waits until a stream is replayed and goes on: the SDK loses what comes between the two."""
        with anyio.move_on_after(1):  # the client may be gone again
            while stream not in self.transport._request_streams:
                await anyio.sleep(0.001)
        self.resuming.discard(stream)


def store_for_each(manager):
    """Gives every session a store of its own.

    The SDK gives all sessions the one store of the manager, and calls streams by request ids, so that
    sessions would be sent each other's events.
    """
    admit = manager._admit_session

    def admit_with_store(*args):
        manager.event_store = events = Events()
        events.transport = admit(*args)
        return events.transport

    manager._admit_session = admit_with_store
    manager.retry_interval = RETRY_MS
