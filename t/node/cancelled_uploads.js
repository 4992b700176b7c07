// Many uploads that are given up, and one that isn't, on one connection of HTTP/2 in clear:
//   node cancelled_uploads.js PORT COUNT SIZE PATH...
// Prints {"cancelled":N,"goaway":CODE,"status":N,"length":N,"same":true}; the last upload has SIZE bytes of a pattern,
// and the answer says what the origin (t/node/origin.js, sink=1) read of it.
'use strict';
const { Client } = require('./client');
const { pattern, sha256 } = require('./pattern');

const [, , port, count, size, ...paths] = process.argv;
const AT_A_TIME = 40;

async function cancel(client, path) {
  const call = client.begin({ method: 'POST', path });
  await Promise.race([call.write(Buffer.alloc(2000, 'given up')), call.done]);
  call.cancel();
  await call.done;
}

async function main() {
  const client = await new Client('h2c', Number(port), {}).open();
  client.session.on('error', () => {});
  const outcome = { cancelled: 0 };
  const lane = async (first) => {
    for (let i = first; i < Number(count) && !client.goaway && !client.session.destroyed; i += AT_A_TIME) {
      await cancel(client, paths[i % paths.length]);
      outcome.cancelled += 1;
    }
  };
  const lanes = Array.from({ length: AT_A_TIME }, (_, i) => lane(i));
  await Promise.all(lanes).catch((error) => { outcome.error = error.message; });
  if (client.goaway) outcome.goaway = client.goaway.code;
  if (!client.goaway && !client.session.destroyed) {
    const body = pattern(1, Number(size));
    const result = await client.request({ path: '/last?sink=1', body, limit: 40000 });
    Object.assign(outcome, { status: result.status, error: result.error });
    const seen = result.status === 200 ? JSON.parse(result.body) : {};
    Object.assign(outcome, { length: seen.length, same: seen.sha256 === sha256(body) });
  }
  console.log(JSON.stringify(outcome));
  process.exit(0);
}

main();
