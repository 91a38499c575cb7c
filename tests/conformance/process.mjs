// Processes that end with this one, and the ports they listen on.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

const running = new Set();

process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));
for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** Starts a program and keeps the end of what it writes to its standard error in `child.said`. */
export function start(program, args, options = {}) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  running.add(child);
  child.said = '';
  child.stderr.on('data', (chunk) => (child.said = (child.said + chunk).slice(-4000)));
  // Nobody may be listening when it fails to start; `ended` tells.
  child.on('error', (error) => (child.said += error.message));
  child.ended = new Promise((resolve) => {
    child.on('error', () => resolve(-1));
    child.on('close', (code) => resolve(code ?? -1));
  }).finally(() => running.delete(child));
  return child;
}

export async function stop(child) {
  child.kill('SIGKILL');
  await child.ended;
}

/** Starts one of the servers here and returns the port that it announces. */
export async function serve(file) {
  const child = start(process.execPath, [file], { cwd: import.meta.dirname });
  const announced = new Promise((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const [, port] = line.match(/^listening (\d+)$/) ?? [];
      if (port) resolve(Number(port));
    });
  });
  const failed = child.ended.then(() => {
    throw new Error(`${file} ended:\n${child.said}`);
  });
  failed.catch(() => {});
  return Promise.race([announced, failed]);
}

/** Ports that were free a moment ago, no two of them the same. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}
