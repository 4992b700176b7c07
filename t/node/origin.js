// An origin that speaks h1, h1 under TLS, h2c by prior knowledge and h2 under TLS, and answers as the query asks:
//   id=NAME        what came is kept under this name: seen() and /seen?of=NAME
//   status=200     of the answer
//   size=N seed=S  a body of the pattern; length=1 says its length beforehand
//   trailers=1     x-sum (sha256 of the body) and x-late; wait=MS: that much after the last byte of the body
//   echo=1         the request's body comes back, with its trailers
//   sink=1         reads the body, then answers what came as JSON
//   hold=1         with sink: reads no byte of the body before its trailers have come
//   early=1        answers and never reads the request's body
//   delay=MS       before the head
//   hints=1        a 103 first
//   hang=1         sends the head and, where size is given, a part of the body, and then nothing more
//   silent=1       sends nothing at all
//   reset=CODE     head and half of the body, then a reset (h2) or a cut connection (h1)
//   after=1        with reset: the whole answer, and then the reset; for a request whose body isn't over
// The path /who answers whom the connection is from, /counts how many there were.
// As a program: node origin.js [--key FILE --cert FILE] [--client-ca FILE] [--streams N]; prints one line of JSON with
// the ports; ends with its standard input.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const http2 = require('http2');
const https = require('https');
const { pattern, sha256 } = require('./pattern');

const KINDS = ['h1', 'h1s', 'h2c', 'h2'];
const MOST_KEPT = 20000;

class Origin {
  constructor(options) {
    this.options = options;
    this.kept = new Map();
    this.waiting = new Map();
    this.counts = {};
    for (const kind of KINDS) this.counts[kind] = { connections: 0, open: 0, requests: 0, resumed: 0 };
    this.ports = {};
    this.sockets = new Set();
  }

  keep(id, what) {
    if (!id) return;
    if (this.kept.size > MOST_KEPT) this.kept.clear();
    this.kept.set(id, Object.assign(this.kept.get(id) || {}, what));
    for (const wake of this.waiting.get(id) || []) wake();
  }

  // What came under a name, as soon as `check` accepts it; what there is after `limit` milliseconds.
  seen(id, check, limit) {
    return new Promise((resolve) => {
      const list = this.waiting.get(id) || [];
      this.waiting.set(id, list);
      const timer = setTimeout(() => finish(), limit || 8000);
      const finish = () => {
        clearTimeout(timer);
        this.waiting.set(id, list.filter((each) => each !== look));
        resolve(this.kept.get(id) || {});
      };
      const look = () => {
        if (this.kept.has(id) && check(this.kept.get(id))) finish();
      };
      list.push(look);
      look();
    });
  }

  async start() {
    const { key, cert, clientCa } = this.options;
    const checks = Boolean(clientCa);
    const tls = key && { key, cert, ca: clientCa, requestCert: checks, rejectUnauthorized: checks };
    await this.listen('h1', http.createServer({ keepAliveTimeout: 60000 }));
    await this.listen('h2c', http2.createServer(this.options.http2 || {}));
    if (!tls) return this;
    const h1 = { keepAliveTimeout: 60000, ALPNProtocols: ['http/1.1'] };
    await this.listen('h1s', https.createServer(Object.assign(h1, tls)));
    const h2 = Object.assign({ allowHTTP1: false }, tls, this.options.http2 || {});
    await this.listen('h2', http2.createSecureServer(h2));
    return this;
  }

