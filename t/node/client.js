// One client for h1, h1 under TLS (h1s), h2c by prior knowledge and h2 under TLS, with the same face for all four.
'use strict';
const http = require('http');
const http2 = require('http2');
const https = require('https');

const LIMIT = 20000;

function isH2(kind) {
  return kind === 'h2' || kind === 'h2c';
}

// A message exchange under way: `head` comes as soon as the final head does, `done` at the end, with what came.
class Call {
  constructor(options) {
    this.options = options;
    this.pieces = [];
    this.informational = [];
    this.result = { status: undefined, headers: {}, trailers: undefined, body: undefined, whole: false };
    this.head = new Promise((resolve) => { this.gotHead = resolve; });
    this.trailers = new Promise((resolve) => { this.gotTrailers = resolve; });
    this.done = new Promise((resolve) => { this.finish = resolve; });
    this.timer = setTimeout(() => this.fail('timeout'), options.limit || LIMIT);
  }

  read(source) {
    this.source = source;
    source.on('data', (piece) => this.pieces.push(piece));
    if (this.options.hold) source.pause();
  }

  resume() {
    this.options.hold = false;
    if (this.source) this.source.resume();
  }

  end(error) {
    clearTimeout(this.timer);
    if (error) this.result.error = this.result.error || error;
    this.result.body = Buffer.concat(this.pieces);
    this.result.informational = this.informational;
    this.gotHead(this.result);
    this.gotTrailers(this.result.trailers);
    this.finish(this.result);
  }

  fail(error) {
    this.end(error);
    this.cancel();
  }
}

class Call1 extends Call {
  constructor(client, options) {
    super(options);
    const module = client.kind === 'h1s' ? https : http;
    this.request = module.request(Object.assign({}, client.tls, {
      host: '127.0.0.1', port: client.port, agent: client.agent, method: options.method, path: options.path,
      headers: Object.assign({ host: client.authority }, options.headers),
    }));
    this.request.on('information', ({ statusCode, headers }) => {
      this.informational.push({ status: statusCode, headers });
    });
    this.request.on('response', (response) => this.answer(response));
    this.request.on('error', (error) => this.end(error.code || error.message));
  }

  answer(response) {
    Object.assign(this.result, { status: response.statusCode, headers: response.headers });
    this.read(response);
    this.gotHead(this.result);
    response.on('end', () => {
      this.result.trailers = response.trailers;
      this.result.whole = response.complete;
      this.end();
    });
    response.on('aborted', () => this.end('aborted'));
    response.on('error', (error) => this.end(error.code || error.message));
  }

  write(piece) {
    return new Promise((resolve) => this.request.write(piece, resolve));
  }

  send(trailers) {
    if (trailers) this.request.addTrailers(trailers);
    this.request.end();
  }

  // A FIN alone may mean that the client has said all it has to say.
  cancel() {
    const socket = this.request.socket;
    if (socket && !socket.encrypted && socket.resetAndDestroy) socket.resetAndDestroy();
    this.request.destroy();
  }
}

class Call2 extends Call {
  constructor(client, options) {
    super(options);
    const headers = Object.assign({ ':method': options.method, ':path': options.path, ':authority': client.authority,
      ':scheme': client.kind === 'h2' ? 'https' : 'http' }, options.headers);
    this.stream = client.session.request(headers, { endStream: false, waitForTrailers: true });
    this.stream.on('wantTrailers', () => this.stream.sendTrailers(this.last || {}));
    this.stream.on('headers', (head) => this.informational.push({ status: head[':status'], headers: head }));
    this.stream.on('response', (head) => {
      Object.assign(this.result, { status: head[':status'], headers: head });
      this.gotHead(this.result);
    });
    this.stream.on('trailers', (trailers) => {
      this.result.trailers = Object.assign({}, trailers);
      this.gotTrailers(this.result.trailers);
    });
    this.stream.on('error', (error) => { this.result.error = error.code || error.message; });
    this.stream.on('aborted', () => { this.result.aborted = true; });
    this.stream.on('end', () => { this.ended = true; });
    this.stream.on('close', () => {
      this.result.code = this.stream.rstCode;
      // an upload that was cut short after the whole answer (RFC 9113 8.1) is aborted for node
      const cut = this.result.aborted && !options.early;
      this.result.whole = Boolean(this.ended && !cut && this.stream.rstCode === 0);
      this.end();
    });
    // the answer may be over while the upload isn't, and with that node never closes the stream; whether it is whole is
    // for the caller to see from its bytes
    this.stream.on('end', () => setImmediate(() => {
      if (!options.early) return;
      this.result.whole = true;
      this.end();
    }));
    this.read(this.stream);
  }

  write(piece) {
    return new Promise((resolve) => this.stream.write(piece, resolve));
  }

  send(trailers) {
    this.last = trailers;
    this.stream.end();
  }

  cancel() {
    this.stream.close(http2.constants.NGHTTP2_CANCEL);
  }
}

class Client {
  // options: ca (PEM), servername, authority, agent ("keep": connections are used again)
  constructor(kind, port, options) {
    Object.assign(this, { kind, port, options });
    this.authority = options.authority || 'matrix.example';
    this.tls = { ca: options.ca, servername: options.servername || 'matrix.example' };
    if (!isH2(kind)) {
      const module = kind === 'h1s' ? https : http;
      this.agent = new module.Agent({ keepAlive: true, maxSockets: 64 });
    }
  }

  async open() {
    if (!isH2(this.kind)) return this;
    const url = (this.kind === 'h2' ? 'https' : 'http') + '://127.0.0.1:' + this.port;
    this.session = http2.connect(url, Object.assign({ settings: this.options.settings }, this.tls));
    this.session.on('goaway', (code, last) => { this.goaway = { code, last }; });
    this.session.on('close', () => { this.closed = true; });
    await new Promise((resolve, reject) => {
      this.session.on('connect', resolve);
      this.session.on('error', reject);
    });
    return this;
  }

  // Begins an exchange whose body is written by hand.
  begin(options) {
    const full = Object.assign({ method: 'GET', headers: {} }, options);
    return isH2(this.kind) ? new Call2(this, full) : new Call1(this, full);
  }

  // A whole exchange: body and trailers at once.
  request(options) {
    const call = this.begin(Object.assign({ method: options.body ? 'POST' : 'GET' }, options));
    if (options.body) call.write(options.body).catch(() => {});
    call.send(options.trailers);
    return call.done;
  }

  close() {
    if (this.agent) this.agent.destroy();
    if (this.session) this.session.close();
    if (this.session) this.session.destroy();
  }
}

module.exports = { Client, isH2 };
