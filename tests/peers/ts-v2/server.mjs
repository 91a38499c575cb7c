// Modern-only MCP server (2026-07-28, stateless) on the official TypeScript SDK v2.
import { toNodeHandler } from '@modelcontextprotocol/node';
import { McpServer, ResourceTemplate, completable, createMcpHandler } from '@modelcontextprotocol/server';
import * as z from 'zod/v4';
import { options, register, serve } from '../shared/server.mjs';

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

const build = () =>
  register(
    new McpServer({ name: options.name, version: '1.0.0' }, { capabilities: { logging: {}, completions: {} } }),
    { z, completable, ResourceTemplate, hooks },
  );

serve(toNodeHandler(createMcpHandler(build, { legacy: 'reject' })));