  listen(kind, server) {
    const count = this.counts[kind];
    const is2 = kind === 'h2c' || kind === 'h2';
    server.on(kind.endsWith('s') || kind === 'h2' ? 'secureConnection' : 'connection', (socket) => {
      count.connections += 1;
      count.open += 1;
      if (socket.isSessionReused && socket.isSessionReused()) count.resumed += 1;
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        count.open -= 1;
        this.sockets.delete(socket);
      });
    });
    server.on('sessionError', () => {});
    server.on('tlsClientError', (error) => { count.tls_error = error.message; });
    if (is2) server.on('stream', (stream, headers) => this.begin(new Side2(this, kind, stream, headers)));
    else server.on('request', (request, response) => this.begin(new Side1(this, kind, request, response)));
    if (!is2) server.on('checkContinue', (request, response) => {
      response.writeContinue();
      this.begin(new Side1(this, kind, request, response));
    });
    return new Promise((resolve) => server.listen(0, '127.0.0.1', () => {
      this.ports[kind] = server.address().port;
      resolve();
    }));
  }

  begin(side) {
    this.counts[side.kind].requests += 1;
    const url = new URL('http://origin' + side.path);
    const plan = Object.fromEntries(url.searchParams);
    side.id = plan.id;
    if (url.pathname === '/who') return side.answerJson(who(side.socket));
    if (url.pathname === '/counts') return side.answerJson(this.counts);
    if (url.pathname === '/seen') {
      const about = (kept) => (plan.until ? kept[plan.until] !== undefined : true);
      this.seen(plan.of, about, Number(plan.limit || 8000)).then((kept) => side.answerJson(kept));
      return undefined;
    }
    this.keep(plan.id, { kind: side.kind, method: side.method, path: side.path, headers: side.headers, begun: true,
      host: side.host });
    side.onCancel((code) => this.keep(plan.id, { cancelled: true, code }));
    return this.answer(side, plan);
  }

  async answer(side, plan) {
    if (plan.delay) await pause(Number(plan.delay));
    if (plan.silent) return side.drain();
    if (plan.hints) side.inform(103, { link: '</style.css>; rel=preload' });
    if (plan.echo) return this.echo(side);
    if (plan.sink) return this.sink(side, plan);
    if (!plan.early) side.drain();
    return this.send(side, plan);
  }

  echo(side) {
    const hash = crypto.createHash('sha256');
    side.head(200, { 'x-kind': side.kind });
    let length = 0;
    side.body.on('data', (piece) => {
      hash.update(piece);
      length += piece.length;
      if (!side.write(piece)) {
        side.body.pause();
        side.out.once('drain', () => side.body.resume());
      }
    });
    side.body.on('end', () => {
      if (side.broken()) return;
      side.whenTrailers((trailers) => {
        const sum = hash.digest('hex');
        this.keep(side.id, { whole: true, length, sha256: sum, trailers });
        side.end(Object.assign({ 'x-sum': sum }, trailers));
      });
    });
  }

  sink(side, plan) {
    const pieces = [];
    const finish = () => side.broken() || side.whenTrailers((trailers) => {
      const body = Buffer.concat(pieces);
      const report = { length: body.length, sha256: sha256(body), trailers };
      this.keep(side.id, Object.assign({ whole: true }, report));
      side.answerJson(report);
    });
    const read = () => side.body.on('data', (piece) => pieces.push(piece)).on('end', finish);
    if (!plan.hold) return read();
    // h2 only: trailers come as a frame of their own, whatever has been read of the body
    side.body.once('trailers', () => {
      this.keep(side.id, { trailers_before_body: true });
      read();
    });
    return undefined;
  }

  async send(side, plan) {
    const size = Number(plan.size || 0);
    const body = pattern(plan.seed || 1, size);
    const headers = { 'x-kind': side.kind };
    if (plan.length) headers['content-length'] = size;
    side.head(Number(plan.status || 200), headers);
    if (side.method === 'HEAD') return side.end();
    if (plan.hang) return side.write(body.subarray(0, Math.floor(size / 2)));
    if (plan.reset && !plan.after) {
      side.write(body.subarray(0, Math.floor(size / 2)));
      await pause(50);
      return side.reset(Number(plan.reset));
    }
    await side.writeAll(body);
    if (plan.wait) await pause(Number(plan.wait));
    side.end(plan.trailers ? { 'x-sum': sha256(body), 'x-late': 'yes' } : undefined);
    if (plan.reset) {
      // not before END_STREAM has gone out, which a reset would overtake
      await pause(50);
      side.reset(Number(plan.reset));
    }
    return undefined;
  }

  stop() {
    for (const socket of this.sockets) socket.destroy();
  }
}

class Side1 {
  constructor(origin, kind, request, response) {
    Object.assign(this, { origin, kind, body: request, out: response });
    Object.assign(this, { method: request.method, path: request.url, host: request.headers.host });
    this.headers = pairs(request.rawHeaders);
    this.socket = request.socket;
    request.on('error', () => {});
    response.on('error', () => {});
  }

