// The second server behind an aggregating gateway. Nothing of it bears a name of the first. Run with --port.
import { McpServer } from '@modelcontextprotocol/server';
import * as z from 'zod/v4';
import { text } from './content.mjs';
import { serve } from './endpoint.mjs';

function build() {
  const server = new McpServer({ name: 'other', version: '1.0.0' });
  server.registerTool('other_echo', { description: 'Returns its text', inputSchema: z.object({ said: z.string() }) },
    ({ said }) => ({ content: [text(said)] }));
  server.registerPrompt('other_prompt', { description: 'A fixed text' },
    () => ({ messages: [{ role: 'user', content: text('From the other server') }] }));
  server.registerResource('other', 'other://note', { mimeType: 'text/plain', description: 'A fixed text' },
    (uri) => ({ contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'From the other server' }] }));
  return server;
}

serve(build);
