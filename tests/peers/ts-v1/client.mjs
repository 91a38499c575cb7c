// Legacy MCP client (initialize handshake, sessions) on the official TypeScript SDK v1.
// Run with --url and --key; --profile everything is for server-everything.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { headers, main, options } from '../shared/client.mjs';

const client = new Client({ name: 'ts-v1', version: '1.0.0' });
const transport = new StreamableHTTPClientTransport(new URL(options.url), { requestInit: { headers } });
const logs = [];
client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logs.push(params));

/** Ends the session, then uses it once more, past the SDK; returns the HTTP status. */
async function ended() {
  const { sessionId, protocolVersion } = transport;
  if (!sessionId) throw new Error('the server gave no session id');
  await transport.terminateSession();
  const response = await fetch(options.url, {
    method: 'POST',
    headers: {
      ...headers,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-protocol-version': protocolVersion,
      'mcp-session-id': sessionId,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 'ended', method: 'ping' }),
  });
  await response.body?.cancel();
  return response.status;
}

await main({
  client,
  logs,
  ended,
  legacy: true,
  call: (params, requestOptions) => client.callTool(params, undefined, requestOptions),
  connect: () => client.connect(transport),
});
