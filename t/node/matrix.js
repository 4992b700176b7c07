// All sixteen pairs of h1, h1 under TLS, h2c and h2 under TLS on the client's and the upstream's side, from one
// process that is client and origin: node matrix.js --key FILE --cert FILE --ca FILE Prints {"ports": ...} of the
// origin; reads one line of JSON from its standard input: {"clients": {kind: port}, "cells": ["h1 h2c", ...]}; prints
// for each cell {"cell": "h1 h2c", "checks": {name: "ok" or what is wrong}}, and ends. The gateway sends /KIND/... to
// the upstream of that kind.
'use strict';
const { Client, isH2 } = require('./client');
const { Origin, KINDS, pause, file, option } = require('./origin');
const { pattern, sha256 } = require('./pattern');

const MEGABYTE = 1 << 20;
const WINDOW = 65535;
const SLOW = 4 << 20;

const origin = new Origin({ key: file('key'), cert: file('cert') });
let ports;
let number = 0;

function expect(is, what) {
  if (!is) throw new Error(what);
}

function equal(wanted, got, what) {
  expect(wanted === got, what + ': ' + JSON.stringify(got) + ' instead of ' + JSON.stringify(wanted));
}

function sameBytes(wanted, got, what) {
  if (wanted.equals(got)) return;
  let at = 0;
  while (at < wanted.length && at < got.length && wanted[at] === got[at]) at += 1;
  throw new Error(what + ': ' + got.length + ' bytes instead of ' + wanted.length + ', different from ' + at);
}

function fine(result, status) {
  equal(undefined, result.error, 'error');
  equal(status || 200, result.status, 'status');
  expect(result.whole, 'the answer is cut');
  return result;
}

class Cell {
  constructor(side, upstream) {
    Object.assign(this, { side, upstream });
  }

  async open() {
    this.client = await new Client(this.side, ports[this.side], { ca: file('ca') }).open();
  }

  path(query) {
    number += 1;
    this.id = 'c' + number;
    return '/' + this.upstream + '/x?id=' + this.id + '&' + query;
  }

  get(query, options) {
    return this.client.request(Object.assign({ path: this.path(query) }, options));
  }
}

