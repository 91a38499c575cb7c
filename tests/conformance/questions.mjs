// The tools, and the prompt, that ask the client for something before they answer.
//
// All return `input_required`, which a modern client answers by calling again. For a legacy session the SDK turns it
// into the requests that the server sends on the call's stream, so that both eras are served by the same lines.
import { randomBytes } from 'node:crypto';
import {
  CLIENT_CAPABILITIES_META_KEY, createRequestStateCodec, inputRequired, inputResponse,
} from '@modelcontextprotocol/server';
import * as z from 'zod/v4';
import { text } from './content.mjs';

const codec = createRequestStateCodec({ key: randomBytes(32) });

/** For the server's options: refuses state that was not made here. */
export const requestState = { verify: codec.verify };

const string = (more = {}) => ({ type: 'string', ...more });

const form = (message, properties, required = Object.keys(properties)) =>
  inputRequired.elicit({ message, requestedSchema: { type: 'object', properties, required } });

const sample = (prompt, maxTokens = 100) =>
  inputRequired.createMessage({ messages: [{ role: 'user', content: text(prompt) }], maxTokens });

const roots = () => inputRequired.listRoots();

const KINDS = { 'elicitation/create': 'elicit', 'sampling/createMessage': 'sampling', 'roots/list': 'roots' };

/** The answers by key, or nothing while one is missing or of the wrong kind. */
function answers({ mcpReq }, questions) {
  const entries = Object.entries(questions).map(([key, { method }]) => {
    const answer = inputResponse(mcpReq.inputResponses, key);
    return [key, answer.kind === KINDS[method] ? answer : undefined];
  });
  return entries.every(([, answer]) => answer) ? Object.fromEntries(entries) : undefined;
}

const outcome = ({ action, content }) => `action=${action}, content=${JSON.stringify(content ?? {})}`;

function sampled({ result: { content } }) {
  return [content].flat().find(({ type }) => type === 'text')?.text ?? '';
}

const DEFAULTS = {
  name: string({ default: 'John Doe' }),
  age: { type: 'integer', default: 30 },
  score: { type: 'number', default: 95.5 },
  status: string({ enum: ['active', 'inactive', 'pending'], default: 'active' }),
  verified: { type: 'boolean', default: true },
};

const options = ['option1', 'option2', 'option3'];
const titled = [1, 2, 3].map((n) => ({ const: `value${n}`, title: `Choice ${n}` }));
const ENUMS = {
  untitledSingle: string({ enum: options }),
  titledSingle: string({ oneOf: titled }),
  legacyEnum: string({ enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] }),
  untitledMulti: { type: 'array', items: string({ enum: options }) },
  titledMulti: { type: 'array', items: { anyOf: titled } },
};

