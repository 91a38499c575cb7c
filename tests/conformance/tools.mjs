// The tools that answer by themselves; those that ask the client are in questions.mjs.
import { setTimeout as sleep } from 'node:timers/promises';
import { fromJsonSchema } from '@modelcontextprotocol/server';
import * as z from 'zod/v4';
import { audio, image, resource, text } from './content.mjs';

const STEP_MS = 50;

/** What `json-schema-2020-12` wants to find unharmed in the list. */
const EVERY_KEYWORD = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: {
    address: {
      $anchor: 'addressDef',
      type: 'object',
      properties: { street: { type: 'string' }, city: { type: 'string' } },
    },
  },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  then: { required: ['phone'] },
  else: { required: ['email'] },
  additionalProperties: false,
};

const REGION = {
  type: 'object',
  properties: { region: { type: 'string', 'x-mcp-header': 'Region' } },
  required: ['region'],
};

async function logs({ mcpReq }, ...lines) {
  for (const line of lines) {
    await mcpReq.log('info', line, 'fixture');
    await sleep(STEP_MS);
  }
}

async function progress({ mcpReq }, ...steps) {
  const progressToken = mcpReq._meta?.progressToken;
  for (const progress of steps) {
    if (progressToken !== undefined) {
      await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } });
    }
    await sleep(STEP_MS);
  }
}

/** `bus` carries changes to everybody who listens, in either era. */
export function registerTools(server, bus) {
  const tool = (name, description, run, inputSchema = z.object({})) =>
    server.registerTool(name, { description, inputSchema }, async (args, ctx) => {
      const content = await run(args, ctx);
      return { content: Array.isArray(content) ? content : [content] };
    });

  tool('test_simple_text', 'Returns a text', () => text('This is a simple text response for testing.'));
  tool('test_image_content', 'Returns an image', () => image);
  tool('test_audio_content', 'Returns a sound', () => audio);
  tool('test_embedded_resource', 'Returns a resource', () =>
    resource('test://embedded-resource', 'text/plain', 'This is an embedded resource content.'));
  tool('test_multiple_content_types', 'Returns a text, an image and a resource', () => [
    text('Multiple content types test:'),
    image,
    resource('test://mixed-content-resource', 'application/json', JSON.stringify({ test: 'data', value: 123 })),
  ]);
  tool('test_error_handling', 'Always fails', () => {
    throw new Error('This tool intentionally returns an error for testing');
  });

  tool('test_tool_with_logging', 'Logs three lines', async (_, ctx) => {
    await logs(ctx, 'Tool execution started', 'Tool processing data', 'Tool execution completed');
    return text('Logged three lines');
  });
  tool('test_logging_tool', 'Logs one line', async (_, ctx) => {
    await logs(ctx, 'A line for those who asked for logs');
    return text('Logged one line');
  });
  tool('test_tool_with_progress', 'Reports progress three times', async (_, ctx) => {
    await progress(ctx, 0, 50, 100);
    return text('Reported progress');
  });

  tool('test_reconnection', 'Closes its stream before it answers', async (_, { http }) => {
    // Only a legacy session can be resumed; a modern request has nothing to close.
    http?.closeSSE?.();
    await sleep(2 * STEP_MS);
    return text('Answered after the stream was closed');
  });

  // The lists stay as they are, so that scenarios which run meanwhile see them whole; only the news is sent.
  tool('test_trigger_tool_change', 'Announces changed tools', () => {
    bus.publish({ kind: 'tools_list_changed' });
    return text('Announced');
  });
  tool('test_trigger_prompt_change', 'Announces changed prompts', () => {
    bus.publish({ kind: 'prompts_list_changed' });
    return text('Announced');
  });

  tool('json_schema_2020_12_tool', 'Has every keyword of JSON Schema 2020-12 that is easily lost',
    (args) => text(JSON.stringify(args)), fromJsonSchema(EVERY_KEYWORD));
  tool('test_x_mcp_header', 'Has an argument that a header repeats',
    ({ region }) => text(region), fromJsonSchema(REGION));
}
