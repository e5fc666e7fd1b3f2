// Starts the appliance with a simulated cluster for a test file, and stops it again.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { request } from 'node:https';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import tls from 'node:tls';

export const BINARY = process.env.TESTED_BINARY ?? fileURLToPath(new URL('../../target/debug/steward', import.meta.url));
const START_MS = 60_000;
const STOP_MS = 15_000;

/**
 * Starts `steward demo` and waits until it is ready.
 *
 * @returns {Promise<{url: string, login: string, password: string, token: string, spki: string,
 *   log: () => string, stop: () => Promise<void>}>}
 */
export async function startSteward({ guests = 40, nodes = 3, timeScale = 0.1 } = {}) {
  const cluster = ['--guests', String(guests), '--nodes', String(nodes), '--time-scale', String(timeScale)];
  const child = spawn(BINARY, ['demo', '--json', '--listen', '127.0.0.1:0', ...cluster], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (d) => (log += d));
  const gone = new Promise((resolve) => {
    child.once('error', (e) => resolve(`${BINARY} could not be started: ${e.message}`));
    child.once('exit', (code, signal) => resolve(`${BINARY} ended (${signal ?? code})`));
  });
  const ready = (async () => {
    for await (const line of createInterface({ input: child.stdout })) {
      log += `${line}\n`;
      if (line.startsWith('{')) return JSON.parse(line);
    }
    return gone;
  })();
  const info = await Promise.race([ready, gone, later(START_MS, 'it was not ready in time')]);
  if (typeof info === 'string') {
    child.kill('SIGKILL');
    throw new Error(`${info}\n${log}`);
  }
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGTERM');
    const why = await Promise.race([gone, later(STOP_MS, null)]);
    if (why === null) {
      child.kill('SIGKILL');
      throw new Error(`Steward did not stop ${STOP_MS / 1000} s after SIGTERM\n${log}`);
    }
  };
  return { ...info, url: info.url.replace(/\/$/, ''), spki: await spki(info.url), log: () => log, stop };
}

function later(ms, value) {
  return new Promise((resolve) => setTimeout(() => resolve(value), ms).unref());
}

/** The certificate's key as Chromium wants it pinned: base64 of the SHA-256 of its SPKI. */
function spki(url) {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host: hostname, port, rejectUnauthorized: false }, () => {
      const key = new X509Certificate(socket.getPeerCertificate(true).raw).publicKey;
      socket.end();
      resolve(createHash('sha256').update(key.export({ type: 'spki', format: 'der' })).digest('base64'));
    });
    socket.once('error', reject);
  });
}

/** The machines that fit the filter words, by the REST API; templates only when asked for. */
export async function guests(steward, words = '') {
  const answer = await api(steward, 'GET', `/api/v1/guests?limit=1000&q=${encodeURIComponent(words)}`);
  if (answer.status !== 200) throw new Error(`guests: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body.guests;
}

/** Asks the REST API with the demo's token. The certificate is the one that was pinned at the start. */
export async function api(steward, method, path, body) {
  const text = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const ask = request(
      steward.url + path,
      {
        method,
        rejectUnauthorized: false,
        headers: {
          authorization: `Bearer ${steward.token}`,
          ...(text && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        },
      },
      (answer) => {
        let data = '';
        answer.setEncoding('utf8').on('data', (d) => (data += d));
        answer.on('end', () => {
          const json = /json/.test(answer.headers['content-type'] ?? '') && data ? JSON.parse(data) : data;
          resolve({ status: answer.statusCode, headers: answer.headers, body: json });
        });
      },
    );
    ask.once('error', reject);
    ask.end(text);
  });
}

/** The simulated cluster's own calls: faults, and what it saw. */
export function sim(steward, method, path, body) {
  const text = body && JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const headers = text ? { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) } : {};
    const ask = request(steward.sim + path, { method, headers, rejectUnauthorized: false }, (answer) => {
      let data = '';
      answer.on('data', (d) => (data += d));
      answer.on('end', () => (answer.statusCode === 200 ? resolve(JSON.parse(data).data) : reject(new Error(data))));
    });
    ask.once('error', reject);
    ask.end(text);
  });
}

/** Asks again and again until there is something. */
export async function until(what, say, ms = 15_000) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await what();
    if (found) return found;
    assert.ok(Date.now() < end, say);
    await new Promise((next) => setTimeout(next, 100));
  }
}
