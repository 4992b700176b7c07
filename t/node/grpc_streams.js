// gRPC streams that are held open: node grpc_streams.js TARGET COUNT
// Opens COUNT streams of test.Service/Hold (t/node/grpc.js) on a few channels and prints
// {"open":N,"generations":[...]} with what stood in their metadata `x-generation`. Then for each line on its standard
// input:
//   round   a message on each stream, and its echo awaited: prints {"echoed":N}
//   call    a call of Unary on a channel of its own: prints {"code":N,"generation":"..."}
//   end     half-closes all: prints {"ended":N,"codes":{code: how many}} and ends
'use strict';
const { stub, ask, drain, metadata, pause } = require('./grpc');

const [, , target, count] = process.argv;
const streams = [];

function say(value) {
  console.log(JSON.stringify(value));
}

function withLimit(promise, what) {
  return Promise.race([promise, pause(20000).then(() => { throw new Error(what + ': timeout'); })]);
}

function open(client) {
  const call = client.Hold(metadata({ 'x-call': 'stream' + streams.length }));
  const one = { call, done: drain(call) };
  one.begun = Promise.race([new Promise((resolve) => call.once('data', resolve)), one.done]);
  call.on('metadata', (head) => { one.generation = head.get('x-generation')[0]; });
  streams.push(one);
}

async function round() {
  let echoed = 0;
  await withLimit(Promise.all(streams.map((one) => {
    const message = new Promise((resolve) => one.call.once('data', resolve));
    const echo = Promise.race([message, one.done.then(() => undefined)]);
    one.call.write(Buffer.from('again'));
    return echo.then((got) => { if (got && String(got) === 'again') echoed += 1; });
  })), 'round');
  say({ echoed });
}

async function call() {
  const client = stub(target);
  const got = await ask(client, 'Unary', Buffer.from('x'), {}, { deadline: Date.now() + 5000 });
  client.close();
  say({ code: got.code, details: got.details, generation: got.head && got.head.get('x-generation')[0] });
}

async function end() {
  const codes = {};
  streams.forEach((one) => one.call.end());
  const ends = await withLimit(Promise.all(streams.map((one) => one.done)), 'end');
  ends.forEach((each) => { codes[each.code] = (codes[each.code] || 0) + 1; });
  say({ ended: ends.length, codes });
  process.exit(0);
}

const orders = { round, call, end };

async function main() {
  const channels = Array.from({ length: 4 }, () => stub(target));
  for (let i = 0; i < Number(count); i += 1) open(channels[i % channels.length]);
  await withLimit(Promise.all(streams.map((one) => one.begun)), 'open');
  say({ open: streams.length, generations: [...new Set(streams.map((one) => one.generation))] });
  let text = '';
  let work = Promise.resolve();
  process.stdin.on('data', (piece) => {
    text += piece;
    const lines = text.split('\n');
    text = lines.pop();
    for (const line of lines) work = work.then(orders[line.trim()]).catch((error) => say({ error: error.message }));
  });
}

main().catch((error) => {
  say({ error: error.message });
  process.exit(1);
});