const checks = {
  async get(cell) {
    for (const length of ['', '&length=1']) {
      const result = fine(await cell.get('size=100000&seed=2' + length));
      sameBytes(pattern(2, 100000), result.body, 'body');
      equal(cell.upstream, result.headers['x-kind'], 'the origin');
      if (length) equal('100000', result.headers['content-length'], 'content-length');
    }
    const empty = fine(await cell.get('size=0'));
    equal(0, empty.body.length, 'length');
  },

  async post(cell) {
    const body = pattern(3, MEGABYTE);
    const result = fine(await cell.get('echo=1', { body, headers: { 'content-length': String(MEGABYTE) } }));
    sameBytes(body, result.body, 'echoed');
    equal(sha256(body), result.trailers['x-sum'], 'x-sum');
    const other = fine(await cell.get('sink=1', { body }));
    equal(sha256(body), JSON.parse(other.body).sha256, 'what the origin read');
  },

  async trailers(cell) {
    const body = pattern(4, 50000);
    const up = fine(await cell.get('sink=1', { body, trailers: { 'x-up': 'one', 'x-up2': 'two' },
      headers: isH2(cell.side) ? { te: 'trailers' } : { te: 'trailers', trailer: 'x-up, x-up2' } }));
    const seen = JSON.parse(up.body);
    equal(sha256(body), seen.sha256, 'what the origin read');
    equal('one', seen.trailers['x-up'], 'x-up');
    equal('two', seen.trailers['x-up2'], 'x-up2');
    const down = fine(await cell.get('size=50000&seed=5&trailers=1', { headers: { te: 'trailers' } }));
    sameBytes(pattern(5, 50000), down.body, 'body');
    equal(sha256(down.body), down.trailers['x-sum'], 'x-sum');
    const empty = fine(await cell.get('size=0&trailers=1', { headers: { te: 'trailers' } }));
    equal('yes', empty.trailers['x-late'], 'trailers without a body');
  },

  async head(cell) {
    const result = fine(await cell.get('size=1234&length=1', { method: 'HEAD' }));
    equal('1234', result.headers['content-length'], 'content-length');
    equal(0, result.body.length, 'length');
  },

  async statuses(cell) {
    for (const status of [204, 304, 404, 500]) {
      const result = fine(await cell.get('size=0&status=' + status), status);
      equal(0, result.body.length, 'length of ' + status);
    }
  },

  async informational(cell) {
    const result = fine(await cell.get('size=10&hints=1'));
    equal(1, result.informational.length, 'how many 1xx');
    equal(103, result.informational[0].status, 'the 1xx');
    equal('</style.css>; rel=preload', result.informational[0].headers.link, 'link');
  },

  async cookies(cell) {
    fine(await cell.get('size=1', { headers: { cookie: isH2(cell.side) ? ['a=1', 'b=2'] : 'a=1; b=2' } }));
    const seen = await origin.seen(cell.id, (kept) => kept.headers);
    const lines = seen.headers.filter((field) => field[0] === 'cookie').map((field) => field[1]);
    equal('a=1; b=2', lines.join('|'), 'cookie');
  },

  // A whole answer while the upload stands still.
  async early(cell) {
    const call = cell.client.begin({ method: 'POST', early: true, path: cell.path('early=1&size=30000&seed=6'),
      headers: { 'content-length': String(MEGABYTE) } });
    call.write(pattern(7, MEGABYTE / 2)).catch(() => {});
    const result = await call.done;
    equal(200, result.status, 'status (' + result.error + ')');
    sameBytes(pattern(6, 30000), result.body, 'body');
    expect(result.whole, 'the answer is cut: ' + result.code + ' ' + result.error);
    call.cancel();
  },

  async cancel(cell) {
    const call = cell.client.begin({ path: cell.path('hang=1&size=20000') });
    call.send();
    equal(200, (await call.head).status, 'status');
    call.cancel();
    const seen = await origin.seen(cell.id, (kept) => kept.cancelled);
    expect(seen.cancelled, 'the origin did not see it');
    if (isH2(cell.upstream)) equal(8, seen.code, 'the reset code');
  },

  async cancel_upload(cell) {
    const call = cell.client.begin({ method: 'POST', path: cell.path('sink=1'),
      headers: { 'content-length': String(MEGABYTE) } });
    await call.write(pattern(7, 20000));
    await origin.seen(cell.id, (kept) => kept.begun);
    call.cancel();
    const seen = await origin.seen(cell.id, (kept) => kept.cancelled);
    expect(seen.cancelled, 'the origin did not see it');
    equal(undefined, seen.whole, 'taken as whole');
  },

  // An upload without a length that breaks off is never passed on as whole.
  async cut_upload(cell) {
    const call = cell.client.begin({ method: 'POST', path: cell.path('sink=1') });
    await call.write(pattern(7, 20000));
    await origin.seen(cell.id, (kept) => kept.begun);
    call.cancel();
    const seen = await origin.seen(cell.id, (kept) => kept.cancelled);
    expect(seen.cancelled, 'the origin did not see it');
    equal(undefined, seen.whole, 'taken as whole');
  },

  // The client's window is exactly used up when the trailers come, and it reads nothing before them.
  async window_down(cell) {
    for (const length of [WINDOW - 1, WINDOW, WINDOW + 1]) {
      const holds = isH2(cell.side) && length <= WINDOW;
      const call = cell.client.begin({ hold: holds, limit: 10000, headers: { te: 'trailers' },
        path: cell.path('seed=8&trailers=1&wait=60&size=' + length) });
      call.send();
      if (holds) expect(await call.trailers, length + ': no trailers before the body was read');
      call.resume();
      const result = fine(await call.done);
      sameBytes(pattern(8, length), result.body, 'body');
      equal('yes', result.trailers['x-late'], length + ': x-late');
    }
  },

  async window_up(cell) {
    for (const length of [WINDOW - 1, WINDOW, WINDOW + 1]) {
      const body = pattern(9, length);
      const holds = isH2(cell.upstream) && length <= WINDOW;
      const query = holds ? 'sink=1&hold=1' : 'sink=1';
      const call = cell.client.begin({ method: 'POST', limit: 10000, path: cell.path(query),
        headers: isH2(cell.side) ? {} : { trailer: 'x-late' } });
      call.write(body).catch(() => {});
      await pause(60);
      call.send({ 'x-late': 'yes' });
      const seen = JSON.parse(fine(await call.done).body);
      equal(sha256(body), seen.sha256, length + ': what the origin read');
      equal('yes', seen.trailers['x-late'], length + ': x-late');
    }
  },

  async broken(cell) {
    for (const code of [0, 2, 8]) {
      const result = await cell.get('size=40000&reset=' + code);
      expect(!result.whole, 'an answer cut by ' + code + ' was passed on as whole');
    }
  },

  // A reset after the answer's end takes nothing away from it.
  async reset_after(cell) {
    for (const code of [0, 8]) {
      const call = cell.client.begin({ method: 'POST', early: true, headers: { 'content-length': String(MEGABYTE) },
        path: cell.path('early=1&size=40000&seed=10&length=1&after=1&reset=' + code) });
      call.write(pattern(7, 20000)).catch(() => {});
      const result = await call.done;
      sameBytes(pattern(10, 40000), result.body, 'body (' + result.error + ')');
      expect(result.whole, 'the answer is cut, code ' + result.code);
      call.cancel();
    }
  },

  async many(cell) {
    const sizes = Array.from({ length: 20 }, (_, i) => i * 7919);
    const results = await Promise.all(sizes.map((size) => cell.get('seed=11&size=' + size)));
    results.forEach((result, i) => sameBytes(pattern(11, sizes[i]), fine(result).body, 'body ' + i));
  },

  // Whoever doesn't read stops nobody else, and gets all of it later.
  async stalled(cell) {
    const call = cell.client.begin({ hold: true, path: cell.path('seed=12&size=' + SLOW) });
    call.send();
    equal(200, (await call.head).status, 'status');
    for (let i = 0; i < 5; i += 1) {
      const other = await cell.get('seed=13&size=50000', { limit: 8000 });
      sameBytes(pattern(13, 50000), fine(other).body, 'beside a stalled reader');
    }
    call.resume();
    sameBytes(pattern(12, SLOW), fine(await call.done).body, 'the stalled body');
  },
};

