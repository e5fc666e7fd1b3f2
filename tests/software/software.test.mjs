// Recipes on a real Debian machine: from the wizard in a browser to a service that answers, then failures made
// for real. The machine plays the one that the simulated cluster makes: it has the address that was asked for.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import {
  assertAccessible,
  assertNothingSticksOut,
  assertQuiet,
  open,
  signedIn,
  startBrowser,
} from '../browser/browser.mjs';
import { api, guests, startSteward } from '../browser/steward.mjs';
import { ADDRESS, inside, LAB_HOST, letKeyIn } from './machine.mjs';

const INSTALLED_MS = 180_000;
const PASSWORD = 'seven-brown-kettles';

let steward, browser, state, guest;
before(async () => {
  steward = await startSteward({ guests: 4 });
  browser = await startBrowser(steward);
  state = await signedIn(browser, steward);
});
after(async () => {
  await browser?.close();
  await steward?.stop();
});

async function until(what, ms, look) {
  const end = Date.now() + ms;
  let last;
  while (Date.now() < end) {
    last = await look();
    if (last) return last;
    await new Promise((r) => setTimeout(r, 300));
  }
  const jobs = await Promise.all(((await software()) ?? []).filter((s) => s.job && s.state !== 'installed').map((s) => job(s.job)));
  const told = jobs.map((j) => `${j.title}: ${j.state}, ${j.error}\n${j.log.slice(-15).map((l) => l.text).join('\n')}`);
  assert.fail(`${what} did not come in ${ms / 1000} s:\n${told.join('\n')}`);
}

const software = async () => (guest ? (await api(steward, 'GET', `/api/v1/guests/${guest}/software`)).body : null);
const recipe = async (name) => (await software()).find((s) => s.recipe === name);
const job = async (id) => (await api(steward, 'GET', `/api/v1/jobs/${id}`)).body;

test('a machine is made with two recipes from the wizard, and both answer', { timeout: 400_000 }, async () => {
  const page = await open(browser, steward, { state });
  await page.goto('/machines/new');
  await page.getByLabel('Name', { exact: true }).fill('with-software');
  await page.getByRole('button', { name: 'Next: size' }).click();
  await page.getByLabel('Memory', { exact: true }).fill('512');
  await page.getByRole('button', { name: 'Next: network' }).click();
  await page.getByText('A fixed address').click();
  await page.locator('[name=cidr]').fill(`${ADDRESS}/24`);
  await page.locator('[name=gateway]').fill(LAB_HOST);
  await page.getByRole('button', { name: 'Next: access' }).click();
  await page.getByLabel('User on the machine').fill('mira');
  await page.getByRole('button', { name: 'Next: software' }).click();
  await page.getByLabel('Find software').fill('mqtt');
  assert.equal(await page.getByLabel(/^Nginx/).isVisible(), false, 'the search leaves out what does not fit');
  await page.getByLabel('Find software').fill('');
  await page.getByLabel(/^Nginx/).check();
  await page.locator('[name="software.software-nginx.port"]').fill('99999');
  await page.getByLabel(/^Mosquitto/).check();
  await assertAccessible(page);
  await page.locator('form').evaluateAll((forms) => forms.forEach((f) => (f.noValidate = true)));
  await page.getByRole('button', { name: 'Next: review' }).click();
  await page.getByText('Choose 1 to 65535.').waitFor();
  await page.locator('[name="software.software-nginx.port"]').fill('8088');
  await page.getByRole('button', { name: 'Next: review' }).click();
  await page.getByText('Mosquitto, Nginx').waitFor();
  await page.getByText(/needs about .* of memory; the machine has 512/).waitFor();
  await page.locator('[name="software.software-mosquitto.password"]').fill(PASSWORD);
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Create the machine' }).click();
  await page.waitForURL(/\/machines\/[0-9a-f]{32}$/);
  guest = page.url().split('/').pop();
  assertQuiet(page, /422/);

  // The job waits for the key, and says so.
  const waiting = await until('a job that waits', 90_000, async () => (await software()).find((s) => s.job));
  await page.goto(`/jobs/${waiting.job}`);
  await page.getByText(/Waiting/).first().waitFor();
  await letKeyIn(steward, guest);
  // Lines come by themselves.
  await page.getByText(/Setting up|Unpacking|Get:/).first().waitFor({ timeout: INSTALLED_MS });
  await until('both', INSTALLED_MS, async () => (await software()).every((s) => s.state === 'installed'));

  const site = await fetch(`http://${ADDRESS}:8088/`);
  assert.match(await site.text(), /It works/);
  inside(`mosquitto_pub -h 127.0.0.1 -u home -P ${PASSWORD} -t a -m b`);
  assert.throws(() => inside('mosquitto_pub -h 127.0.0.1 -u home -P wrong -t a -m b 2>/dev/null'));
  for (const s of await software()) {
    assert.ok(!JSON.stringify(await job(s.job)).includes(PASSWORD), 'the password is in no log');
  }

  await page.goto(`/machines/${guest}/software`);
  await page.getByRole('link', { name: 'Site', exact: true }).waitFor();
  assert.equal(await page.getByRole('link', { name: 'Site', exact: true }).getAttribute('href'), `http://${ADDRESS}:8088/`);
  await assertAccessible(page);
  assertQuiet(page);
});

