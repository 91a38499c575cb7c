// Legacy MCP server (<= 2025-11-25, stateful sessions) on the official TypeScript SDK v1.
import { randomUUID } from 'node:crypto';
import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { SubscribeRequestSchema, UnsubscribeRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import * as z from 'zod';
import { growTool, registerChanges, WATCHED } from '../shared/changes.mjs';
import { options, register, serve, stats } from '../shared/server.mjs';
import { registerAsks } from './asks.mjs';
import { Events } from './events.mjs';

const hooks = (extra) => ({
  signal: extra.signal,
  progress: async (progress, total) => {
    const progressToken = extra._meta?.progressToken;
    if (progressToken === undefined) return;
    await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress, total } });
  },
  // server.sendLoggingMessage() would go to the GET stream; this goes out with the answer.
  log: (data) => extra.sendNotification({ method: 'notifications/message', params: { level: 'info', data } }),
});

const sdk = { z, completable, ResourceTemplate, hooks };

// Every session has a server of its own, but its tools are those of the process: what changes in
// one session changes in all, and all their clients hear of it.
const sessions = new Map();
const each = (tell) => Promise.all([...sessions.values()].map(tell));
const hear = {
  grew: (name) => each(({ server, grown }) => void grown.set(name, growTool(server, sdk, name))),
  shrank: (name) => each(({ grown }) => grown.get(name)?.remove()),
  touched: () =>
    each(({ server, watches }) => watches.has(WATCHED) && server.server.sendResourceUpdated({ uri: WATCHED })),
};

function build() {
  const capabilities = { logging: {}, completions: {}, resources: { subscribe: true } };
  const server = new McpServer({ name: options.name, version: '1.0.0' }, { capabilities });
  const watches = new Set();
  server.server.setRequestHandler(SubscribeRequestSchema, ({ params }) => (watches.add(params.uri), {}));
  server.server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => (watches.delete(params.uri), {}));
  register(server, sdk);
  registerAsks(server, sdk);
  return { server, watches, grown: registerChanges(server, { sdk, hear }) };
}

async function open() {
  const session = build();
  session.transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    // Keeping every event costs more than most calls; how soon a client comes back for a stream that was ended.
    ...(options.resumable && { eventStore: new Events(), retryInterval: 100 }),
    onsessioninitialized: (id) => {
      sessions.set(id, session);
      stats.sessions_opened++;
    },
    onsessionclosed: (id) => {
      sessions.delete(id);
      stats.sessions_closed++;
    },
  });
  await session.server.connect(session.transport);
  return session;
}

serve(async (req, res) => {
  const id = req.headers['mcp-session-id'];
  if (id !== undefined && !sessions.has(id)) {
    const error = { code: -32001, message: 'Session not found' };
    return res.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', error, id: null }));
  }
  // Without a session only `initialize` is good; the transport itself refuses the rest.
  const { transport } = sessions.get(id) ?? (await open());
  await transport.handleRequest(req, res);
});
