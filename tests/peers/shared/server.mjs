// What both TypeScript servers share: arguments, /stats, and the features themselves.
// The SDK objects come in as parameters, because this folder has no packages of its own.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

const NAMES = ['ada', 'alan', 'grace'];

export const stats = { sessions_opened: 0, sessions_closed: 0, calls: {}, sessions_of: {}, cancelled: 0, counted: 0 };

export const options = parseArgs({
  options: { port: { type: 'string', default: '0' }, name: { type: 'string', default: 'peer' }, resumable: { type: 'boolean' } },
}).values;

export const text = (text) => [{ type: 'text', text }];

function remember(nonce, session) {
  stats.calls[nonce] = (stats.calls[nonce] ?? 0) + 1;
  if (session === undefined) return;
  const known = (stats.sessions_of[nonce] ??= []);
  if (!known.includes(session)) known.push(session);
}

/**
 * Registers tools on an McpServer of either SDK; a handler gets its arguments, the hooks and the
 * SDK's own context. `hooks(ctx)` turns that into `{ signal, progress(i, total), log(data) }`.
 */
export const toolsOf = (server, { z, hooks }) => (name, description, shape, handler, outputSchema) =>
  server.registerTool(
    name,
    { description, inputSchema: z.object({ ...shape, nonce: z.string().optional() }), outputSchema },
    async (args, ctx) => {
      if (args.nonce !== undefined) remember(args.nonce, ctx.sessionId);
      return handler(args, hooks(ctx), ctx);
    },
  );

/** Registers the six plain tools, two resources and the prompt on an McpServer of either SDK. */
export function register(server, { z, completable, ResourceTemplate, hooks }) {
  const tool = toolsOf(server, { z, hooks });

  tool('echo', 'Returns its text', { text: z.string() },
    ({ text: said }) => ({ content: text(said), structuredContent: { text: said } }),
    z.object({ text: z.string() }));
  tool('add', 'Adds two numbers', { a: z.number(), b: z.number() },
    ({ a, b }) => ({ content: text(String(a + b)) }));
  const counted = { n: z.number().int(), ms: z.number().int().default(20) };
  tool('count', 'Reports progress and logs n times', counted, async ({ n, ms }, { progress, log }) => {
    for (let i = 1; i <= n; i++) {
      await progress(i, n);
      await log(`count ${i} of ${n}`);
      stats.counted++;
      await sleep(ms);
    }
    return { content: text(`counted ${n}`) };
  });
  tool('slow', 'Waits', { ms: z.number().int() }, async ({ ms }, { signal }) => {
    try {
      await sleep(ms, undefined, { signal });
    } catch (error) {
      stats.cancelled++;
      throw error;
    }
    return { content: text(`waited ${ms}`) };
  });
  tool('fail', 'Always fails', {}, () => ({ content: text('failed as asked'), isError: true }));
  tool('big', 'Returns a text of the given size', { bytes: z.number().int() },
    ({ bytes }) => ({ content: text('x'.repeat(bytes)) }));

  const contents = (uri, body) => ({ contents: [{ uri: uri.href, mimeType: 'text/plain', text: body }] });
  server.registerResource('static', 'test://static', { mimeType: 'text/plain' },
    (uri) => contents(uri, 'static text'));
  server.registerResource('item', new ResourceTemplate('test://item/{id}', { list: undefined }), {},
    (uri, { id }) => contents(uri, `item ${id}`));
  server.registerPrompt(
    'greet',
    {
      description: 'Greets somebody',
      argsSchema: { name: completable(z.string(), (typed) => NAMES.filter((name) => name.startsWith(typed))) },
    },
    ({ name }) => ({ messages: [{ role: 'user', content: { type: 'text', text: `Hello ${name}` } }] }),
  );
  return server;
}

/** Serves `/stats`, gives everything on `/mcp` to `handler(req, res)`, and announces the port. */
export function serve(handler) {
  const http = createServer((req, res) => {
    const { pathname } = new URL(req.url, 'http://peer');
    if (pathname === '/stats') return res.setHeader('content-type', 'application/json').end(JSON.stringify(stats));
    if (pathname !== '/mcp') return res.writeHead(404).end();
    Promise.resolve(handler(req, res)).catch((error) => {
      console.error(error);
      if (!res.headersSent) res.writeHead(500);
      res.end();
    });
  });
  http.listen(Number(options.port), '127.0.0.1', () => console.log(`listening ${http.address().port}`));
  process.on('SIGTERM', () => process.exit(0));
}
