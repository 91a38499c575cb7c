// The prompts that need no question; the one that asks is in questions.mjs.
import { completable } from '@modelcontextprotocol/server';
import * as z from 'zod/v4';
import { image, resource, text } from './content.mjs';

const WORDS = ['paris', 'park', 'party', 'test'];

export function registerPrompts(server) {
  const said = (...contents) => ({ messages: contents.map((content) => ({ role: 'user', content })) });

  server.registerPrompt('test_simple_prompt', { description: 'A fixed text' },
    () => said(text('This is a simple prompt for testing.')));
  server.registerPrompt(
    'test_prompt_with_arguments',
    {
      description: 'A text with two arguments',
      argsSchema: z.object({
        arg1: completable(z.string().describe('The first'), (typed) => WORDS.filter((word) => word.startsWith(typed))),
        arg2: z.string().describe('The second'),
      }),
    },
    ({ arg1, arg2 }) => said(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  );
  server.registerPrompt(
    'test_prompt_with_embedded_resource',
    {
      description: 'A resource and a text',
      argsSchema: z.object({ resourceUri: z.string().describe('The URI of the resource') }),
    },
    ({ resourceUri }) =>
      said(resource(resourceUri, 'text/plain', 'Embedded resource content for testing.'),
        text('Please process the embedded resource above.')),
  );
  server.registerPrompt('test_prompt_with_image', { description: 'An image and a text' },
    () => said(image, text('Please analyze the image above.')));
}
