// The resources, and what a legacy session subscribes to.
import { ResourceTemplate } from '@modelcontextprotocol/server';
import { PNG } from './content.mjs';

/** `subscribed` is the set of URIs that the session of this server wants to hear of. */
export function registerResources(server, subscribed) {
  const fixed = (name, uri, mimeType, description, body) =>
    server.registerResource(name, uri, { mimeType, description },
      () => ({ contents: [{ uri, mimeType, ...body }] }));

  fixed('static-text', 'test://static-text', 'text/plain', 'A fixed text',
    { text: 'This is the content of the static text resource.' });
  fixed('static-binary', 'test://static-binary', 'image/png', 'A fixed image', { blob: PNG });
  fixed('watched-resource', 'test://watched-resource', 'text/plain', 'A text that can be subscribed to',
    { text: 'Watched resource content' });
  server.registerResource(
    'template',
    new ResourceTemplate('test://template/{id}/data', { list: undefined }),
    { mimeType: 'application/json', description: 'A resource for each id' },
    (uri, { id }) => ({
      contents: [{
        uri: uri.href,
        mimeType: 'application/json',
        text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
      }],
    }),
  );

  server.server.setRequestHandler('resources/subscribe', ({ params }) => {
    subscribed.add(params.uri);
    return {};
  });
  server.server.setRequestHandler('resources/unsubscribe', ({ params }) => {
    subscribed.delete(params.uri);
    return {};
  });
}
