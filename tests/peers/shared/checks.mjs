// What the checks of both TypeScript clients are made of, and the arguments they take.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

export const options = parseArgs({
  options: {
    url: { type: 'string' },
    key: { type: 'string' },
    prefix: { type: 'string', default: '' },
    stats: { type: 'string' },
    only: { type: 'string' },
    profile: { type: 'string', default: 'native' },
    server: { type: 'string', default: 'peer' },
  },
}).values;

export const headers = options.key ? { authorization: `Bearer ${options.key}` } : {};

const text = readFileSync(new URL('profiles.json', import.meta.url), 'utf8');
const profiles = JSON.parse(text.replaceAll('{server}', options.server));
const chosen = profiles[options.profile];
export const profile = { ...profiles[chosen.like], ...chosen };
export const named = (name) => options.prefix + name;

export async function until(what, ms, check) {
  for (const end = Date.now() + ms; Date.now() < end; await sleep(20)) if (await check()) return;
  throw new Error(`${what} within ${ms} ms`);
}

export async function every(list, key) {
  const items = [];
  let cursor;
  do {
    const page = await list(cursor === undefined ? undefined : { cursor });
    items.push(...page[key]);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return items;
}

export function includes(found, wanted, what) {
  const missing = wanted.filter((one) => !found.includes(one));
  assert.ok(missing.length === 0, `no ${what} ${missing} in ${found}`);
}

export const starts = (text, wanted) => assert.ok(text?.startsWith(wanted), `got ${JSON.stringify(text)?.slice(0, 200)}`);

/** What the server counted, asked past everything between. */
export const counts = async () => (await fetch(options.stats)).json();

/** Calls a tool as a spec of the profile says; gives all the text of the result. */
export async function told(peer, { tool, args }, more = {}) {
  const { content } = await peer.call({ name: named(tool), arguments: { ...args, ...more } });
  return content.map(({ text }) => text).join('\n');
}

/** That the result of such a call has the spec's text in it. */
export async function tells(peer, spec) {
  const text = await told(peer, spec);
  assert.ok(text.includes(spec.text), `got ${JSON.stringify(text).slice(0, 300)}`);
}
