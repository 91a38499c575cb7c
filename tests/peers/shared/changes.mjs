// What changes at a TypeScript server while it runs: its set of tools, and one resource.
// How its clients hear of it differs between the SDKs, and comes in as `hear`.
import { options, text, toolsOf } from './server.mjs';

// Behind one endpoint URIs are not rewritten, so each server has its own.
export const WATCHED = `test://watched/${options.name}`;

/** The tools that `grow` made. All sessions of this process share them. */
export const grown = new Set();
let touches = 0;

export const growTool = (server, sdk, name) =>
  toolsOf(server, sdk)(name, 'Was not there at first', {}, () => ({ content: text(`grown ${name}`) }));

/**
 * `hear` is `{ grew(name), shrank(name), touched() }`: each tells all clients that want to know.
 * Returns the grown tools as this server has them, by name.
 */
export function registerChanges(server, { sdk, hear }) {
  const { z } = sdk;
  const tool = toolsOf(server, sdk);
  tool('grow', 'Adds a tool of the given name', { name: z.string() }, async ({ name }) => {
    grown.add(name);
    await hear.grew(name);
    return { content: text(`grew ${name}`) };
  });
  tool('shrink', 'Removes a tool that grow added', { name: z.string() }, async ({ name }) => {
    grown.delete(name);
    await hear.shrank(name);
    return { content: text(`shrank ${name}`) };
  });
  tool('touch', 'Changes the watched resource', {}, async () => {
    touches++;
    await hear.touched();
    return { content: text(`touched ${touches}`) };
  });
  server.registerResource('watched', WATCHED, { mimeType: 'text/plain' }, (uri) => ({
    contents: [{ uri: uri.href, mimeType: 'text/plain', text: `touched ${touches}` }],
  }));
  return new Map([...grown].map((name) => [name, growTool(server, sdk, name)]));
}
