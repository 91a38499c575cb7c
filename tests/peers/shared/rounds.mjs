// Features of the modern era: results that need input first, and subscriptions/listen.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { every, named, profile, tells, told, until } from './checks.mjs';

const LIST_CHANGED = 'notifications/tools/list_changed';
const UPDATED = 'notifications/resources/updated';
const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId';

export function rounds(peer) {
  const { client, heard } = peer;
  const asks = (spec) => spec && (() => tells(peer, spec));
  const tagged = (notifications) =>
    assert.ok(notifications.every(({ _meta }) => _meta?.[SUBSCRIPTION]), 'a notification without its subscription');

  async function listed(name) {
    const tools = await every((params) => client.listTools(params), 'tools');
    return tools.some((tool) => tool.name === named(name));
  }

  async function changed(tool, name) {
    heard[LIST_CHANGED].length = 0;
    const [, there] = await Promise.all([
      told(peer, { tool, args: { name } }),
      until(`told after ${tool}`, 3000, () => heard[LIST_CHANGED].length > 0).then(() => listed(name)),
    ]);
    tagged(heard[LIST_CHANGED]);
    return there;
  }

  return {
    'mrtr:elicitation': asks(profile.elicitation),
    'mrtr:sampling': asks(profile.sampling),
    'mrtr:roots': asks(profile.roots),
    'mrtr:state': asks(profile.journey),
    'listen:list_changed': profile.grow && (async () => {
      // Resolves with the acknowledgement.
      const listen = await client.listen({ toolsListChanged: true });
      assert.equal(listen.honoredFilter.toolsListChanged, true, 'not acknowledged');
      const name = `grown-${randomUUID()}`;
      assert.ok(await changed(profile.grow, name), 'the client was told before the list had the tool');
      assert.equal(await told(peer, { tool: name }), `grown ${name}`);
      assert.ok(!(await changed(profile.shrink, name)), 'the client was told before the list lost the tool');
      await listen.close();
    }),
    'listen:updated': profile.subscribe && (async () => {
      const { uri } = profile.subscribe;
      heard[UPDATED].length = 0;
      const listen = await client.listen({ resourceSubscriptions: [uri] });
      assert.deepEqual(listen.honoredFilter.resourceSubscriptions, [uri], 'not acknowledged');
      await told(peer, profile.subscribe);
      await until('an update', 3000, () => heard[UPDATED].some((params) => params.uri === uri));
      tagged(heard[UPDATED]);
      await listen.close();
    }),
  };
}
