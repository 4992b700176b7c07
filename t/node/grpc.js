// A gRPC service and its client with @grpc/grpc-js, messages being plain bytes.
//   node grpc.js serve [--key FILE --cert FILE]   prints {"ports": {"clear": N, "tls": N}}; lives as long as its
//                                                 standard input
//   node grpc.js call TARGET [--ca FILE --name NAME] CHECK...   prints {check: "ok" or what is wrong}
// Methods of test.Service: Unary and Bidi echo, Collect answers the number of bytes, Count sends as many messages as
// its request says, Fail and Late end with the status asked for in the metadata, Deadline answers the milliseconds it
// has left, Wait answers nothing and keeps what became of it, What tells what became of a call of that name, Hold
// echoes until the client ends, Metadata sends the metadata back.
'use strict';
const fs = require('fs');
const grpc = require('@grpc/grpc-js');

const status = grpc.status;
const same = (bytes) => bytes;
const shape = (name, requestStream, responseStream) => ({
  path: '/test.Service/' + name, requestStream, responseStream,
  requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same,
});
const METHODS = {
  Unary: shape('Unary', false, false), Collect: shape('Collect', true, false), Count: shape('Count', false, true),
  Bidi: shape('Bidi', true, true), Fail: shape('Fail', false, false), Late: shape('Late', false, true),
  Deadline: shape('Deadline', false, false), Wait: shape('Wait', false, false), What: shape('What', false, false),
  Hold: shape('Hold', true, true), Missing: shape('Missing', false, false), Metadata: shape('Metadata', false, false),
};
const BIG = 64 << 20;
const QUIET_MS = Number(process.env.KEEPALIVE_MS || 4500); // of a stream that lives on by pings
const LIMITS = { 'grpc.max_receive_message_length': BIG, 'grpc.max_send_message_length': BIG };

function option(name) {
  const at = process.argv.indexOf('--' + name);
  return at > 0 ? process.argv[at + 1] : undefined;
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

// --- the service ---

const fates = new Map();
let calls = 0;

function fateOf(call) {
  const name = String(call.metadata.get('x-call')[0] || '');
  fates.set(name, 'begun');
  call.on('cancelled', () => fates.set(name, 'cancelled'));
  return name;
}

function failure(call) {
  const metadata = new grpc.Metadata();
  metadata.set('x-reason', 'because');
  metadata.set('grpc-status-details-bin', Buffer.from([0, 1, 2, 253, 254, 255]));
  const code = Number(call.metadata.get('x-code')[0]);
  return { code, details: String(call.metadata.get('x-details')[0] || 'as asked: 50 % \u00fc'), metadata };
}

const service = {
  Unary(call, done) {
    calls += 1;
    done(null, call.request);
  },
  Collect(call, done) {
    let length = 0;
    call.on('data', (message) => { length += message.length; });
    call.on('end', () => done(null, Buffer.from(String(length))));
  },
  async Count(call) {
    const [count, size] = String(call.request).split(' ').map(Number);
    for (let i = 0; i < count; i += 1) {
      if (!call.write(Buffer.alloc(size, i % 256))) await new Promise((resolve) => call.once('drain', resolve));
    }
    call.end();
  },
  Bidi(call) {
    call.on('data', (message) => call.write(message));
    call.on('end', () => call.end());
  },
  Fail(call, done) {
    done(failure(call));
  },
  Late(call) {
    call.write(Buffer.from('one'));
    call.emit('error', failure(call));
  },
  Deadline(call, done) {
    done(null, Buffer.from(String(call.getDeadline() === Infinity ? -1 : new Date(call.getDeadline()) - Date.now())));
  },
  Wait(call) {
    fateOf(call);
  },
  What(call, done) {
    done(null, Buffer.from(fates.get(String(call.request)) || 'unknown'));
  },
  Hold(call) {
    const name = fateOf(call);
    call.write(Buffer.from('begun'));
    call.on('data', (message) => call.write(message));
    call.on('end', () => {
      fates.set(name, 'ended');
      call.end();
    });
  },
  Metadata(call, done) {
    const answer = new grpc.Metadata();
    for (const value of call.metadata.get('x-many')) answer.add('x-many', value);
    for (const value of call.metadata.get('x-bytes-bin')) answer.add('x-bytes-bin', value);
    call.sendMetadata(answer);
    const trailers = new grpc.Metadata();
    trailers.set('x-trailer', 'here');
    trailers.set('x-trailer-bin', Buffer.from([255, 0, 10, 13]));
    done(null, Buffer.from(JSON.stringify(call.metadata.toJSON())), trailers);
  },
};

function bind(server, address, credentials) {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => (error ? reject(error) : resolve(port)));
  });
}

