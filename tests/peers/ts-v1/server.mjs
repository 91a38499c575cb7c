// Legacy MCP server (<= 2025-11-25, stateful sessions) on the official TypeScript SDK v1.
import { randomUUID } from 'node:crypto';
import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import * as z from 'zod';
import { options, register, serve, stats } from '../shared/server.mjs';

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

const build = () =>
  register(
    new McpServer({ name: options.name, version: '1.0.0' }, { capabilities: { logging: {}, completions: {} } }),
    { z, completable, ResourceTemplate, hooks },
  );

const sessions = new Map();

async function open() {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => {
      sessions.set(id, transport);
      stats.sessions_opened++;
    },
    onsessionclosed: (id) => {
      sessions.delete(id);
      stats.sessions_closed++;
    },
  });
  await build().connect(transport);
  return transport;
}

serve(async (req, res) => {
  const id = req.headers['mcp-session-id'];
  if (id !== undefined && !sessions.has(id)) {
    const error = { code: -32001, message: 'Session not found' };
    return res.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', error, id: null }));
  }
  // Without a session only `initialize` is good; the transport itself refuses the rest.
  const transport = sessions.get(id) ?? (await open());
  await transport.handleRequest(req, res);
});
