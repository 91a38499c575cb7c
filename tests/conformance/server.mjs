// The server that the conformance suite tests, directly and through the gateway: everything its scenarios ask for,
// on the official TypeScript SDK. Run with --port.
import { McpServer } from '@modelcontextprotocol/server';
import { serve } from './endpoint.mjs';
import { registerPrompts } from './prompts.mjs';
import { registerQuestions, requestState } from './questions.mjs';
import { registerResources } from './resources.mjs';
import { registerTools } from './tools.mjs';

const CAPABILITIES = {
  completions: {},
  logging: {},
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  tools: { listChanged: true },
};

function build(bus, subscribed) {
  const server = new McpServer({ name: 'fixture', version: '1.0.0' }, { capabilities: CAPABILITIES, requestState });
  registerTools(server, bus);
  registerQuestions(server);
  registerPrompts(server);
  registerResources(server, subscribed);
  return server;
}

serve(build, { streaming: ['test_streaming_elicitation'] });
