// Legacy clients: real sessions, each with a server of its own and streams that can be resumed.
import { randomUUID } from 'node:crypto';
import { WebStandardStreamableHTTPServerTransport, isInitializeRequest } from '@modelcontextprotocol/server';

// Short, because scenarios that poll wait for it.
const RETRY_MS = 300;

/** The events of one session, in order; an event's id is its place. */
class Events {
  #log = [];

  async storeEvent(stream, message) {
    return String(this.#log.push({ stream, message }));
  }

  async getStreamIdForEventId(id) {
    return this.#log[id - 1]?.stream;
  }

  async replayEventsAfter(id, { send }) {
    const { stream } = this.#log[id - 1];
    for (const [place, event] of this.#log.entries()) {
      // Priming events are stored without a method, result or error; they say nothing a second time.
      const primes = Object.keys(event.message).length === 0;
      if (place >= id && event.stream === stream && !primes) await send(String(place + 1), event.message);
    }
    return stream;
  }
}

const refuse = (status, message) =>
  Response.json({ jsonrpc: '2.0', id: null, error: { code: -32000, message } }, { status });

async function opens(request) {
  if (request.method !== 'POST') return false;
  return isInitializeRequest(await request.clone().json().catch(() => undefined));
}

export class Sessions {
  #build;
  #bus;
  #transports = new Map();

  /** `build(subscribed)` makes the server of a session, `bus` brings the news for all of them. */
  constructor(build, bus) {
    this.#build = build;
    this.#bus = bus;
  }

  async fetch(request) {
    const id = request.headers.get('mcp-session-id');
    if (id !== null) {
      const transport = this.#transports.get(id);
      return transport ? transport.handleRequest(request) : refuse(404, 'Session not found');
    }
    if (!(await opens(request))) return refuse(400, 'There is no Mcp-Session-Id, and this is no initialize');
    return (await this.#open()).handleRequest(request);
  }

  async #open() {
    const subscribed = new Set();
    const server = this.#build(subscribed);
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: new Events(),
      retryInterval: RETRY_MS,
      onsessioninitialized: (id) => void this.#transports.set(id, transport),
      onsessionclosed: (id) => void this.#transports.delete(id),
    });
    await server.connect(transport);
    const leave = this.#bus.subscribe((event) => void announce(server.server, event, subscribed).catch(console.error));
    server.server.onclose = leave;
    return transport;
  }
}

async function announce(server, event, subscribed) {
  switch (event.kind) {
    case 'tools_list_changed':
      return server.sendToolListChanged();
    case 'prompts_list_changed':
      return server.sendPromptListChanged();
    case 'resources_list_changed':
      return server.sendResourceListChanged();
    case 'resource_updated':
      if (subscribed.has(event.uri)) return server.sendResourceUpdated({ uri: event.uri });
  }
}