test('the software tab fits a phone and works without JavaScript', async () => {
  const page = await open(browser, steward, { state, phone: true, dark: true, script: false });
  await page.goto(`/machines/${guest}/software`);
  await page.getByRole('link', { name: /^PostgreSQL/ }).click();
  await page.getByLabel('Password').fill('short');
  await page.getByRole('button', { name: 'Install' }).click();
  await page.getByText('Use at least 8 characters.').waitFor();
  const wide = await open(browser, steward, { state, phone: true });
  await wide.goto(`/machines/${guest}/software`);
  await assertNothingSticksOut(wide);
  await assertAccessible(wide);
});

test('failures are told by their cause, and a retry goes on when it is gone', { timeout: 500_000 }, async () => {
  const ask = { recipe: 'software-samba', options: { password: PASSWORD, folder: '/srv/films' } };
  const failed = async (id, words, helps) => {
    const over = await until(`the failure “${words}”`, INSTALLED_MS, async () => {
      const now = await job(id);
      return now.state === 'failed' && now;
    });
    assert.ok(over.error.includes(words), over.error);
    const page = await open(browser, steward, { state });
    await page.goto(`/jobs/${id}`);
    await page.getByText(helps).waitFor();
    await page.context().close();
  };
  const retry = async (id) => assert.equal((await api(steward, 'POST', `/api/v1/jobs/${id}/retry`)).status, 200);

  inside('mount -t tmpfs -o size=200k none /var/cache/apt/archives && mkdir /var/cache/apt/archives/partial');
  const asked = await api(steward, 'POST', `/api/v1/guests/${guest}/software`, ask);
  assert.equal(asked.status, 202, JSON.stringify(asked.body));
  const id = asked.body.job;
  await failed(id, "The machine's disk is full.", 'Make its disk larger');
  inside('umount /var/cache/apt/archives; mkdir -p /var/cache/apt/archives/partial');

  inside('mv /etc/apt/apt.conf.d/00proxy /root/ && apt-get clean');
  await retry(id);
  await failed(id, "The machine can't look up names", 'name server in its network settings');
  inside('mv /root/00proxy /etc/apt/apt.conf.d/');

  inside('mkdir /root/sources && mv /etc/apt/sources.list* /root/sources/ && rm -rf /var/lib/apt/lists/*');
  await retry(id);
  await failed(id, 'do not have a package that is needed', 'Its system may be too old');
  inside('mv /root/sources/* /etc/apt/');

  await retry(id);
  await until('samba', INSTALLED_MS, async () => (await recipe('software-samba')).state === 'installed');
  inside('testparm -s 2>/dev/null | grep -q "path = /srv/films" && systemctl is-active --quiet smbd');
});

