// The tasks extension. The SDKs have no API for it, so its requests are made here.
import assert from 'node:assert/strict';
import { elicitation } from './answers.mjs';
import { headers, named, options, profile, until } from './checks.mjs';
import { messages } from './sse.mjs';

const MODERN = '2026-07-28';
const TASKS = 'io.modelcontextprotocol/tasks';
const _meta = {
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientInfo': { name: 'tasks', version: '1.0.0' },
  'io.modelcontextprotocol/clientCapabilities': { elicitation: { form: {} }, extensions: { [TASKS]: {} } },
};
let id = 0;

/** Sends a request; gives the response, an error too. `name` is what the request is about. */
async function sent(method, name, params) {
  id++;
  const response = await fetch(options.url, {
    method: 'POST',
    headers: {
      ...headers,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      'mcp-protocol-version': MODERN,
      'mcp-method': method,
      'mcp-name': name,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta } }),
  });
  for await (const { message } of messages(response)) if (message?.id === id) return message;
  throw new Error(`${method} was not answered, status ${response.status}`);
}

async function done(method, name, params) {
  const { result, error } = await sent(method, name, params);
  assert.ok(result, `${method}: ${JSON.stringify(error)}`);
  return result;
}

async function begun({ tool, args }) {
  const task = await done('tools/call', named(tool), { name: named(tool), arguments: args });
  assert.equal(task.resultType, 'task', JSON.stringify(task));
  assert.ok(task.taskId, 'a task without an id');
  return task.taskId;
}

const get = (taskId) => done('tasks/get', taskId, { taskId });

/** The task once its status is `status`. */
async function reached(taskId, status) {
  let task;
  await until(`${status}`, 8000, async () => (task = await get(taskId)).status === status)
    .catch((error) => { throw new Error(`${error.message}: ${JSON.stringify(task)}`); });
  assert.equal(task.taskId, taskId);
  return task;
}

export function tasks() {
  const spec = profile.tasks;
  return {
    'tasks:result': spec && (async () => {
      const { result } = await reached(await begun(spec.result), 'completed');
      assert.equal(result.content[0].text, spec.result.text);
    }),
    'tasks:update': spec && (async () => {
      const taskId = await begun(spec.update);
      const { inputRequests } = await reached(taskId, 'input_required');
      const inputResponses = {};
      for (const [key, { method, params }] of Object.entries(inputRequests)) {
        assert.equal(method, 'elicitation/create');
        inputResponses[key] = await elicitation({ params });
      }
      await done('tasks/update', taskId, { taskId, inputResponses });
      const { result } = await reached(taskId, 'completed');
      assert.equal(result.content[0].text, spec.update.text);
    }),
    'tasks:cancel': spec && (async () => {
      const taskId = await begun(spec.cancel);
      await done('tasks/cancel', taskId, { taskId });
      await reached(taskId, 'cancelled');
    }),
    'tasks:unknown': spec && (async () => {
      const { error } = await sent('tasks/get', 'no-such-task', { taskId: 'no-such-task' });
      assert.equal(error?.code, -32602);
    }),
  };
}
