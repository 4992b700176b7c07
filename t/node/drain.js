// Connections of HTTP/2 that a gateway is to let go of: node drain.js PORT
// One that is idle; one that sends a request every 2 ms until it hears GOAWAY; one that waits for a slow answer.
// Prints a line "{}" when all are open, and after the last connection has closed {"idle": {goaways}, "busy":
// {sent, whole, refused, goaways, why}, "slow": {status, whole, goaways}}. Ends by itself within 30 s.
'use strict';
const http2 = require('http2');
const { Client } = require('./client');
const { pause } = require('./origin');

const [, , port] = process.argv;

async function open() {
  const client = await new Client('h2c', port, {}).open();
  client.goaways = [];
  client.session.on('goaway', (code, last) => client.goaways.push({ code, last }));
  client.session.on('error', () => {});
  client.over = new Promise((resolve) => client.session.on('close', resolve));
  return client;
}

async function keepBusy(client) {
  const results = [];
  while (client.goaways.length === 0 && !client.session.closed && results.length < 5000) {
    try {
      results.push(client.request({ path: '/quick' }));
    } catch (error) {
      break;
    }
    await pause(2);
  }
  const all = await Promise.all(results);
  // what node had not written yet when GOAWAY came, it refuses by itself
  const refused = all.filter((result) => result.code === http2.constants.NGHTTP2_REFUSED_STREAM);
  const whole = all.filter((result) => result.status === 200 && result.whole);
  const bad = all.find((result) => !refused.includes(result) && !whole.includes(result));
  return { sent: all.length, whole: whole.length, refused: refused.length, why: bad ? JSON.stringify(bad) : '' };
}

async function main() {
  setTimeout(() => process.exit(1), 30000).unref();
  const [idle, busy, slow] = [await open(), await open(), await open()];
  await idle.request({ path: '/quick' });
  const waiting = slow.request({ path: '/slow' });
  const working = keepBusy(busy);
  await pause(100);
  console.log('{}');
  const outcome = { idle: {}, busy: await working };
  const { status, whole, error } = await waiting;
  outcome.slow = { status, whole, error };
  await Promise.all([idle.over, busy.over, slow.over]);
  outcome.idle.goaways = idle.goaways;
  outcome.busy.goaways = busy.goaways;
  outcome.slow.goaways = slow.goaways;
  console.log(JSON.stringify(outcome));
  process.exit(0);
}

main();
