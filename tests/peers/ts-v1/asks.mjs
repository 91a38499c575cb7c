// Tools of a legacy server that ask their client, or send it what belongs to no call.
import { setTimeout as sleep } from 'node:timers/promises';
import { EmptyResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { text, toolsOf } from '../shared/server.mjs';

const ANSWER = { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'] };

// What is asked goes out on the stream of the call; without `relatedRequestId` on the GET stream.
const onItsStream = ({ requestId }) => ({ relatedRequestId: requestId });

const uris = ({ roots }) => ({ content: text(roots.map(({ uri }) => uri).join(' ')) });

export function registerAsks(mcpServer, sdk) {
  const { z } = sdk;
  const { server } = mcpServer;
  const tool = toolsOf(mcpServer, sdk);

  tool('ask', 'Asks its client about a topic', { topic: z.string() }, async ({ topic }, _, extra) => {
    const form = { message: `What of ${topic}?`, requestedSchema: ANSWER };
    const { action, content } = await server.elicitInput(form, onItsStream(extra));
    return { content: text(`${action} ${content?.answer}`) };
  });
  tool('think', "Has its client's model say something", { prompt: z.string() }, async ({ prompt }, _, extra) => {
    const messages = [{ role: 'user', content: text(prompt)[0] }];
    const { content } = await server.createMessage({ messages, maxTokens: 9 }, onItsStream(extra));
    return { content: text(content.text) };
  });
  tool('where', "Tells its client's roots", {}, async (_, __, extra) =>
    uris(await server.listRoots(undefined, onItsStream(extra))));
  tool('where_apart', "Tells its client's roots, asked for on the GET stream", {}, async () =>
    uris(await server.listRoots()));
  tool('poke', 'Pings its client', {}, async (_, __, extra) => {
    await extra.sendRequest({ method: 'ping' }, EmptyResultSchema);
    return { content: text('pong') };
  });
  tool('announce', 'Logs on the GET stream', { text: z.string() }, async ({ text: said }, _, { sessionId }) => {
    await mcpServer.sendLoggingMessage({ level: 'info', data: said }, sessionId);
    return { content: text('announced') };
  });
  tool('defer', 'Ends its stream and answers later', { ms: z.number().int() }, async ({ ms }, _, extra) => {
    extra.closeSSEStream();
    await sleep(ms);
    return { content: text(`deferred ${ms}`) };
  });
  return mcpServer;
}
