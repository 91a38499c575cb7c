// Modern MCP client (2026-07-28) on the official TypeScript SDK v2. Run with --url and --key.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { headers, main, options } from '../shared/client.mjs';

const MODERN = '2026-07-28';

// The SDK's default is still the initialize handshake; a pin allows no fallback to it.
const client = new Client({ name: 'ts-v2', version: '1.0.0' }, { versionNegotiation: { mode: { pin: MODERN } } });
const logs = [];
client.setNotificationHandler('notifications/message', ({ params }) => void logs.push(params));

await main({
  client,
  logs,
  logMeta: { 'io.modelcontextprotocol/logLevel': 'info' },
  call: (params, requestOptions) => client.callTool(params, requestOptions),
  connect: () => client.connect(new StreamableHTTPClientTransport(new URL(options.url), { requestInit: { headers } })),
});
