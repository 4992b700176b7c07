// WebSocket's tunnel over HTTP/2 without WebSocket: an extended CONNECT (RFC 8441) whose bytes are a test's.
//   node ws_h2.js server [plain]       echoes; prints its port, then the head of each request; `plain`: knows no RFC 8441
//                                      and answers everything with 200
//   node ws_h2.js client PORT PATH     opens one, sends "hello" and ends; prints what came
'use strict';
const http2 = require('http2');

function say(value) {
  console.log(JSON.stringify(value));
}

function serve(plain) {
  const server = http2.createServer({ settings: { enableConnectProtocol: !plain } });
  server.on('sessionError', () => {});
  server.on('stream', (stream, headers) => {
    say({ headers });
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'x-from': 'origin' });
    if (headers[':protocol'] === 'websocket') stream.pipe(stream);
    else stream.end('no tunnel');
  });
  server.listen(0, '127.0.0.1', () => say({ port: server.address().port }));
  process.stdin.on('data', () => {}).on('end', () => process.exit(0));
}

function connect(port, path) {
  const session = http2.connect('http://127.0.0.1:' + port);
  const result = { data: '' };
  const finish = (error) => {
    if (error) result.error = error;
    say(result);
    process.exit(0);
  };
  setTimeout(() => finish('timeout'), 15000);
  session.on('error', (error) => finish(error.code));
  session.on('remoteSettings', ({ enableConnectProtocol }) => {
    result.promised = enableConnectProtocol;
    const stream = session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'http', ':path': path,
      ':authority': 'ws.example', 'sec-websocket-version': '13', 'sec-websocket-protocol': 'chat' },
    { endStream: false });
    stream.on('response', (headers) => {
      Object.assign(result, { status: headers[':status'], headers });
      if (headers[':status'] === 200) stream.end('hello');
    });
    stream.on('data', (piece) => { result.data += piece; });
    stream.on('end', () => { result.ended = true; });
    stream.on('error', (error) => { result.error = error.code; });
    stream.on('close', () => finish());
  });
}

if (process.argv[2] === 'server') serve(process.argv[3] === 'plain');
else connect(Number(process.argv[3]), process.argv[4]);