async function serve() {
  const server = new grpc.Server(Object.assign({ 'grpc.max_concurrent_streams': 2000 }, LIMITS));
  const known = Object.assign({}, METHODS);
  delete known.Missing;
  server.addService(known, service);
  const ports = { clear: await bind(server, '127.0.0.1:0', grpc.ServerCredentials.createInsecure()) };
  if (option('key')) {
    const pair = { private_key: fs.readFileSync(option('key')), cert_chain: fs.readFileSync(option('cert')) };
    ports.tls = await bind(server, '127.0.0.1:0', grpc.ServerCredentials.createSsl(null, [pair]));
  }
  console.log(JSON.stringify({ ports }));
  process.stdin.on('data', () => {}).on('end', () => process.exit(0));
}

// --- the client ---

const Stub = grpc.makeGenericClientConstructor(METHODS, 'test.Service');

function stub(target, more) {
  const credentials = option('ca') ? grpc.credentials.createSsl(fs.readFileSync(option('ca')))
    : grpc.credentials.createInsecure();
  const name = option('name') ? { 'grpc.ssl_target_name_override': option('name') } : {};
  return new Stub(target, credentials, Object.assign({ 'grpc.use_local_subchannel_pool': 1 }, LIMITS, name, more));
}

function expect(is, what) {
  if (!is) throw new Error(what);
}

function equal(wanted, got, what) {
  expect(wanted === got, what + ': ' + JSON.stringify(got) + ' instead of ' + JSON.stringify(wanted));
}

function metadata(values) {
  const made = new grpc.Metadata();
  for (const [name, value] of Object.entries(values || {})) made.set(name, value);
  return made;
}

// Gives { error, value, head, trailers }.
function ask(client, method, message, values, options) {
  return new Promise((resolve) => {
    const got = {};
    const sent = values instanceof grpc.Metadata ? values : metadata(values);
    const call = client[method](message, sent, options || {}, (error, value) => {
      Object.assign(got, { error, value });
    });
    call.on('metadata', (head) => { got.head = head; });
    call.on('status', (end) => {
      Object.assign(got, { code: end.code, details: end.details, trailers: end.metadata });
      setImmediate(() => resolve(got));
    });
    if (options && options.use) options.use(call);
  });
}

// Reads a stream to its end.
function drain(call) {
  return new Promise((resolve) => {
    const got = { messages: [] };
    call.on('data', (message) => got.messages.push(message));
    call.on('error', () => {});
    call.on('status', (end) => {
      Object.assign(got, { code: end.code, details: end.details, trailers: end.metadata });
      setImmediate(() => resolve(got));
    });
  });
}

async function fate(client, name, wanted) {
  for (let i = 0; i < 200; i += 1) {
    const got = await ask(client, 'What', Buffer.from(name));
    if (String(got.value) === wanted) return;
    await pause(20);
  }
  throw new Error('the service did not see it ' + wanted);
}