export function registerQuestions(server) {
  const tool = (name, description, run, shape = {}) =>
    server.registerTool(name, { description, inputSchema: z.object(shape) }, run);
  const said = (words) => ({ content: [text(words)] });

  /** A tool that puts the same questions until all are answered; `state` makes what has to come back with them. */
  const asking = (name, description, questions, answered, { shape, state } = {}) =>
    tool(name, description, async (args, ctx) => {
      const asked = questions(args, ctx);
      const given = answers(ctx, asked);
      const known = !state || ctx.mcpReq.requestState() !== undefined;
      if (given && known) return said(answered(given));
      return inputRequired({ inputRequests: asked, requestState: state && (await codec.mint(state)) });
    }, shape);

  asking('test_elicitation', 'Asks the user', ({ message }) => ({
    user: form(message, { username: string({ description: 'A name' }), email: string({ description: 'An address' }) }),
  }), ({ user }) => `User response: ${outcome(user)}`, { shape: { message: z.string() } });
  asking('test_elicitation_sep1034_defaults', 'Asks with defaults of every type',
    () => ({ form: form('Please review', DEFAULTS, []) }),
    (given) => `Elicitation completed: ${outcome(given.form)}`);
  asking('test_elicitation_sep1330_enums', 'Asks with enums of every shape',
    () => ({ form: form('Please choose', ENUMS, []) }),
    (given) => `Elicitation completed: ${outcome(given.form)}`);
  asking('test_sampling', 'Asks the model', ({ prompt }) => ({ answer: sample(prompt) }),
    ({ answer }) => `LLM response: ${sampled(answer)}`, { shape: { prompt: z.string() } });
  asking('test_missing_capability', 'Is of no use to clients without sampling',
    () => ({ answer: sample('Say something') }), ({ answer }) => sampled(answer));
  asking('test_streaming_elicitation', 'Asks the user on a stream',
    () => ({ confirm: form('Go on?', { ok: { type: 'boolean' } }) }), ({ confirm }) => outcome(confirm));

  asking('test_input_required_result_elicitation', 'Asks for a name',
    () => ({ user_name: form('What is your name?', { name: string() }) }),
    ({ user_name: { content } }) => `Hello, ${content?.name}!`);
  asking('test_input_required_result_sampling', 'Asks for a capital',
    () => ({ capital_question: sample('What is the capital of France?') }),
    ({ capital_question }) => sampled(capital_question));
  asking('test_input_required_result_list_roots', 'Asks for roots', () => ({ client_roots: roots() }),
    ({ client_roots }) => client_roots.roots.map(({ uri }) => uri).join(' '));
  asking('test_input_required_result_request_state', 'Asks, and wants its state back',
    () => ({ confirm: form('Please confirm', { ok: { type: 'boolean' } }) }),
    () => 'state-ok', { state: { step: 'confirm' } });
  asking('test_input_required_result_tampered_state', 'Asks, and refuses state that was changed',
    () => ({ confirm: form('Please confirm', { ok: { type: 'boolean' } }) }),
    () => 'state-ok', { state: { step: 'tampered' } });
  asking('test_input_required_result_multiple_inputs', 'Asks three things at once', () => ({
    user_name: form('What is your name?', { name: string() }),
    greeting: sample('Generate a greeting', 50),
    client_roots: roots(),
  }), ({ user_name, greeting, client_roots }) =>
    `${sampled(greeting)} ${user_name.content?.name}: ${client_roots.roots.length} roots`,
  { state: { step: 'all' } });

  tool('test_input_required_result_multi_round', 'Asks two things, one after the other', async (_, ctx) => {
    const known = ctx.mcpReq.requestState() ?? {};
    const first = { step1: form('Step 1: What is your name?', { name: string() }) };
    const second = { step2: form('Step 2: What is your favorite color?', { color: string() }) };
    const name = known.name ?? answers(ctx, first)?.step1.content?.name;
    if (name === undefined) return inputRequired({ inputRequests: first, requestState: await codec.mint({}) });
    const colored = answers(ctx, second);
    if (!colored) return inputRequired({ inputRequests: second, requestState: await codec.mint({ name }) });
    return said(`${name} likes ${colored.step2.content?.color}`);
  });

  tool('test_input_required_result_capabilities', 'Asks only what the client can answer', (_, ctx) => {
    const can = ctx.mcpReq.envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? server.server.getClientCapabilities() ?? {};
    const inputRequests = {
      ...(can.elicitation && { user_name: form('What is your name?', { name: string() }) }),
      ...(can.sampling && { greeting: sample('Generate a greeting') }),
      ...(can.roots && { client_roots: roots() }),
    };
    if (Object.keys(inputRequests).length === 0) return said('There is nothing that this client can answer');
    return answers(ctx, inputRequests) ? said('All answered') : inputRequired({ inputRequests });
  });

  server.registerPrompt('test_input_required_result_prompt', { description: 'Asks before it is a prompt' }, (ctx) => {
    const asked = { user_context: form('What context should the prompt use?', { context: string() }) };
    const given = answers(ctx, asked);
    if (!given) return inputRequired({ inputRequests: asked });
    return { messages: [{ role: 'user', content: text(`Context: ${given.user_context.content?.context}`) }] };
  });
}
