// Fills the columns: the suite against the fixture, then with a gateway between. See `run`.
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startGateway } from './gateway.mjs';
import { serve } from './process.mjs';
import { REVISIONS, expectedFailures, scenarios, testClient, testServer } from './suite.mjs';
import { judge } from './table.mjs';

const directOnly = process.argv.includes('--direct-only');
const work = await mkdtemp(join(tmpdir(), 'conformance-'));
process.on('exit', () => rmSync(work, { recursive: true, force: true }));
const url = (port, path) => `http://localhost:${port}${path}`;
const local = (port) => ({ url: `http://127.0.0.1:${port}/mcp` });

// Each column has a fixture of its own, because the fixture tells everybody what one column changes.
// `localhost`, because the suite wants a local name to test protection against DNS rebinding.
const COLUMNS = [
  {
    heading: 'direct',
    target: async () => url(await serve('server.mjs'), '/mcp'),
    program: 'client.mjs',
  },
  {
    heading: '/mcp/{server}',
    target: async () => {
      const { port } = await startGateway({ fixture: local(await serve('server.mjs')) });
      return url(port, '/mcp/fixture');
    },
    program: 'driver.mjs',
  },
  {
    heading: '/mcp',
    target: async () => {
      const servers = { fixture: local(await serve('server.mjs')), other: local(await serve('other.mjs')) };
      return url((await startGateway(servers)).port, '/mcp');
    },
    program: 'driver.mjs',
    env: { TOLLBRIDGE_PATH: '/mcp' },
  },
].slice(0, directOnly ? 1 : undefined);

/** Runs `jobs` two at a time; their order is that of the results. */
async function paired(jobs) {
  const results = [];
  const waiting = jobs.entries();
  const lane = async () => {
    for (const [place, job] of waiting) results[place] = await job();
  };
  await Promise.all([lane(), lane()]);
  return results;
}

async function serverGroups() {
  // One after the other: the suite waits for answers for fractions of a second.
  const columns = [];
  for (const { target } of COLUMNS) {
    const at = await target();
    const results = {};
    for (const revision of REVISIONS) results[revision] = await testServer(at, revision, work);
    columns.push(results);
  }
  return Promise.all(REVISIONS.map(async (revision) => ({
    title: `server, ${revision}`,
    scenarios: await scenarios(revision, 'server'),
    expected: (await expectedFailures(revision)).server ?? [],
    columns: columns.map((results) => results[revision]),
  })));
}

async function clientGroup(revision) {
  const asked = await scenarios(revision, 'client');
  const names = [...asked.required, ...asked.besides];
  const jobs = COLUMNS.flatMap(({ program, env }) => names.map((name) => async () =>
    [name, await testClient(program, name, revision, work, env)]));
  const results = await paired(jobs);
  return {
    title: `client without auth, ${revision}`,
    scenarios: asked,
    expected: (await expectedFailures(revision)).client ?? [],
    columns: COLUMNS.map((_, place) =>
      Object.fromEntries(results.slice(place * names.length, (place + 1) * names.length))),
  };
}

const groups = await serverGroups();
for (const revision of REVISIONS) groups.push(await clientGroup(revision));
const { lines, wrong } = judge(groups, COLUMNS.map(({ heading }) => heading));
const verdict = wrong.length === 0 ? ['as required'] : ['wrong:', ...wrong.map((line) => `  ${line}`)];
const table = [...lines, ...verdict].join('\n');
console.log(table);
if (process.env.TOLLBRIDGE_RESULTS) {
  await mkdir(process.env.TOLLBRIDGE_RESULTS, { recursive: true });
  await writeFile(join(process.env.TOLLBRIDGE_RESULTS, 'conformance.txt'), `${table}\n`);
}
process.exit(wrong.length === 0 ? 0 : 1);
