// Modern-only MCP server (2026-07-28, stateless) on the official TypeScript SDK v2.
import { toNodeHandler } from '@modelcontextprotocol/node';
import { McpServer, ResourceTemplate, completable, createMcpHandler } from '@modelcontextprotocol/server';
import * as z from 'zod/v4';
import { registerChanges, WATCHED } from '../shared/changes.mjs';
import { options, register, serve } from '../shared/server.mjs';
import { registerRounds } from './rounds.mjs';

const hooks = ({ mcpReq }) => ({
  signal: mcpReq.signal,
  progress: async (progress, total) => {
    const progressToken = mcpReq._meta?.progressToken;
    if (progressToken === undefined) return;
    await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total } });
  },
  // The SDK sends only what the request's `io.modelcontextprotocol/logLevel` lets through.
  log: (data) => mcpReq.log('info', data),
});

const sdk = { z, completable, ResourceTemplate, hooks };
const hear = {
  grew: () => handler.notify.toolsChanged(),
  shrank: () => handler.notify.toolsChanged(),
  touched: () => handler.notify.resourceUpdated(WATCHED),
};

// Made anew for every request.
function build() {
  const capabilities = {
    logging: {},
    completions: {},
    tools: { listChanged: true },
    resources: { subscribe: true, listChanged: true },
  };
  const server = new McpServer({ name: options.name, version: '1.0.0' }, { capabilities });
  register(server, sdk);
  registerRounds(server, sdk);
  registerChanges(server, { sdk, hear });
  return server;
}

const handler = createMcpHandler(build, { legacy: 'reject' });
serve(toNodeHandler(handler));
