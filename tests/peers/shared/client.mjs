// The feature table both TypeScript clients run. Prints one JSON line for each feature.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { counts, every, includes, named, options, profile, starts, until } from './checks.mjs';
import { rounds } from './rounds.mjs';
import { streams } from './streams.mjs';
import { tasks } from './tasks.mjs';

const LIMIT_MS = 10_000;

/**
 * `peer.client` is a connected Client of either SDK. What differs between them:
 * `peer.call(params, options)`, `peer.logs` (the log notifications so far), `peer.logMeta`,
 * `peer.heard` (by method, the other notifications so far), and on the legacy side `peer.gets`
 * (what was answered to GET), `peer.session()` (the headers of its session), and `peer.ended()`, the
 * HTTP status of a request after the session's end.
 */
function features(peer) {
  const { client, logs } = peer;
  const call = ({ tool, args }, more = {}, requestOptions = undefined) =>
    peer.call({ name: named(tool), arguments: args, ...more }, requestOptions);
  const read = (spec) =>
    spec && (async () => starts((await client.readResource({ uri: spec.uri })).contents[0].text, spec.text));
  const cancelled = async () => (await counts()).cancelled;

  const table = {
    'tools/list': async () => {
      const tools = await every((params) => client.listTools(params), 'tools');
      includes(tools.map((tool) => tool.name), profile.tools.map(named), 'tool');
    },
    'tools/call': async () => assert.equal((await call(profile.call)).content[0].text, profile.call.text),
    'tools/call:structured': async () => {
      const result = await call(profile.structured);
      starts(result.content[0].text, profile.structured.text);
      assert.deepEqual(result.structuredContent, profile.structured.value);
    },
    'tools/call:isError': async () => {
      const result = await call(profile.isError);
      assert.equal(result.isError, true);
      starts(result.content[0].text, profile.isError.text);
    },
    'tools/call:unknown': async () => {
      // A JSON-RPC error counts, a transport failure (HTTP status or no code) does not.
      const result = await call({ tool: 'nope', args: {} }).catch((error) => {
        if (error.code < 0) return { isError: true };
        throw error;
      });
      assert.equal(result.isError, true);
    },
    'tools/call:big': profile.big && (async () => {
      const { text } = (await call(profile.big)).content[0];
      assert.equal(text.length, profile.big.args.bytes);
    }),
    progress: async () => {
      const seen = [];
      await call(profile.progress, {}, { onprogress: ({ progress }) => seen.push(progress) });
      const wanted = Array.from({ length: profile.progress.events }, (_, i) => i + 1);
      assert.ok(isDeepStrictEqual(seen, wanted), `progress ${seen}`);
    },
    logging: profile.logging && (async () => {
      if (peer.legacy) await client.setLoggingLevel('debug');
      logs.length = 0;
      await call(profile.logging, { _meta: peer.logMeta });
      await until(`${profile.logging.events} logs`, 3000, () => logs.length >= profile.logging.events);
      if (profile.logging.toggle) await call(profile.logging);
    }),
    cancel: async () => {
      const before = options.stats && (await cancelled());
      const started = Date.now();
      const outcome = await call(profile.cancel, {}, { signal: AbortSignal.timeout(300) }).catch(() => 'ended');
      const took = Date.now() - started;
      assert.ok(outcome === 'ended' && took > 250 && took < 1500, `the call took ${took} ms`);
      if (options.stats) await until('cancelled at the server', 2000, async () => (await cancelled()) > before);
    },
    'resources/list': async () => {
      const resources = await every((params) => client.listResources(params), 'resources');
      includes(resources.map(({ uri }) => uri), [profile.resource.uri], 'resource');
    },
    'resources/templates/list': profile.template && (async () => {
      const templates = await every((params) => client.listResourceTemplates(params), 'resourceTemplates');
      includes(templates.map(({ uriTemplate }) => uriTemplate), [profile.template.uriTemplate], 'template');
    }),
    'resources/read': read(profile.resource),
    'resources/read:template': read(profile.template),
    'prompts/list': async () => {
      const prompts = await every((params) => client.listPrompts(params), 'prompts');
      includes(prompts.map(({ name }) => name), [named(profile.prompt.name)], 'prompt');
    },
    'prompts/get': async () => {
      const { name, args, text } = profile.prompt;
      const { messages } = await client.getPrompt({ name: named(name), arguments: args });
      assert.equal(messages[0].content.text, text);
    },
    completion: profile.completion && (async () => {
      const { prompt, argument, values } = profile.completion;
      const { completion } = await client.complete({ ref: { type: 'ref/prompt', name: named(prompt) }, argument });
      assert.deepEqual(completion.values, values);
    }),
  };
  if (peer.legacy) {
    table.ping = () => client.ping();
    Object.assign(table, streams(peer));
    table.delete = async () => {
      const status = await peer.ended();
      assert.ok(status === 404, `the ended session still answers ${status}, not 404`);
    };
  } else {
    Object.assign(table, rounds(peer), tasks());
  }
  return table;
}

async function report(feature, run) {
  let line = { feature, ok: null, detail: 'not offered' };
  if (run) {
    const late = new AbortController();
    const limit = sleep(LIMIT_MS, undefined, late).then(() => { throw new Error(`no end within ${LIMIT_MS} ms`); });
    line = await Promise.race([run(), limit]).then(
      () => ({ feature, ok: true }),
      (error) => ({ feature, ok: false, detail: String(error?.message ?? error).slice(0, 500) }),
    );
    limit.catch(() => {});
    late.abort();
  }
  process.stdout.write(`${JSON.stringify(line)}\n`);
  return line.ok;
}

/** Connects `peer` with its `connect()`, runs the chosen features, and ends the program. */
export async function main(peer) {
  const only = options.only?.split(',');
  const connected = await report('connect', async () => {
    await peer.connect();
    assert.ok(peer.client.getServerVersion()?.name, 'no server info');
  });
  for (const [feature, run] of Object.entries(features(peer))) {
    if (only && !only.includes(feature)) continue;
    await report(feature, connected ? run : () => Promise.reject(new Error('not connected')));
  }
  await Promise.race([peer.client.close().catch(() => {}), sleep(1000)]);
  process.exit(0);
}
