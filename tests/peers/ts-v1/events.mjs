// The event store of one session: what was sent is kept, so that a client can resume a stream.
const KEPT = 256;

export class Events {
  // Counted anew in each session: the ids have to be unique in their session only.
  #count = 0;
  #kept = [];

  async storeEvent(stream, message) {
    const id = String(++this.#count);
    this.#kept.push({ id, stream, message });
    if (this.#kept.length > KEPT) this.#kept.shift();
    return id;
  }

  async getStreamIdForEventId(id) {
    return this.#kept.find((event) => event.id === id)?.stream;
  }

  async replayEventsAfter(last, { send }) {
    const at = this.#kept.findIndex(({ id }) => id === last);
    const { stream } = this.#kept[at];
    for (const event of this.#kept.slice(at + 1)) {
      // The event that opens a stream is stored as {}; it is no message.
      if (event.stream === stream && event.message.jsonrpc) await send(event.id, event.message);
    }
    return stream;
  }
}
