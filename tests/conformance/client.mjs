// The client that the conformance suite tests, on the official TypeScript SDK: directly, and as the downstream of a
// gateway that is under test itself. Run as `node client.mjs URL`; the suite says in the environment what to do.
import assert from 'node:assert/strict';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const MODERN = '2026-07-28';
const CAPABILITIES = { elicitation: { form: { applyDefaults: true } }, roots: {}, sampling: {} };

const {
  MCP_CONFORMANCE_SCENARIO: scenario,
  MCP_CONFORMANCE_PROTOCOL_VERSION: version,
  MCP_CONFORMANCE_CONTEXT: context = '{}',
  BEHIND_GATEWAY: behindGateway,
} = process.env;

const textOf = ({ content }) => content.find(({ type }) => type === 'text')?.text;

async function call(client, name, args = {}) {
  const result = await client.callTool({ name, arguments: args });
  assert.ok(!result.isError, `${name} failed: ${textOf(result)}`);
  return result;
}

async function called(client, name, args, wanted) {
  const said = textOf(await call(client, name, args));
  assert.ok(said?.includes(wanted), `${name} said ${JSON.stringify(said)}, not ${wanted}`);
}

/** The SDK refuses a modern result without a type. The scenario allows that: it looks whether the call is repeated. */
async function untyped(client, name, wanted) {
  await called(client, name, {}, wanted).catch((error) => {
    if (error.data?.violation !== 'missing-resultType') throw error;
  });
}

/** A value for each argument that the tool must have. */
function invented({ properties = {}, required = [] }) {
  const values = { string: 'us-west1', number: 1.5, integer: 1, boolean: true, array: [], object: {}, null: null };
  return Object.fromEntries(required.map((name) => [name, values[properties[name].type]]));
}

const SCENARIOS = {
  initialize: (client) => client.listTools(),
  'request-metadata': (client) => client.listTools(),
  'json-schema-ref-no-deref': async (client) => {
    const { tools } = await client.listTools();
    assert.equal(tools.length, 1);
  },
  tools_call: async (client) => {
    await client.listTools();
    await called(client, 'add_numbers', { a: 5, b: 3 }, '8');
  },
  'elicitation-sep1034-client-defaults': async (client) => {
    await client.listTools();
    await call(client, 'test_client_elicitation_defaults');
  },
  'sse-retry': async (client) => {
    await client.listTools();
    await called(client, 'test_reconnection', {}, 'Reconnection test completed');
  },
  'json-schema-2020-12-preservation': async (client) => {
    const { tools } = await client.listTools();
    const rich = tools.find(({ name }) => name === 'json_schema_2020_12_tool');
    await call(client, 'json_schema_echo', { schema: rich.inputSchema });
  },
  'sep-2322-client-request-state': async (client) => {
    await client.listTools();
    // At once, so that a client that mixes up their state is caught.
    await Promise.all([
      called(client, 'test_mrtr_echo_state', {}, 'echo-state-ok'),
      called(client, 'test_mrtr_no_state', {}, 'no-state-ok'),
      called(client, 'test_mrtr_unrelated', {}, 'unrelated-ok'),
      untyped(client, 'test_mrtr_no_result_type', 'no-result-type-test-ok'),
    ]);
  },
  'http-standard-headers': async (client) => {
    const { tools } = await client.listTools();
    for (const { name } of tools) await call(client, name);
    const { resources } = await client.listResources();
    for (const { uri } of resources) await client.readResource({ uri });
    const { prompts } = await client.listPrompts();
    for (const { name } of prompts) await client.getPrompt({ name });
    assert.ok(tools.length > 1 && resources.length > 1 && prompts.length > 0, 'a list is too short');
  },
  'http-custom-headers': async (client) => {
    await client.listTools();
    for (const { name, arguments: args } of JSON.parse(context).toolCalls) await call(client, name, args);
  },
  'http-invalid-tool-headers': async (client) => {
    // `listTools` drops invalid tools; behind a gateway that is the gateway's part, and not done in its stead.
    const { tools } = behindGateway ? await client.request({ method: 'tools/list' }) : await client.listTools();
    for (const { name, inputSchema } of tools) await call(client, name, invented(inputSchema));
  },
};

const run = SCENARIOS[scenario];
assert.ok(run, `there is nothing to do for the scenario ${scenario}`);
const client = new Client(
  { name: 'tollbridge-conformance', version: '1.0.0' },
  { capabilities: CAPABILITIES, versionNegotiation: version === MODERN ? { mode: { pin: MODERN } } : undefined },
);
// Nothing of one's own: the SDK adds the defaults that were asked for.
client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: {} }));
client.setRequestHandler('roots/list', () => ({ roots: [] }));
client.setRequestHandler('sampling/createMessage', () => ({
  role: 'assistant',
  model: 'none',
  content: { type: 'text', text: 'Nothing to say' },
}));

await client.connect(new StreamableHTTPClientTransport(new URL(process.argv.at(-1))));
await run(client);
await client.close();
// The standalone stream of a legacy session may be about to reconnect.
process.exit(0);
