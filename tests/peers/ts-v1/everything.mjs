// The official server-everything (legacy, stateful) under the contract of the other servers:
// it reads PORT, listens on every address and logs to stdout, so this puts it on 127.0.0.1,
// lets port 0 mean any free port, and prints the one line `listening PORT`. It has no /stats.
import { Server } from 'node:net';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { port: { type: 'string', default: '0' }, name: { type: 'string' } },
});

console.log = () => {};
const listen = Server.prototype.listen;
Server.prototype.listen = function (_port, ready) {
  return listen.call(this, Number(values.port), '127.0.0.1', () => {
    process.stdout.write(`listening ${this.address().port}\n`);
    ready?.();
  });
};
process.on('SIGTERM', () => process.exit(0));

process.argv[2] = 'streamableHttp';
await import('@modelcontextprotocol/server-everything/dist/index.js');
