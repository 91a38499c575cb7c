// Tools of a modern server that need input of their client: they answer `input_required`, and are
// called again with the responses.
import { inputRequired } from '@modelcontextprotocol/server';
import { text, toolsOf } from '../shared/server.mjs';

const ANSWER = { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'] };
const form = (topic) => inputRequired.elicit({ message: `What of ${topic}?`, requestedSchema: ANSWER });

/** The states given out. Only what comes back to the byte is among them. */
const minted = new Set();
function mint(state) {
  // Whatever a link may re-encode: quotes, escapes, other scripts, what looks like base64 or a URL.
  const minting = `${JSON.stringify(state)} "\\u00e9" é ☃ 𝄞 %2B+/=\t\n`;
  minted.add(minting);
  return minting;
}

export function registerRounds(server, sdk) {
  const { z } = sdk;
  const tool = toolsOf(server, sdk);
  /** A tool that asks once: `request(args)`, and `told(response)` is what it answers. */
  const once = (name, description, shape, request, told) =>
    tool(name, description, shape, (args, _, { mcpReq }) => {
      const response = mcpReq.inputResponses?.wanted;
      if (response === undefined) return inputRequired({ inputRequests: { wanted: request(args) } });
      return { content: text(told(response)) };
    });

  once('ask', 'Asks its client about a topic', { topic: z.string() },
    ({ topic }) => form(topic),
    ({ action, content }) => `${action} ${content?.answer}`);
  once('think', "Has its client's model say something", { prompt: z.string() },
    ({ prompt }) =>
      inputRequired.createMessage({ messages: [{ role: 'user', content: text(prompt)[0] }], maxTokens: 9 }),
    ({ content }) => content.text);
  once('where', "Tells its client's roots", {},
    () => inputRequired.listRoots(),
    ({ roots }) => roots.map(({ uri }) => uri).join(' '));

  tool('journey', 'Asks in several rounds, and lastly gives nothing but a state', { rounds: z.number().int() },
    ({ rounds }, _, { mcpReq }) => {
      const given = mcpReq.requestState();
      if (given !== undefined && !minted.has(given)) throw new Error(`no state of mine: ${given}`);
      const { asked, answers } = given === undefined ? { asked: 0, answers: [] } : JSON.parse(given.split(' "\\u')[0]);
      if (asked > rounds) return { content: text(answers.join(', ')) };
      const answer = mcpReq.inputResponses?.[`stop ${asked}`]?.content?.answer;
      const state = { asked: asked + 1, answers: asked ? [...answers, answer] : answers };
      if (asked === rounds) return inputRequired({ requestState: mint(state) });
      const stop = asked + 1;
      return inputRequired({ inputRequests: { [`stop ${stop}`]: form(`stop ${stop}`) }, requestState: mint(state) });
    });
  return server;
}
