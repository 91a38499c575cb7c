// Modern MCP client (2026-07-28) on the official TypeScript SDK v2. Run with --url and --key.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { capabilities, elicitation, roots, sampling } from '../shared/answers.mjs';
import { headers, options } from '../shared/checks.mjs';
import { main } from '../shared/client.mjs';

const MODERN = '2026-07-28';

// The SDK's default is still the initialize handshake; a pin allows no fallback to it.
const versionNegotiation = { mode: { pin: MODERN } };
const client = new Client({ name: 'ts-v2', version: '1.0.0' }, { capabilities, versionNegotiation });
const logs = [];
client.setNotificationHandler('notifications/message', ({ params }) => void logs.push(params));
const heard = {};
for (const method of ['notifications/tools/list_changed', 'notifications/resources/updated']) {
  const of = (heard[method] = []);
  client.setNotificationHandler(method, ({ params }) => void of.push(params ?? {}));
}
client.setRequestHandler('elicitation/create', elicitation);
client.setRequestHandler('sampling/createMessage', sampling);
client.setRequestHandler('roots/list', roots);

await main({
  client,
  logs,
  heard,
  logMeta: { 'io.modelcontextprotocol/logLevel': 'info' },
  call: (params, requestOptions) => client.callTool(params, requestOptions),
  connect: () => client.connect(new StreamableHTTPClientTransport(new URL(options.url), { requestInit: { headers } })),
});
