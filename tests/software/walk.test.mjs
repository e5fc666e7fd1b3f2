// A machine's whole life as a new user lives it: a template from a cloud image, a machine of it with two recipes, its
// console, a snapshot, an accident, the way back, more disk while it runs, shared with somebody who may use it, and
// the end. In a browser, then by the REST API, then by the command line.
//
// SHOTS=FOLDER keeps a picture of each step.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { assertAccessible, assertQuiet, open, signedIn, startBrowser } from '../browser/browser.mjs';
import { api, BINARY, guests, startSteward } from '../browser/steward.mjs';
import { ADDRESS, inside, LAB_HOST, letKeyIn } from './machine.mjs';

const JOB_MS = 120_000;
const INSTALLED_MS = 240_000;
const PASSWORD = 'seven-brown-kettles';
const SOFTWARE = ['software-mosquitto', 'software-nginx'];
const ANOTHER = { login: 'lea', password: 'nine-quiet-lanterns-9' };

let steward, browser, state, lea;
before(async () => {
  steward = await startSteward({ guests: 4, timeScale: 0.05 });
  browser = await startBrowser(steward);
  state = await signedIn(browser, steward);
});
after(async () => {
  await browser?.close();
  await steward?.stop();
});

async function until(what, ms, look) {
  const end = Date.now() + ms;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < end, `${what} did not come in ${ms / 1000} s`);
    await new Promise((r) => setTimeout(r, 200));
  }
}

const get = async (path) => {
  const { status, body } = await api(steward, 'GET', `/api/v1${path}`);
  assert.equal(status, 200, `${path}: ${JSON.stringify(body)}`);
  return body;
};

/** Waits for the end of every job of the machine; all of them must have succeeded. */
async function settled(guest) {
  await until('the end of the jobs', INSTALLED_MS, async () => (await get('/jobs?state=open')).jobs.every((j) => j.guest !== guest));
  const bad = (await get('/jobs?state=failed')).jobs.filter((j) => j.guest === guest);
  assert.deepEqual(bad.map((j) => `${j.title}: ${j.error}`), []);
}

const boot = async (guest) => (await get(`/guests/${guest}/hardware`)).disks.find((d) => d.boot);

/** Both recipes ask for the machine's key first; cloud-init would have placed it. */
async function bothInstalled(guest) {
  await until('a job that wants in', JOB_MS, async () => (await get(`/guests/${guest}/software`)).some((s) => s.job));
  await letKeyIn(steward, guest);
  await until('both recipes', INSTALLED_MS, async () => {
    const all = await get(`/guests/${guest}/software`);
    const failed = all.find((s) => s.state === 'failed');
    if (failed) assert.fail(JSON.stringify(await get(`/jobs/${failed.job}`), null, 1));
    return all.length === 2 && all.every((s) => s.state === 'installed');
  });
  assert.match(await (await fetch(`http://${ADDRESS}:8088/`)).text(), /It works/);
  inside(`mosquitto_pub -h 127.0.0.1 -u home -P ${PASSWORD} -t a -m b`);
}

let shots = 0;
async function picture(page, name) {
  if (!process.env.SHOTS) return;
  shots += 1;
  await page.screenshot({ path: join(process.env.SHOTS, `${String(shots).padStart(2, '0')}-${name}.png`), fullPage: true });
}