  onCancel(then) {
    this.out.on('close', () => {
      if (!this.out.writableFinished) then('closed');
    });
  }

  drain() {
    this.body.resume();
  }

  broken() {
    return !this.body.complete;
  }

  inform(status, headers) {
    if (status === 103) this.out.writeEarlyHints({ link: headers.link });
  }

  head(status, headers) {
    this.out.writeHead(status, headers);
    this.out.flushHeaders();
  }

  write(piece) {
    return this.out.write(piece);
  }

  async writeAll(body) {
    if (body.length && !this.write(body)) await new Promise((resolve) => this.out.once('drain', resolve));
  }

  end(trailers) {
    if (trailers) this.out.addTrailers(trailers);
    this.out.end();
  }

  reset() {
    if (this.out.socket) this.out.socket.destroy();
  }

  whenTrailers(then) {
    then(this.body.trailers);
  }

  answerJson(value) {
    this.drain();
    const text = JSON.stringify(value);
    this.out.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
    this.out.end(text);
  }
}

class Side2 {
  constructor(origin, kind, stream, headers) {
    Object.assign(this, { origin, kind, body: stream, out: stream });
    Object.assign(this, { method: headers[':method'], path: headers[':path'], host: headers[':authority'] });
    this.headers = Object.entries(headers);
    this.socket = stream.session.socket;
    this.trailers = {};
    stream.on('error', () => {});
    stream.on('trailers', (trailers) => { this.trailers = Object.assign({}, trailers); });
    stream.on('wantTrailers', () => stream.sendTrailers(this.last || {}));
  }

  onCancel(then) {
    this.body.on('aborted', () => then(this.body.rstCode));
    this.body.on('close', () => {
      if (this.body.rstCode !== 0) then(this.body.rstCode);
    });
  }

  drain() {
    this.body.resume();
  }

  // Node ends the readable side of a stream that was reset, too.
  broken() {
    return this.body.aborted || this.body.destroyed || this.body.rstCode !== 0;
  }

  inform(status, headers) {
    if (!this.body.destroyed) this.body.additionalHeaders(Object.assign({ ':status': status }, headers));
  }

  head(status, headers) {
    if (this.body.destroyed) return;
    this.body.respond(Object.assign({ ':status': status }, headers), { waitForTrailers: true });
  }

  write(piece) {
    return this.out.destroyed || this.out.write(piece);
  }

  async writeAll(body) {
    if (body.length && !this.write(body)) await new Promise((resolve) => this.out.once('drain', resolve));
  }

  end(trailers) {
    this.last = trailers;
    this.out.end();
  }

  reset(code) {
    this.body.close(code);
  }

  whenTrailers(then) {
    then(this.trailers);
  }

  answerJson(value) {
    this.drain();
    if (!this.body.headersSent && !this.body.destroyed) {
      this.body.respond({ ':status': 200, 'content-type': 'application/json' });
      this.body.end(JSON.stringify(value));
    }
  }
}

// Whom a connection under TLS is from, and whom it was opened for.
function who(socket) {
  const certificate = socket.getPeerCertificate ? socket.getPeerCertificate() : {};
  return { sni: socket.servername, subject: (certificate.subject || {}).CN, alpn: socket.alpnProtocol };
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function pairs(flat) {
  const list = [];
  for (let i = 0; i < flat.length; i += 2) list.push([flat[i].toLowerCase(), flat[i + 1]]);
  return list;
}

function option(name) {
  const at = process.argv.indexOf('--' + name);
  return at > 0 ? process.argv[at + 1] : undefined;
}

function file(name) {
  return option(name) && fs.readFileSync(option(name));
}

async function main() {
  const settings = option('streams') ? { settings: { maxConcurrentStreams: Number(option('streams')) } } : {};
  const options = { key: file('key'), cert: file('cert'), clientCa: file('client-ca'), http2: settings };
  const origin = await new Origin(options).start();
  console.log(JSON.stringify({ ports: origin.ports }));
  process.stdin.on('data', () => {}).on('end', () => process.exit(0));
}

if (require.main === module) main();
module.exports = { Origin, KINDS, pause, option, file };
