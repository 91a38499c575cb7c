// The events of a response, whether it is an event stream or one JSON object.

/** Yields `{ id, message }`; a message is null where the event has no data. */
export async function* messages(response) {
  if (!response.headers.get('content-type')?.includes('text/event-stream')) {
    yield { message: await response.json() };
    return;
  }
  let pending = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (pending + chunk).split(/\r?\n\r?\n/);
    pending = events.pop();
    for (const event of events) {
      const lines = event.split(/\r?\n/);
      const field = (name) =>
        lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim());
      const data = field('data').join('\n');
      yield { id: field('id')[0], message: data ? JSON.parse(data) : null };
    }
  }
}
