// The gateway under test.
import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts, start, stop } from './process.mjs';

const READY_MS = 15_000;

/** Starts the binary that TOLLBRIDGE names before `servers`, the configuration's map, and waits until it is ready. */
export async function startGateway(servers) {
  const folder = await mkdtemp(join(tmpdir(), 'tollbridge-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const [port, adminPort] = await freePorts(2);
  const configuration = {
    listen: `127.0.0.1:${port}`,
    admin: { listen: `127.0.0.1:${adminPort}` },
    naming: 'conditional',
    access_log: 'off',
    // Long enough that the servers see one round, and that no client is answered before it.
    discovery: { start_wait: '10s', interval: '1h' },
    servers,
  };
  const file = join(folder, 'gateway.yaml');
  // JSON is YAML.
  await writeFile(file, JSON.stringify(configuration));
  const child = start(process.env.TOLLBRIDGE, ['run', '--config', file]);
  child.stdout.resume();

  let over = false;
  void child.ended.then(() => (over = true));
  for (const late = Date.now() + READY_MS; Date.now() < late && !over; await sleep(20)) {
    const ready = await fetch(`http://127.0.0.1:${adminPort}/readyz`).then(({ status }) => status === 200, () => false);
    if (ready) return { port, end: () => stop(child) };
  }
  await stop(child);
  throw new Error(`the gateway is not ready:\n${child.said}`);
}
