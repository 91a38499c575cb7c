// The client that the suite runs where the gateway is under test: a gateway before the suite's server, and client.mjs
// before the gateway. TOLLBRIDGE names the binary, TOLLBRIDGE_PATH the path to call it at, if not /mcp/{server}.
import { setTimeout as sleep } from 'node:timers/promises';
import { startGateway } from './gateway.mjs';
import { start } from './process.mjs';

// Below the limit of the suite, which would leave the gateway behind.
const LIMIT_MS = 25_000;

const { MCP_CONFORMANCE_PROTOCOL_VERSION: version, TOLLBRIDGE_PATH: path = '/mcp/fixture' } = process.env;

void sleep(LIMIT_MS, undefined, { ref: false }).then(() => {
  console.error(`no end within ${LIMIT_MS} ms`);
  process.exit(1);
});

// The suite's servers speak one era and are not made for the questions of the other.
const era = version === '2026-07-28' ? 'modern' : 'legacy';
const gateway = await startGateway({ fixture: { url: process.argv.at(-1), era } });
const client = start(process.execPath, ['client.mjs', `http://127.0.0.1:${gateway.port}${path}`], {
  cwd: import.meta.dirname,
  env: { ...process.env, BEHIND_GATEWAY: '1' },
  stdio: ['ignore', 'inherit', 'pipe'],
});
client.stderr.pipe(process.stderr);
const code = await client.ended;
await gateway.end();
process.exitCode = code;
