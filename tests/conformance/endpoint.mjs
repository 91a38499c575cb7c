// One endpoint, /mcp on 127.0.0.1, for both eras.
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { localhostHostValidation, localhostOriginValidation, toNodeHandler } from '@modelcontextprotocol/node';
import { InMemoryServerEventBus, createMcpHandler, isLegacyRequest } from '@modelcontextprotocol/server';
import { Sessions } from './sessions.mjs';

/**
 * Serves what `build(bus, subscribed)` makes, an McpServer for each modern request and for each legacy session, and
 * announces the port. The tools named in `streaming` always answer on a stream, others only when they have news.
 */
export function serve(build, { streaming = [] } = {}) {
  const { port } = parseArgs({ options: { port: { type: 'string', default: '0' } } }).values;
  const bus = new InMemoryServerEventBus();
  const modern = (responseMode) =>
    createMcpHandler(() => build(bus, new Set()), { legacy: 'reject', bus, responseMode });
  const auto = modern('auto');
  const sse = modern('sse');
  const sessions = new Sessions((subscribed) => build(bus, subscribed), bus);

  const handler = toNodeHandler({
    fetch: async (request) => {
      if (await isLegacyRequest(request)) return sessions.fetch(request);
      return streaming.includes(request.headers.get('mcp-name')) ? sse.fetch(request) : auto.fetch(request);
    },
  }, { onerror: console.error });
  const hostIsLocal = localhostHostValidation();
  const originIsLocal = localhostOriginValidation();

  const http = createServer((req, res) => {
    if (!hostIsLocal(req, res) || !originIsLocal(req, res)) return;
    if (new URL(req.url, 'http://fixture').pathname !== '/mcp') return void res.writeHead(404).end();
    void handler(req, res);
  });
  http.listen(Number(port), '127.0.0.1', () => console.log(`listening ${http.address().port}`));
  process.on('SIGTERM', () => process.exit(0));
}