test('in a browser', { timeout: 900_000 }, async () => {
  const page = await open(browser, steward, { state });
  /** Follows the job that the form led to, or the one that works on the machine. */
  const jobDone = async () => {
    await page.waitForURL(/\/jobs\/[0-9a-f]{32}/);
    await page.locator('#job-head').getByText('succeeded').waitFor({ timeout: JOB_MS });
  };

  await page.goto('/templates');
  await picture(page, 'templates');
  await page.locator('#images li', { hasText: '(trixie)' }).getByRole('link', { name: 'Make a template' }).click();
  await page.getByRole('button', { name: 'Make the template' }).waitFor();
  await picture(page, 'template-new');
  await page.getByRole('button', { name: 'Make the template' }).click();
  await jobDone();
  await picture(page, 'template-job');
  const template = await until('the template', 30_000, async () =>
    (await get('/templates')).templates.find((t) => t.name.startsWith('debian-13-20')),
  );

  await page.goto('/machines/new');
  await page.getByLabel('Name', { exact: true }).fill('walk-browser');
  const chosen = await page.getByLabel('Template', { exact: true }).locator('option:checked').innerText();
  assert.ok(chosen.includes(template.name), `the new template is offered first: ${chosen}`);
  await picture(page, 'wizard-1');
  await page.getByRole('button', { name: 'Next: size' }).click();
  await page.getByLabel('Memory', { exact: true }).fill('1024');
  await picture(page, 'wizard-2');
  await page.getByRole('button', { name: 'Next: network' }).click();
  await page.getByText('A fixed address').click();
  await page.locator('[name=cidr]').fill(`${ADDRESS}/24`);
  await page.locator('[name=gateway]').fill(LAB_HOST);
  await picture(page, 'wizard-3');
  await page.getByRole('button', { name: 'Next: access' }).click();
  await page.getByLabel('User on the machine').fill('mira');
  await picture(page, 'wizard-4');
  await page.getByRole('button', { name: 'Next: software' }).click();
  await page.getByLabel(/^Nginx/).check();
  await page.locator('[name="software.software-nginx.port"]').fill('8088');
  await page.getByLabel(/^Mosquitto/).check();
  await picture(page, 'wizard-5');
  await page.getByRole('button', { name: 'Next: review' }).click();
  await page.locator('[name="software.software-mosquitto.password"]').fill(PASSWORD);
  await picture(page, 'wizard-6');
  await page.getByRole('button', { name: 'Create the machine' }).click();
  await page.waitForURL(/\/machines\/[0-9a-f]{32}$/);
  const guest = page.url().split('/').pop();
  await picture(page, 'machine-making');
  await page.locator('#machine-head').getByText(/running/i).first().waitFor({ timeout: JOB_MS });
  await picture(page, 'machine-running');
  await bothInstalled(guest);
  await settled(guest);
  await page.getByRole('link', { name: 'Software', exact: true }).click();
  await page.getByRole('link', { name: 'Site', exact: true }).waitFor();
  await picture(page, 'software');

  await page.getByRole('link', { name: 'Console', exact: true }).click();
  await page.locator('.console[data-state="open"]').waitFor();
  await page.waitForTimeout(process.env.SHOTS ? 1500 : 0);
  await picture(page, 'console');

  await page.getByRole('link', { name: 'Snapshots', exact: true }).click();
  await page.getByLabel('Name').fill('works');
  await page.getByLabel(/memory/i).check();
  await page.getByRole('button', { name: 'Take snapshot' }).click();
  await page.locator('.tree').getByRole('link', { name: 'works' }).waitFor({ timeout: JOB_MS });
  await settled(guest);
  await picture(page, 'snapshot');

  // The accident: the machine is switched off and loses its disk.
  const disk = await boot(guest);
  await page.goto(`/machines/${guest}`);
  await page.getByRole('button', { name: 'Stop', exact: true }).or(page.getByRole('button', { name: 'Shut down', exact: true })).first().click();
  // Software is on it: what people would lose is said first.
  const asked = page.getByRole('dialog');
  await asked.getByText(/on it stops?:/).waitFor();
  await picture(page, 'stop-asked');
  await asked.getByRole('button', { name: /^(Stop|Shut down)$/ }).click();
  await page.locator('#machine-head').getByText(/stopped/i).first().waitFor({ timeout: JOB_MS });
  await settled(guest);
  await page.goto(`/machines/${guest}/hardware`);
  await page.locator('#disks').getByRole('link', { name: disk.key, exact: true }).click();
  await page.getByRole('button', { name: 'Detach' }).click();
  await page.getByRole('dialog').getByRole('button', { name: /^Detach/ }).click();
  await until('the accident', JOB_MS, async () => !(await get(`/guests/${guest}/hardware`)).disks.some((d) => d.key === disk.key));
  await settled(guest);
  await page.goto(`/machines/${guest}/hardware`);
  await picture(page, 'broken');

  await page.getByRole('link', { name: 'Snapshots', exact: true }).click();
  await page.locator('.tree').getByRole('link', { name: 'works' }).click();
  await picture(page, 'snapshot-page');
  await page.getByRole('button', { name: 'Go back to works' }).click();
  await page.getByRole('dialog').getByRole('button', { name: /^Go back/ }).click();
  await until('the way back', JOB_MS, async () => (await get(`/guests/${guest}`)).status === 'running');
  await settled(guest);
  assert.equal((await boot(guest)).volume, disk.volume, 'the disk is back');

  await page.goto(`/machines/${guest}/hardware`);
  await page.locator('#disks').getByRole('link', { name: disk.key, exact: true }).click();
  const gib = disk.size / 2 ** 30 + 4;
  await page.getByLabel('New size').fill(String(gib));
  await picture(page, 'disk');
  await page.getByRole('button', { name: 'Enlarge' }).click();
  await until('the larger disk', JOB_MS, async () => (await boot(guest)).size === gib * 2 ** 30);
  await settled(guest);
  assert.equal((await get(`/guests/${guest}`)).status, 'running', 'while it runs');

  // Somebody new may use it.
  await page.goto('/users/new');
  await page.getByLabel('Login').fill(ANOTHER.login);
  await picture(page, 'invite');
  await page.getByRole('button', { name: 'Create the invite link' }).click();
  const link = await page.getByText(/\/invite\//).first().innerText();
  await picture(page, 'invited');
  const other = await open(browser, steward, {});
  await other.goto(new URL(link.match(/\S*\/invite\/\S+/)[0], steward.url).pathname);
  await picture(other, 'invite-page');
  for (const field of await other.locator('input[type=password]').all()) await field.fill(ANOTHER.password);
  await other.getByRole('button').last().click();
  await other.getByRole('heading', { level: 1 }).first().waitFor();
  await picture(other, 'lea-first');
  await other.goto('/machines');
  assert.equal(await other.getByText('walk-browser').count(), 0, 'not theirs yet');

  await page.goto(`/machines/${guest}/access`);
  await page.getByLabel('Login', { exact: true }).fill(ANOTHER.login);
  await page.getByLabel(/^Use/).check();
  await picture(page, 'share');
  await page.getByRole('button', { name: 'Share', exact: true }).click();
  await page.locator('#grants').getByText(ANOTHER.login).first().waitFor();
  await picture(page, 'shared');
  await other.goto('/machines');
  await other.getByRole('link', { name: 'walk-browser' }).first().click();
  await picture(other, 'lea-machine');
  await other.getByRole('link', { name: 'Console', exact: true }).click();
  await other.locator('.console[data-state="open"]').waitFor();
  assertQuiet(other);
  await other.goto(`/machines/${guest}/hardware`);
  assert.equal(await other.getByRole('link', { name: 'Add disk' }).count(), 0, 'who may use it may not change it');
  await picture(other, 'lea-hardware');
  const denied = await other.goto(`/machines/${guest}/danger`);
  await picture(other, 'lea-danger');
  assert.ok(denied.status() === 403 || (await other.getByRole('button', { name: /Delete it/ }).count()) === 0);
  lea = other.context();

  await page.goto(`/machines/${guest}`);
  const off = await api(steward, 'POST', `/api/v1/guests/${guest}/power`, { action: 'stop' });
  assert.equal(off.status, 202);
  await settled(guest);
  await page.goto(`/machines/${guest}/danger`);
  await picture(page, 'danger');
  await page.getByLabel("Type the machine's name").fill('walk-browser');
  await page.getByRole('button', { name: 'Delete it for good' }).click();
  await until('the end', JOB_MS, async () => (await guests(steward, 'name:walk-browser')).length === 0);
  await page.goto('/machines');
  await picture(page, 'gone');
  await assertAccessible(page);
  assertQuiet(page);
});

test('by the REST API', { timeout: 900_000 }, async () => {
  const ask = async (method, path, body, status = 202) => {
    const answer = await api(steward, method, `/api/v1${path}`, body);
    assert.equal(answer.status, status, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const over = async (job) => {
    const end = await until('the end of a job', JOB_MS, async () => {
      const now = await get(`/jobs/${job.id}`);
      return now.finished && now;
    });
    assert.equal(end.state, 'succeeded', JSON.stringify(end, null, 1));
  };
  await over(await ask('POST', '/templates', { image: 'debian-13', node: 'pve2', bridge: 'vmbr0', disk: 6 }));
  const template = await until('the template', 30_000, async () => (await get('/templates')).templates.find((t) => t.node === 'pve2'));
  const made = await ask('POST', '/guests', {
    name: 'walk-rest', node: 'pve2', source: { from: 'template', vmid: template.vmid, full: true },
    cores: 1, memory: 1024, disk: 6, bridge: 'vmbr0', user: 'mira', address: { mode: 'static', cidr: `${ADDRESS}/24`, gateway: LAB_HOST },
    software: [{ recipe: 'software-nginx', options: { port: '8088' } }, { recipe: 'software-mosquitto', options: { password: PASSWORD } }],
  });
  const { guest } = made;
  await over(made.job);
  await bothInstalled(guest);
  await settled(guest);
  assert.equal(await rfb(await ask('POST', `/guests/${guest}/console`, { kind: 'vnc' }, 201)), 'RFB 003.008\n');

  await over(await ask('POST', `/guests/${guest}/snapshots`, { name: 'works', memory: true }));
  const disk = await boot(guest);
  await over(await ask('POST', `/guests/${guest}/power`, { action: 'stop' }));
  await until('stopped', 20_000, async () => (await get(`/guests/${guest}`)).status === 'stopped');
  await over(await ask('POST', `/guests/${guest}/disks/${disk.key}`, { action: 'detach_disk' }));
  await over(await ask('POST', `/guests/${guest}/snapshots/works/rollback`));
  await until('running', 20_000, async () => (await get(`/guests/${guest}`)).status === 'running');
  assert.equal((await boot(guest)).volume, disk.volume);
  await over(await ask('POST', `/guests/${guest}/disks/${disk.key}`, { action: 'grow_disk', gib: disk.size / 2 ** 30 + 4 }));
  assert.equal((await boot(guest)).size, disk.size + 4 * 2 ** 30);

  await ask('PUT', `/guests/${guest}/grants/${ANOTHER.login}`, { right: 'use' }, 200);
  const theirs = await lea.newPage();
  await theirs.goto(`/machines/${guest}`);
  await theirs.getByRole('heading', { level: 1, name: 'walk-rest' }).waitFor();
  await theirs.close();

  await over(await ask('POST', `/guests/${guest}/power`, { action: 'stop' }));
  await until('stopped', 20_000, async () => (await get(`/guests/${guest}`)).status === 'stopped');
  await over(await ask('DELETE', `/guests/${guest}`));
  assert.deepEqual(await guests(steward, 'name:walk-rest'), []);
});

/** Opens a console's websocket and gives the first 12 bytes that the machine's screen says. */
function rfb({ websocket }) {
  const address = new URL(websocket.replace(/^ws/, 'http'));
  const headers = {
    authorization: `Bearer ${steward.token}`, connection: 'Upgrade', upgrade: 'websocket',
    'sec-websocket-version': '13', 'sec-websocket-key': Buffer.from('sixteen bytes ok').toString('base64'),
    origin: steward.url,
  };
  return new Promise((resolve, reject) => {
    const ask = request(address, { headers, rejectUnauthorized: false });
    ask.once('error', reject);
    ask.once('response', (r) => reject(new Error(`no websocket: ${r.statusCode}`)));
    ask.once('upgrade', (_, socket, head) => {
      let data = head;
      const look = () => {
        const at = data.indexOf('RFB ');
        if (at < 0 || data.length < at + 12) return;
        socket.destroy();
        resolve(data.subarray(at, at + 12).toString());
      };
      socket.on('data', (d) => {
        data = Buffer.concat([data, d]);
        look();
      });
      socket.once('end', () => reject(new Error(`ended: ${data}`)));
      look();
    });
    ask.end();
  });
}

test('by the command line', { timeout: 900_000 }, async () => {
  const home = mkdtempSync(join(tmpdir(), 'steward-walk-'));
  const env = { PATH: process.env.PATH, HOME: home, STEWARD_CLI_FILE: join(home, 'cli.toml'), TERM: 'dumb' };
  const run = (...words) =>
    new Promise((resolve) => {
      execFile(BINARY, words, { env, timeout: INSTALLED_MS, encoding: 'utf8' }, (error, out, err) =>
        resolve({ code: error ? error.code : 0, out, err }),
      );
    });
  const ok = async (...words) => {
    const answer = await run(...words);
    assert.equal(answer.code, 0, `steward ${words.join(' ')}\n${answer.out}${answer.err}`);
    return answer.out;
  };
  const json = async (...words) => JSON.parse(await ok(...words, '-o', 'json'));
  try {
    const fingerprint = await new Promise((resolve, reject) => {
      const { hostname, port } = new URL(steward.url);
      const socket = tls.connect({ host: hostname, port, rejectUnauthorized: false }, () => {
        resolve(socket.getPeerCertificate().fingerprint256.replaceAll(':', ''));
        socket.end();
      });
      socket.once('error', reject);
    });
    await new Promise((resolve, reject) => {
      const login = spawn(BINARY, ['login', steward.url, '--fingerprint', fingerprint, '--token-stdin'], { env });
      login.stdin.end(`${steward.token}\n`);
      login.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`login: ${code}`))));
    });
    await ok('templates', 'build', 'debian-13', '--node', 'pve3', '--bridge', 'vmbr0', '--wait');
    const template = await until('the template', 30_000, async () => (await json('templates', 'list')).find((t) => t.node === 'pve3'));
    const password = join(home, 'password');
    writeFileSync(password, `${PASSWORD}\n`, { mode: 0o600 });
    await ok(
      'guests', 'create', 'walk-cli', '--node', 'pve3', '--template', template.name, '--cores', '1', '--memory', '1G', '--disk', '6',
      '--bridge', 'vmbr0', '--user', 'mira', '--address', `${ADDRESS}/24`, '--gateway', LAB_HOST, '--wait',
    );
    const guest = (await json('guests', 'show', 'walk-cli')).id;
    await ok('software', 'install', 'walk-cli', SOFTWARE[1], '--set', 'port=8088');
    await ok('software', 'install', 'walk-cli', SOFTWARE[0], '--set-file', `password=${password}`);
    await bothInstalled(guest);
    await settled(guest);
    assert.match(await ok('software', 'list', 'walk-cli'), /installed[\s\S]*installed/);

    // `script` gives the console the terminal that it wants.
    const screen = await new Promise((resolve) => {
      const shell = spawn('script', ['-qfec', `'${BINARY}' console walk-cli`, '/dev/null'], { env });
      let seen = '';
      shell.stdout.on('data', (d) => {
        seen += d;
        if (/Connected/.test(seen)) setTimeout(() => shell.stdin.write('\x1d'), 300);
      });
      shell.once('exit', () => resolve(seen));
    });
    assert.match(screen, /Connected/);

    await ok('snapshots', 'create', 'walk-cli', 'works', '--memory', '--wait');
    const disk = await boot(guest);
    await ok('guests', 'stop', 'walk-cli', '--wait');
    await ok('hardware', 'disk', 'detach', 'walk-cli', disk.key, '--wait');
    assert.equal((await json('hardware', 'show', 'walk-cli')).disks.some((d) => d.key === disk.key), false);
    await ok('snapshots', 'rollback', 'walk-cli', 'works', '--yes', '--wait');
    assert.equal((await boot(guest)).volume, disk.volume);
    await ok('hardware', 'disk', 'grow', 'walk-cli', disk.key, '--size', String(disk.size / 2 ** 30 + 4), '--wait');
    assert.equal((await boot(guest)).size, disk.size + 4 * 2 ** 30);
    assert.equal((await get(`/guests/${guest}`)).status, 'running');

    await ok('guests', 'share', 'walk-cli', ANOTHER.login, '--right', 'use');
    assert.match(await ok('guests', 'access', 'walk-cli'), new RegExp(`${ANOTHER.login}[\\s\\S]*use`));
    await ok('guests', 'stop', 'walk-cli', '--wait');
    await ok('guests', 'delete', 'walk-cli', '--yes', '--wait');
    assert.equal((await run('guests', 'show', 'walk-cli')).code, 3);
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
