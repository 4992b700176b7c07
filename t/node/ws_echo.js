// A WebSocket server that echoes. Prints its port as JSON, then runs until its input ends. Its answers to messages:
// "close" closes with code 4001, "ping" sends a ping, anything else comes back as it is.
'use strict';
const { WebSocketServer } = require('ws');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false, maxPayload: 1 << 30 });
server.on('listening', () => console.log(JSON.stringify({ port: server.address().port })));
server.on('connection', (socket, request) => {
  if (request.url.startsWith('/greeting')) socket.send('welcome ' + (request.headers['x-from-gateway'] || 'nobody'));
  socket.on('error', () => {});
  socket.on('message', (data, binary) => {
    if (!binary && data.toString() === 'close') socket.close(4001, 'as asked');
    else socket.send(data, { binary });
  });
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
