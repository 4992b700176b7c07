// A WebSocket client for tests: node ws_client.js URL MODE. Prints one line of JSON and exits with 0 when all was well.
//   echo       texts and binary messages of many sizes come back as they went
//   close      a close frame of the server comes with its code, and the connection ends cleanly
//   greeting   a message that the server sends at once arrives
//   refused    the handshake fails; prints the status
'use strict';
const crypto = require('crypto');
const WebSocket = require('ws');

const [, , url, mode] = process.argv;
const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: 1 << 30 });
const timer = setTimeout(() => end({ error: 'timeout' }), 30000);

function end(result) {
  clearTimeout(timer);
  console.log(JSON.stringify(result));
  process.exit(result.error ? 1 : 0);
}

function echo() {
  const sizes = [0, 1, 125, 126, 127, 65535, 65536, 70000, 1000000, 8000000];
  const messages = sizes.map((size) => crypto.randomBytes(size));
  let next = 0;
  socket.on('message', (data) => {
    if (Buffer.compare(data, messages[next]) !== 0) end({ error: 'message ' + next + ' differs' });
    next += 1;
    if (next === messages.length) socket.close(1000);
  });
  socket.on('close', (code) => end(next === messages.length ? { echoed: next, code } : { error: 'closed early' }));
  for (const message of messages) socket.send(message);
}

function close() {
  socket.on('close', (code, reason) => end({ code, reason: reason.toString() }));
  socket.send('close');
}

socket.on('unexpected-response', (request, response) => {
  end(mode === 'refused' ? { status: response.statusCode } : { error: 'status ' + response.statusCode });
});
socket.on('error', (error) => end({ error: error.message }));
if (mode === 'greeting') socket.on('message', (data) => end({ text: data.toString() }));
if (mode === 'echo') socket.on('open', echo);
if (mode === 'close') socket.on('open', close);
