// Legacy MCP client (initialize handshake, sessions) on the official TypeScript SDK v1.
// Run with --url and --key; --profile everything is for server-everything.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { capabilities, elicitation, roots, sampling } from '../shared/answers.mjs';
import { headers, options } from '../shared/checks.mjs';
import { main } from '../shared/client.mjs';

const gets = [];
/** Notes what the SDK's own GETs were answered. */
async function noting(url, init) {
  const response = await fetch(url, init);
  if (init?.method === 'GET') gets.push({ ok: response.ok, last: new Headers(init.headers).get('last-event-id') });
  return response;
}

const client = new Client({ name: 'ts-v1', version: '1.0.0' }, { capabilities });
const transport = new StreamableHTTPClientTransport(new URL(options.url), { requestInit: { headers }, fetch: noting });
const logs = [];
client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logs.push(params));
const heard = {};
for (const schema of [ToolListChangedNotificationSchema, ResourceUpdatedNotificationSchema]) {
  const of = (heard[schema.shape.method.value] = []);
  client.setNotificationHandler(schema, ({ params }) => void of.push(params ?? {}));
}
client.setRequestHandler(ElicitRequestSchema, elicitation);
client.setRequestHandler(CreateMessageRequestSchema, sampling);
client.setRequestHandler(ListRootsRequestSchema, roots);

/** The headers of a request in this session, past the SDK. */
const session = () => ({
  ...headers,
  'mcp-protocol-version': transport.protocolVersion,
  'mcp-session-id': transport.sessionId,
});

/** Ends the session, then uses it once more, past the SDK; returns the HTTP status. */
async function ended() {
  if (!transport.sessionId) throw new Error('the server gave no session id');
  const ofSession = session();
  await transport.terminateSession();
  const response = await fetch(options.url, {
    method: 'POST',
    headers: {
      ...ofSession,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 'ended', method: 'ping' }),
  });
  await response.body?.cancel();
  return response.status;
}

await main({
  client,
  logs,
  heard,
  gets,
  session,
  ended,
  legacy: true,
  call: (params, requestOptions) => client.callTool(params, undefined, requestOptions),
  connect: () => client.connect(transport),
});
