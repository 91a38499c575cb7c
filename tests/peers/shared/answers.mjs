// What a client of either TypeScript SDK answers to a server that asks it something.
export const capabilities = { elicitation: { form: {} }, sampling: {}, roots: {} };

// Answers wait until so many questions are open, so that calls are known to ask at the same time.
let together = 1;
let held = [];
export const answerTogether = (count) => void (together = count);

const open = () =>
  new Promise((go) => {
    held.push(go);
    if (held.length < together) return;
    for (const one of held) one();
    held = [];
    together = 1;
  });

export async function elicitation({ params: { message } }) {
  await open();
  return { action: 'accept', content: { answer: `heard: ${message}`, name: 'Ada' } };
}

export async function sampling({ params: { messages } }) {
  await open();
  const [{ text }] = [messages.at(-1).content].flat();
  return { role: 'assistant', model: 'none', content: { type: 'text', text: `heard: ${text}` } };
}

export const roots = () => ({ roots: [{ uri: 'file:///peer', name: 'peer' }] });