test('a machine that shows different host key is refused until somebody forgets the old one', { timeout: 200_000 }, async () => {
  inside('rm /etc/ssh/ssh_host_*; ssh-keygen -q -A; systemctl restart ssh');
  const ask = { recipe: 'software-docker', options: {} };
  // Steward's kept connection would go on with the key that it knows.
  inside('kill $(pgrep -f "^sshd: mira") 2>/dev/null || true');
  const asked = await api(steward, 'POST', `/api/v1/guests/${guest}/software`, ask);
  const id = asked.body.job;
  const over = await until('the refusal', 60_000, async () => {
    const now = await job(id);
    return now.state === 'failed' && now;
  });
  assert.match(over.error, /different host key/);
  assert.equal((await api(steward, 'DELETE', `/api/v1/guests/${guest}/ssh/host-key`)).status, 204);
  await api(steward, 'POST', `/api/v1/jobs/${id}/retry`);
  await until('it goes on', 60_000, async () => (await job(id)).log.some((l) => /The machine answers/.test(l.text)));
  await api(steward, 'POST', `/api/v1/jobs/${id}/cancel`);
});

test('a machine whose agent does not answer is found on the network by its card', { timeout: 300_000 }, async () => {
  const over = async (asked) => {
    assert.equal(asked.status, 202, JSON.stringify(asked.body));
    const { id } = asked.body.job ?? asked.body;
    const end = await until('the end of a job', 90_000, async () => {
      const now = await job(id);
      return now.finished && now;
    });
    assert.equal(end.state, 'succeeded', JSON.stringify(end, null, 1));
    return asked.body;
  };
  const { body } = await api(steward, 'GET', '/api/v1/templates');
  const { vmid, node } = body.templates.find((t) => t.name === 'debian-12');
  const made = await over(
    await api(steward, 'POST', '/api/v1/guests', {
      name: 'without-agent', node, source: { from: 'template', vmid, full: true }, cores: 1, memory: 1024, disk: 16,
      bridge: 'vmbr0', user: 'mira', address: { mode: 'dhcp' },
    }),
  );
  const path = `/api/v1/guests/${made.guest}`;
  const is = (status) =>
    until(status, 30_000, async () => {
      const { body } = await api(steward, 'GET', path);
      return body.status === status && body.lock === null;
    });
  await is('running');
  await over(await api(steward, 'PATCH', `${path}/hardware`, { values: { agent: '0' } }));
  await over(await api(steward, 'POST', `${path}/power`, { action: 'stop' }));
  await is('stopped');
  await over(await api(steward, 'POST', `${path}/power`, { action: 'start' }));
  await is('running');
  const { mac } = (await api(steward, 'GET', `${path}/hardware`)).body.nics[0];
  inside(`ip link set host0 address ${mac}`);
  execFileSync('ip', ['neigh', 'flush', 'dev', 'host0']);

  guest = made.guest;
  await letKeyIn(steward, guest);
  const ask = { recipe: 'software-nginx', options: { port: '8089' } };
  assert.equal((await api(steward, 'POST', `${path}/software`, ask)).status, 202);
  await until('nginx', INSTALLED_MS, async () => (await recipe('software-nginx')).state === 'installed');
  assert.match(await (await fetch(`http://${ADDRESS}:8089/`)).text(), /It works/);
  const page = await open(browser, steward, { state });
  await page.goto(`/machines/${guest}`);
  await page.locator('#machine-head').getByText(ADDRESS).first().waitFor();
});

test('the simulated cluster still lists the machine', async () => {
  assert.equal((await guests(steward, 'name:with-software')).length, 1);
});
