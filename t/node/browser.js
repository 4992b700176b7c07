// Headless Chromium without a driver's library: node browser.js URL SPKI-HASH
// Opens the page at URL and runs the function `script` below in it, which fetches from the same origin and echoes over
// a WebSocket at /ws, and prints what that made of it: one line of JSON. SPKI-HASH: base64 of the SHA-256 of the
// server's public key, which Chromium is told to take for good. Ends by itself within 60 s.
'use strict';
const { spawn } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');

const [, , url, spki] = process.argv;
const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'tidegate-browser-'));

// Runs inside the page, whose origin is URL's.
async function script() {
  const result = {};
  const first = await fetch('/x?size=100000&seed=1');
  result.status = first.status;
  result.length = (await first.arrayBuffer()).byteLength;
  const body = new Uint8Array(200000).fill(7);
  const echoed = await fetch('/x?echo=1', { method: 'POST', body });
  const bytes = new Uint8Array(await echoed.arrayBuffer());
  result.echoed = bytes.length === body.length && bytes.every((byte) => byte === 7);
  const small = (_, i) => fetch('/x?size=' + i).then((answer) => answer.arrayBuffer());
  const many = await Promise.all(Array.from({ length: 60 }, small));
  result.many = many.every((each, i) => each.byteLength === i);
  result.socket = await new Promise((resolve) => {
    const socket = new WebSocket('wss://' + location.host + '/ws');
    socket.onopen = () => socket.send('hello');
    socket.onmessage = (event) => resolve(event.data);
    socket.onerror = () => resolve('error');
  });
  result.protocols = [...new Set(performance.getEntriesByType('resource').map((entry) => entry.nextHopProtocol))];
  return JSON.stringify(result);
}

const browser = spawn(process.env.CHROMIUM || 'chromium', [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', '--no-proxy-server',
  '--host-resolver-rules=MAP browser.example 127.0.0.1', '--ignore-certificate-errors-spki-list=' + spki,
  '--user-data-dir=' + profile, '--remote-debugging-pipe', 'about:blank',
], { stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] });

const [, , , toBrowser, fromBrowser] = browser.stdio;
const waiting = new Map();
let number = 0;
let noise = '';
let text = '';

let finished = false;

function finish(result) {
  if (finished) return;
  finished = true;
  console.log(JSON.stringify(result));
  browser.kill('SIGKILL');
  // its helpers may write to the profile for a moment longer
  setTimeout(() => {
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    process.exit(0);
  }, 200);
}

function say(method, params, sessionId) {
  number += 1;
  toBrowser.write(JSON.stringify({ id: number, method, params, sessionId }) + '\0');
  return new Promise((resolve) => waiting.set(number, resolve));
}

function hear(message) {
  const resolve = waiting.get(message.id);
  waiting.delete(message.id);
  if (resolve) resolve(message.result || { error: message.error });
}

fromBrowser.on('data', (piece) => {
  text += piece;
  const messages = text.split('\0');
  text = messages.pop();
  messages.map((each) => JSON.parse(each)).forEach(hear);
});
browser.stderr.on('data', (piece) => { noise = (noise + piece).slice(-4000); });
browser.on('error', (error) => finish({ error: error.message }));
browser.on('exit', (code) => finish({ error: 'the browser ended with ' + code + ': ' + noise }));
setTimeout(() => finish({ error: 'timeout: ' + noise }), 60000).unref();

async function main() {
  const { targetId } = await say('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await say('Target.attachToTarget', { targetId, flatten: true });
  await say('Page.enable', {}, sessionId);
  const gone = await say('Page.navigate', { url }, sessionId);
  if (gone.errorText) return finish({ error: gone.errorText });
  const expression = '(' + script + ')()';
  const said = await say('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true }, sessionId);
  if (said.exceptionDetails || !said.result) return finish({ error: JSON.stringify(said) });
  return finish(JSON.parse(said.result.value));
}

main();