async function run(name) {
  const [side, upstream] = name.split(' ');
  const cell = new Cell(side, upstream);
  const outcome = {};
  const wanted = option('only') ? option('only').split(',') : Object.keys(checks);
  for (const check of wanted) {
    try {
      // after a check that broke the connection, too, the next begins on one that serves
      if (!cell.client || cell.client.closed || cell.client.goaway) await cell.open();
      await checks[check](cell);
      outcome[check] = 'ok';
    } catch (error) {
      outcome[check] = option('trace') ? error.stack : error.message;
      if (cell.client) cell.client.close();
      cell.client = undefined;
    }
  }
  if (cell.client) cell.client.close();
  console.log(JSON.stringify({ cell: name, checks: outcome }));
}

async function go(order) {
  ports = order.clients;
  for (const name of order.cells) await run(name);
  process.exit(0);
}

async function main() {
  await origin.start();
  console.log(JSON.stringify({ ports: origin.ports, checks: Object.keys(checks) }));
  let text = '';
  process.stdin.on('data', (piece) => {
    text += piece;
    if (text.includes('\n')) go(text.startsWith('self') ? self() : JSON.parse(text));
  });
  process.stdin.on('end', () => process.exit(1));
}

// The client against the origin without a gateway between: the tools tried against each other.
function self() {
  return { clients: origin.ports, cells: KINDS.map((kind) => kind + ' ' + kind) };
}

if (require.main === module) main();