const checks = {
  async unary(client) {
    for (const size of [0, 1, 5, 16379, 16384, 65530, 65535, 200000]) {
      const got = await ask(client, 'Unary', Buffer.alloc(size, 7));
      equal(0, got.code, 'code of ' + size + ' (' + got.details + ')');
      expect(got.value.equals(Buffer.alloc(size, 7)), 'the message of ' + size);
    }
  },

  async client_stream(client) {
    const got = await new Promise((resolve) => {
      const call = client.Collect((error, value) => resolve({ error, value }));
      for (let i = 0; i < 100; i += 1) call.write(Buffer.alloc(10000, i));
      call.end();
    });
    equal(null, got.error, 'error');
    equal('1000000', String(got.value), 'how much it took');
  },

  async server_stream(client) {
    const got = await drain(client.Count(Buffer.from('200 5000')));
    equal(0, got.code, 'code (' + got.details + ')');
    equal(200, got.messages.length, 'messages');
    got.messages.forEach((message, i) => expect(message.equals(Buffer.alloc(5000, i)), 'message ' + i));
  },

  // Each message goes on in the turn it comes: the next is sent only when its echo is here.
  async bidi(client) {
    const call = client.Bidi();
    const done = drain(call);
    for (let i = 0; i < 100; i += 1) {
      const echoed = new Promise((resolve) => call.once('data', resolve));
      call.write(Buffer.from('message ' + i));
      equal('message ' + i, String(await echoed), 'the echo');
    }
    call.end();
    equal(0, (await done).code, 'code');
  },

  async big(client) {
    const message = Buffer.alloc(4 << 20, 'four megabytes');
    const got = await ask(client, 'Unary', message);
    equal(0, got.code, 'code (' + got.details + ')');
    expect(got.value.equals(message), 'the message differs');
  },

  async deadline(client) {
    const began = Date.now();
    const name = 'deadline' + process.pid;
    const got = await ask(client, 'Wait', Buffer.alloc(0), { 'x-call': name }, { deadline: began + 300 });
    equal(status.DEADLINE_EXCEEDED, got.code, 'code');
    expect(Date.now() - began < 3000, 'it took ' + (Date.now() - began) + ' ms');
    await fate(client, name, 'cancelled');
    const left = await ask(client, 'Deadline', Buffer.alloc(0), {}, { deadline: Date.now() + 60000 });
    expect(Number(left.value) > 50000 && Number(left.value) <= 60000, 'the service has ' + left.value + ' ms');
    equal('-1', String((await ask(client, 'Deadline', Buffer.alloc(0))).value), 'a deadline that nobody set');
  },

  async cancel(client) {
    const name = 'cancel' + process.pid;
    let call;
    const waiting = ask(client, 'Wait', Buffer.alloc(0), { 'x-call': name }, { use: (made) => { call = made; } });
    await fate(client, name, 'begun');
    call.cancel();
    equal(status.CANCELLED, (await waiting).code, 'code');
    await fate(client, name, 'cancelled');
    const open = client.Hold(metadata({ 'x-call': name + 'stream' }));
    const done = drain(open);
    await new Promise((resolve) => open.once('data', resolve));
    open.cancel();
    equal(status.CANCELLED, (await done).code, 'code of the stream');
    await fate(client, name + 'stream', 'cancelled');
  },

  async metadata(client) {
    const sent = new grpc.Metadata();
    for (const value of ['one', 'two, with a comma', 'three']) sent.add('x-many', value);
    sent.add('x-bytes-bin', Buffer.from([0, 1, 2, 255]));
    sent.add('x-bytes-bin', Buffer.from('second'));
    const got = await ask(client, 'Metadata', Buffer.alloc(0), sent);
    equal(0, got.code, 'code (' + got.details + ')');
    equal('one, two, with a comma, three', got.head.get('x-many').join(', '), 'x-many');
    const bytes = got.head.get('x-bytes-bin').map((value) => value.toString('hex')).join('|');
    equal('000102ff|' + Buffer.from('second').toString('hex'), bytes, 'x-bytes-bin');
    equal('here', got.trailers.get('x-trailer')[0], 'x-trailer');
    equal('ff000a0d', got.trailers.get('x-trailer-bin')[0].toString('hex'), 'x-trailer-bin');
  },

  async failure(client) {
    for (const method of ['Fail', 'Late']) {
      const values = { 'x-code': String(status.FAILED_PRECONDITION) };
      const got = method === 'Fail' ? await ask(client, 'Fail', Buffer.alloc(0), values)
        : await drain(client.Late(Buffer.alloc(0), metadata(values)));
      equal(status.FAILED_PRECONDITION, got.code, method + ': code');
      equal('as asked: 50 % \u00fc', got.details, method + ': details');
      equal('because', got.trailers.get('x-reason')[0], method + ': x-reason');
      equal('000102fdfeff', got.trailers.get('grpc-status-details-bin')[0].toString('hex'), method + ': details-bin');
      if (method === 'Late') equal('one', got.messages.map(String).join('|'), 'the message before');
    }
  },

  async missing(client) {
    equal(status.UNIMPLEMENTED, (await ask(client, 'Missing', Buffer.alloc(0))).code, 'code');
  },

  // A thousand streams open at a time, on as many channels as the stream limit needs.
  async thousand(client, target) {
    const channels = Array.from({ length: 12 }, () => stub(target));
    const open = [];
    for (let i = 0; i < 1000; i += 1) {
      const call = channels[i % channels.length].Hold(metadata({ 'x-call': 'thousand' + i }));
      open.push({ call, done: drain(call), begun: new Promise((resolve) => call.once('data', resolve)) });
    }
    const late = pause(30000).then(() => 'late');
    equal('all', await Promise.race([Promise.all(open.map((each) => each.begun)).then(() => 'all'), late]), 'begun');
    open.forEach((each, i) => {
      each.call.write(Buffer.from('message ' + i));
      each.call.end();
    });
    const ends = await Promise.race([Promise.all(open.map((each) => each.done)), late]);
    expect(ends !== 'late', 'not all of them ended');
    ends.forEach((end, i) => {
      equal(0, end.code, 'code of stream ' + i + ' (' + end.details + ')');
      equal('begun|message ' + i, end.messages.map(String).join('|'), 'stream ' + i);
    });
    channels.forEach((each) => each.close());
  },

  // A quiet stream, with pings by the client.
  async keepalive(_, target) {
    const client = stub(target, { 'grpc.keepalive_time_ms': 1000, 'grpc.keepalive_timeout_ms': 2000,
      'grpc.keepalive_permit_without_calls': 1 });
    const call = client.Hold(metadata({ 'x-call': 'keepalive' }));
    const done = drain(call);
    await pause(QUIET_MS);
    call.write(Buffer.from('still here'));
    call.end();
    const got = await done;
    equal(0, got.code, 'code (' + got.details + ')');
    equal('begun|still here', got.messages.map(String).join('|'), 'messages');
    client.close();
  },

  async parallel(client) {
    const all = await Promise.all(Array.from({ length: 200 }, (_, i) => ask(client, 'Unary', Buffer.from('p' + i))));
    all.forEach((got, i) => equal('p' + i, String(got.value), 'answer ' + i + ' (' + got.details + ')'));
  },

  // Statuses that the gateway makes: the last word of the check's name is the code.
  async expect(client, _, code) {
    const got = await ask(client, 'Unary', Buffer.from('x'), {}, { deadline: Date.now() + 10000 });
    equal(Number(code), got.code, 'code (' + got.details + ')');
    if (option('details')) expect(got.details.includes(option('details')), 'details: ' + got.details);
  },
};

async function call(target, wanted) {
  const outcome = {};
  for (const word of wanted) {
    const [name, value] = word.split('=');
    const client = stub(target);
    try {
      const late = pause(40000 + QUIET_MS).then(() => { throw new Error('timeout'); });
      await Promise.race([checks[name](client, target, value), late]);
      outcome[name] = 'ok';
    } catch (error) {
      outcome[name] = option('trace') ? error.stack : error.message;
    }
    client.close();
  }
  console.log(JSON.stringify(outcome));
  process.exit(0);
}

function words() {
  const list = [];
  for (let i = 3; i < process.argv.length; i += 1) {
    if (process.argv[i].startsWith('--')) i += 1;
    else list.push(process.argv[i]);
  }
  return list;
}

module.exports = { stub, ask, drain, metadata, pause };
if (require.main === module) {
  if (process.argv[2] === 'serve') serve();
  else call(words()[0], words().slice(1).length ? words().slice(1) : Object.keys(checks));
}
