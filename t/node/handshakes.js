// Handshakes without a pause, and one HTTP/2 connection that is never given up:
//   node handshakes.js PORT SERVERNAME CA-FILE
// Opens connections one after the other on four lanes, each with a request over HTTP/1.1, and sends requests on one
// HTTP/2 session, until a line comes on its standard input. Prints {"handshakes":N,"failed":N,"requests":N,"lost":N,
// "sessions":N,"why":"..."}.
'use strict';
const fs = require('fs');
const tls = require('tls');
const { Client } = require('./client');

const [, , port, servername, caFile] = process.argv;
const ca = fs.readFileSync(caFile);
const counts = { handshakes: 0, failed: 0, requests: 0, lost: 0, sessions: 0, why: '' };
let stopping = false;

function shake() {
  return new Promise((resolve) => {
    let text = '';
    const socket = tls.connect({ host: '127.0.0.1', port, servername, ca, ALPNProtocols: ['http/1.1'] });
    socket.setTimeout(10000, () => socket.destroy(new Error('timeout')));
    socket.on('secureConnect', () => {
      counts.handshakes += 1;
      socket.write('GET / HTTP/1.1\r\nHost: ' + servername + '\r\nConnection: close\r\n\r\n');
    });
    socket.on('data', (piece) => { text += piece; });
    socket.on('error', (error) => { counts.why = error.message; });
    socket.on('close', () => {
      if (!text.startsWith('HTTP/1.1 200')) counts.failed += 1;
      resolve();
    });
  });
}

async function lane() {
  while (!stopping) await shake();
}

async function session() {
  const client = new Client('h2', port, { ca, servername, authority: servername });
  counts.sessions += 1;
  await client.open();
  while (!stopping) {
    const result = await client.request({ path: '/' });
    counts.requests += 1;
    if (result.status !== 200 || !result.whole) {
      counts.lost += 1;
      counts.why = result.error || 'status ' + result.status;
      break;
    }
  }
  client.close();
}

async function main() {
  process.stdin.on('data', () => { stopping = true; });
  console.log('{}');
  await Promise.all([lane(), lane(), lane(), lane(), session()]);
  console.log(JSON.stringify(counts));
  process.exit(0);
}

main();
