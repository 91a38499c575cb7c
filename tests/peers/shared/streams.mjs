// Features of legacy streams: servers that ask, streams that belong to no call, streams resumed.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { answerTogether } from './answers.mjs';
import { counts, every, named, options, profile, tells, told, until } from './checks.mjs';
import { messages } from './sse.mjs';

const LIST_CHANGED = 'notifications/tools/list_changed';
const UPDATED = 'notifications/resources/updated';

export function streams(peer) {
  const { client, heard } = peer;
  const listening = () => until('a GET stream open', 3000, () => peer.gets.some(({ ok, last }) => ok && !last));
  const asks = (spec) => spec && (() => tells(peer, spec));

  /** Has the server log on the GET stream, and waits until that has come. */
  async function announced({ tool, args, own, match }) {
    const said = own ? randomUUID() : match;
    peer.logs.length = 0;
    await told(peer, { tool, args }, own && { text: said });
    await until('the announcement', 3000, () => peer.logs.some(({ data }) => String(data).includes(said)));
    if (!own) await told(peer, { tool, args }); // it is a switch, and has to be off again
  }

  async function listed(name) {
    const tools = await every((params) => client.listTools(params), 'tools');
    return tools.some((tool) => tool.name === named(name));
  }

  /** Calls `tool`, and as soon as the client is told that the list changed asks for it. */
  async function changed(tool, name) {
    heard[LIST_CHANGED].length = 0;
    const [, there] = await Promise.all([
      told(peer, { tool, args: { name } }),
      until(`told after ${tool}`, 3000, () => heard[LIST_CHANGED].length > 0).then(() => listed(name)),
    ]);
    return there;
  }

  const { subscribe } = profile;
  const touch = () => told(peer, subscribe);

  return {
    elicitation: asks(profile.elicitation),
    sampling: asks(profile.sampling),
    roots: asks(profile.roots),
    'server ping': asks(profile.serverPing),
    'concurrent asks': profile.concurrent && (async () => {
      answerTogether(profile.concurrent.length);
      await Promise.all(profile.concurrent.map((spec) => tells(peer, spec)));
    }),
    'get stream': profile.announce && (async () => {
      await listening();
      await client.setLoggingLevel('debug');
      await announced(profile.announce);
    }),
    'get stream:roots': profile.rootsApart && (async () => {
      await listening();
      await tells(peer, profile.rootsApart);
    }),
    list_changed: profile.grow && (async () => {
      await listening();
      const name = `grown-${randomUUID()}`;
      assert.ok(await changed(profile.grow, name), 'the client was told before the list had the tool');
      assert.equal(await told(peer, { tool: name }), `grown ${name}`);
      assert.ok(!(await changed(profile.shrink, name)), 'the client was told before the list lost the tool');
    }),
    subscribe: subscribe && (async () => {
      const { uri } = subscribe;
      const updates = () => heard[UPDATED].filter((params) => params.uri === uri).length;
      await listening();
      await client.setLoggingLevel('debug');
      await client.subscribeResource({ uri });
      await touch();
      await until('an update', 3000, updates);
      if (subscribe.toggle) await touch();
      await client.unsubscribeResource({ uri });
      heard[UPDATED].length = 0;
      await touch();
      // The stream keeps its order: an update would have come before this.
      await announced(profile.announce);
      assert.equal(updates(), 0, 'updates after unsubscribing');
      if (subscribe.toggle) await touch();
    }),
    resume: profile.resume && (() => resumed(peer)),
    polling: profile.polling && (async () => {
      const resumptions = () => peer.gets.filter(({ ok, last }) => ok && last).length;
      const before = resumptions();
      await tells(peer, profile.polling);
      assert.ok(resumptions() > before, 'the client did not have to come back for the result');
    }),
  };
}

/** Breaks a call's stream off in the middle and resumes it, past the SDK, whose client cannot. */
async function resumed(peer) {
  const { tool, args, events, text } = profile.resume;
  const headers = { ...peer.session(), accept: 'application/json, text/event-stream' };
  const progress = [];
  let last;
  let result;
  /** Reads a stream until `enough()`, and breaks it off. */
  async function read(init, enough) {
    const breaking = new AbortController();
    let response;
    // 409: the server has not noticed yet that the connection is gone. The SDK, too, tries again.
    await until('a stream', 2000, async () => {
      response = await fetch(options.url, { ...init, signal: breaking.signal });
      if (response.status === 409) await response.body?.cancel();
      return response.status !== 409;
    });
    assert.equal(response.status, 200, `${init.method} is answered ${response.status}`);
    for await (const { id, message } of messages(response)) {
      last = id ?? last;
      if (message?.method === 'notifications/progress') progress.push(message.params.progress);
      if (message?.id === 'resumed') result = message.result;
      if (enough()) break;
    }
    breaking.abort();
  }

  const params = { name: named(tool), arguments: args, _meta: { progressToken: 'resumed' } };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 'resumed', method: 'tools/call', params });
  await read({ method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body },
    () => progress.length === 3);
  assert.ok(result === undefined && last !== undefined, `no event id to resume with, or all came at once: ${progress}`);
  const { counted } = await counts();
  await until('two steps missed', 3000, async () => (await counts()).counted >= counted + 2);
  await read({ method: 'GET', headers: { ...headers, accept: 'text/event-stream', 'last-event-id': last } },
    () => result !== undefined);
  assert.deepEqual(progress, Array.from({ length: events }, (_, i) => i + 1));
  assert.equal(result?.content[0].text, text);
}
