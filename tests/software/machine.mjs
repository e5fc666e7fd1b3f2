// The lab's machine as the tests see it: past Steward, as somebody who sits in front of it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { api } from '../browser/steward.mjs';

export const { MACHINE_ADDRESS: ADDRESS, LAB_HOST } = process.env;
const { MACHINE_ROOT: ROOT, MACHINE_LEADER: LEADER } = process.env;

/** Runs a command on the machine. */
export const inside = (script) =>
  execFileSync('nsenter', ['--all', '--target', LEADER, 'env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'sh', '-euc', script], {
    encoding: 'utf8',
  });

/** What cloud-init does with the key that Steward put among the machine's keys. */
export async function letKeyIn(steward, guest) {
  const key = await api(steward, 'GET', `/api/v1/guests/${guest}/ssh`);
  assert.equal(key.status, 200, JSON.stringify(key.body));
  mkdirSync(`${ROOT}/home/mira/.ssh`, { recursive: true, mode: 0o700 });
  writeFileSync(`${ROOT}/home/mira/.ssh/authorized_keys`, `${key.body.public_key}\n`, { mode: 0o600 });
  inside('chown -R mira: /home/mira/.ssh');
}
