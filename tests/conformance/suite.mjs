// Runs the conformance suite and reads what it checked.
import { readFile, readdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { start } from './process.mjs';

const PACKAGE = 'node_modules/@modelcontextprotocol/conformance';
const here = import.meta.dirname;

export const REVISIONS = ['2026-07-28', '2025-11-25'];

const yaml = async (...path) => parse(await readFile(join(here, ...path), 'utf8'));

/** The scenarios that a revision requires of a `leg`, server or client, and those that it runs besides. */
export async function scenarios(revision, leg) {
  const { [leg]: required, not_scored: others } = await yaml(PACKAGE, 'requirements', `${revision}.yaml`);
  const besides = others.filter((other) => other.leg === leg && other.reason !== 'extension');
  // Authorization is between a client and the gateway, or the gateway and a server, and never passes through.
  const ours = (scenario) => !scenario.startsWith('auth/');
  return { required: required.filter(ours), besides: besides.map(({ scenario }) => scenario).filter(ours) };
}

export const expectedFailures = async (revision) => yaml(`expected-failures.${revision}.yml`);

async function suite(args, folder, env = {}) {
  const child = start(process.execPath, [join(PACKAGE, 'dist/index.js'), ...args, '-o', folder], {
    cwd: here,
    env: { ...process.env, ...env },
  });
  child.stdout.resume();
  return child.ended;
}

/** The checks of each scenario, by the names of the folders that the suite leaves: [kind-]scenario-time. */
async function results(folder, kind) {
  const found = {};
  for (const name of await readdir(folder)) {
    const scenario = name.replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, '').slice(kind.length);
    // Where the suite itself broke, the scenario is without results.
    found[scenario] = JSON.parse(await readFile(join(folder, name, 'checks.json'), 'utf8').catch(() => '[]'));
  }
  return found;
}

export async function testServer(url, revision, work) {
  const folder = await mkdtemp(join(work, 'server-'));
  await suite(['server', '--url', url, '--requirements', revision], folder);
  return results(folder, 'server-');
}

/** `program` is client.mjs or driver.mjs. How it ends is a check as well, because it asserts what it is answered. */
export async function testClient(program, scenario, revision, work, env) {
  const folder = await mkdtemp(join(work, 'client-'));
  // The path of Node may hold a space, at which the suite would cut it.
  const command = `node ${program}`;
  const path = `${join(process.execPath, '..')}:${process.env.PATH}`;
  const args = ['client', '--command', command, '--scenario', scenario, '--spec-version', revision];
  const code = await suite(args, folder, { ...env, PATH: path });
  const { [scenario]: checks = [] } = await results(folder, '');
  return [...checks, { id: 'overall', name: 'Overall', status: code === 0 ? 'SUCCESS' : 'FAILURE' }];
}
