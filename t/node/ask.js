// One request and what came of it: node ask.js KIND PORT ORDER, the last as JSON with any of path, method, headers,
// body, trailers, ca (file), servername, authority, settings, hold, limit (ms), times. KIND: h1, h1s, h2c, h2. Prints
// a line of JSON for each of `times` requests on one connection: status, headers, trailers, body (text), whole, code
// (of a reset), error, informational.
'use strict';
const fs = require('fs');
const { Client } = require('./client');

function shown(result) {
  const body = result.body || Buffer.alloc(0);
  return Object.assign({}, result, { body: body.toString('latin1'), length: body.length });
}

async function main() {
  const [, , kind, port, text] = process.argv;
  const order = JSON.parse(text || '{}');
  const ca = order.ca && fs.readFileSync(order.ca);
  const options = { ca, servername: order.servername, authority: order.authority, settings: order.settings };
  const client = new Client(kind, Number(port), options);
  try {
    await client.open();
  } catch (error) {
    console.log(JSON.stringify({ error: error.code || error.message }));
    process.exit(0);
  }
  const request = { path: order.path || '/', limit: order.limit || 10000 };
  for (const name of ['method', 'headers', 'trailers', 'hold']) if (order[name]) request[name] = order[name];
  if (order.body) request.body = Buffer.from(order.body, 'latin1');
  for (let i = 0; i < (order.times || 1); i += 1) {
    const result = shown(await client.request(Object.assign({}, request)));
    if (client.goaway) result.goaway = client.goaway.code;
    console.log(JSON.stringify(result));
  }
  client.close();
  process.exit(0);
}

main();
