// Hardware profiles: an admin makes, changes, copies and deletes one; a machine is made with one; one is applied.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, assertNothingSticksOut, assertQuiet, open, signedIn, somebody, startBrowser } from './browser.mjs';
import { api, guests, startSteward } from './steward.mjs';

const WORK_MS = 60_000;

let steward, browser, state;
before(async () => {
  steward = await startSteward({ guests: 12, timeScale: 0.02 });
  browser = await startBrowser(steward);
  state = await signedIn(browser, steward);
});
after(async () => {
  await browser?.close();
  await steward?.stop();
});

const profiles = async () => (await api(steward, 'GET', '/api/v1/profiles')).body.profiles;
const named = async (name) => (await profiles()).find((p) => p.name === name);

test('a profile is made, changed, copied and deleted, and a wrong value is named beside its field', async () => {
  const page = await open(browser, steward, { state });
  await page.goto('/settings');
  await page.getByRole('link', { name: 'Hardware profiles' }).click();
  await page.getByRole('heading', { level: 1, name: 'Hardware profiles' }).waitFor();
  await assertAccessible(page);
  await page.getByRole('link', { name: 'New profile' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Web');
  await page.getByLabel('What it is for').fill('For websites');
  await page.getByLabel('Cores', { exact: true }).fill('2');
  await page.getByLabel('At least', { exact: true }).fill('4096');
  await page.getByLabel('Memory', { exact: true }).fill('2048');
  await page.getByLabel('Memory: fixed').check();
  await page.locator('summary', { hasText: 'System' }).click();
  await page.getByLabel('Firmware', { exact: true }).selectOption({ label: 'UEFI (OVMF)' });
  await page.getByRole('button', { name: 'Add a disk' }).click();
  await page.getByRole('group', { name: 'Disk 2' }).getByLabel('Size').fill('5');
  assert.equal(await page.getByLabel('Cores', { exact: true }).inputValue(), '2', 'what was typed stays');
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText("can't be more than the memory").waitFor();
  page.troubles.length = 0; // the refusal is an answer with its own status
  assert.equal(await page.getByLabel('At least', { exact: true }).getAttribute('aria-invalid'), 'true');
  await page.getByLabel('At least', { exact: true }).fill('1024');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.waitForURL(/\/settings\/profiles$/);
  const made = await named('Web');
  assert.deepEqual(made.values, { cores: '2', memory: '2048', memory_min: '1024', firmware: 'ovmf' });
  assert.deepEqual([made.locked, made.disks[0].gib, made.note], [['memory'], 5, 'For websites']);

  await page.getByRole('link', { name: 'Web', exact: true }).click();
  await page.getByLabel('Cores', { exact: true }).fill('3');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.waitForURL(/\/settings\/profiles$/);
  assert.equal((await named('Web')).values.cores, '3');
  await page.getByRole('link', { name: 'Web', exact: true }).click();
  await page.getByRole('link', { name: 'Copy it' }).click();
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'Web copy');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.waitForURL(/\/settings\/profiles$/);
  assert.equal((await named('Web copy')).disks.length, 1);

  await page.getByRole('link', { name: 'Web copy' }).click();
  await page.getByText('No machine has it').waitFor();
  await page.getByLabel("Type the profile's name").fill('Web copy');
  await page.getByRole('button', { name: 'Delete the profile' }).click();
  await page.waitForURL(/\/settings\/profiles$/);
  assert.equal(await named('Web copy'), undefined);
  assertQuiet(page);
  await page.context().close();
});

/** To the step with the sizes. */
async function toSizes(page, name) {
  await page.goto('/machines/new');
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByRole('button', { name: 'Next: size' }).click();
  await page.getByLabel('Memory', { exact: true }).waitFor();
}

test('a picked profile fills the form at once, and the machine has it', async () => {
  const page = await open(browser, steward, { state });
  await toSizes(page, 'by-profile');
  await assertAccessible(page);
  assert.equal(await page.getByRole('button', { name: 'Use this profile' }).isVisible(), false);
  await page.getByRole('radio', { name: 'Large' }).check();
  await page.waitForFunction(() => document.querySelector('#memory')?.value === '8192');
  assert.equal(await page.getByLabel('Cores', { exact: true }).inputValue(), '4');
  assert.equal(await page.getByRole('radio', { name: 'Large' }).isChecked(), true);
  await page.getByRole('radio', { name: 'Small' }).check();
  await page.waitForFunction(() => document.querySelector('#memory')?.value === '1024');
  await page.getByLabel('Memory', { exact: true }).fill('1536');
  for (const word of ['Next: network', 'Next: access', 'Next: software', 'Next: review'])
    await page.getByRole('button', { name: word }).click();
  await page.getByRole('button', { name: 'Create the machine' }).waitFor();
  assert.match(await page.getByRole('main').innerText(), /Profile\s+Small[\s\S]*1 core,[\s\S]*1\.5/);
  await page.getByRole('button', { name: 'Create the machine' }).click();
  await page.waitForURL(/\/(machines|jobs)\/[^/]+$/);
  const end = Date.now() + WORK_MS;
  const running = async () => (await guests(steward, 'by-profile status:running')).length === 1;
  while (!(await running()) && Date.now() < end) await page.waitForTimeout(300);
  assert.ok(await running(), 'it does not run');
  assert.equal((await named('Small')).machines, 1);
  assertQuiet(page);
  await page.context().close();
});

test('without JavaScript, on a phone, a profile fills the form by its button', async () => {
  const page = await open(browser, steward, { phone: true, script: false, state });
  await toSizes(page, 'by-hand');
  await assertNothingSticksOut(page);
  await page.getByRole('radio', { name: 'Large' }).check();
  await page.getByRole('button', { name: 'Use this profile' }).click();
  assert.equal(await page.getByLabel('Memory', { exact: true }).inputValue(), '8192');
  // Picked and straight on: its values are shown first.
  await page.getByRole('radio', { name: 'Medium' }).check();
  await page.getByRole('button', { name: 'Next: network' }).click();
  assert.equal(await page.getByLabel('Memory', { exact: true }).inputValue(), '4096');
  await page.getByRole('button', { name: 'Next: network' }).click();
  await page.getByLabel('Bridge').waitFor();
  await page.goto('/settings/profiles');
  await assertNothingSticksOut(page);
  await page.getByRole('link', { name: 'Windows desktop' }).click();
  await assertNothingSticksOut(page);
  assertQuiet(page);
  await page.context().close();
});

test('a profile is looked at and applied to a machine', async () => {
  const page = await open(browser, steward, { state });
  const [guest] = (await guests(steward, 'status:running kind:vm')).filter((g) => !g.template && g.name !== 'by-profile');
  await page.goto(`/machines/${guest.id}/hardware`);
  await page.getByRole('link', { name: 'Apply a profile' }).click();
  await page.getByRole('radio', { name: 'Windows desktop' }).check();
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Preview the change' }).click();
  const table = page.getByRole('table');
  await table.waitFor();
  assert.match(await table.innerText(), /after a restart/);
  assert.match(await page.getByRole('main').innerText(), /values? of the profile stays?/);
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Apply the profile' }).click();
  await page.waitForURL(/\/hardware$/);
  const end = Date.now() + WORK_MS;
  const has = async () => (await named('Windows desktop')).machines === 1;
  while (!(await has()) && Date.now() < end) await page.waitForTimeout(300);
  assert.ok(await has(), 'it was not applied');
  await page.reload();
  await page.getByText('Profile: Windows desktop').waitFor();
  await page.getByText('Waiting for a restart').waitFor();
  assertQuiet(page);
  await page.context().close();
});

test('what a profile fixes is shown as text to people who are not admins', async () => {
  const values = { cores: '1', memory: '1024', bridge: 'vmbr0', vlan: '0' };
  const made = await api(steward, 'POST', '/api/v1/profiles', { name: 'Fixed', values, locked: ['memory', 'bridge', 'vlan'] });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  await api(steward, 'PUT', '/api/v1/profile-policy', { required: true });
  const page = await somebody(browser, steward, state, 'newcomer');
  await page.goto('/machines/new');
  await page.getByLabel('Name', { exact: true }).fill('by-newcomer');
  await page.getByRole('button', { name: 'Next: size' }).click();
  await page.getByRole('radio', { name: 'Small' }).waitFor();
  assert.equal(await page.getByRole('radio', { name: 'No profile' }).count(), 0, 'one must be picked');
  await page.getByRole('radio', { name: 'Fixed' }).check();
  await page.getByText('fixed by Fixed').first().waitFor();
  assert.equal(await page.getByLabel('Memory', { exact: true }).count(), 0);
  assert.equal(await page.getByLabel('Cores', { exact: true }).inputValue(), '1');
  if (process.env.OUT) await page.screenshot({ path: `${process.env.OUT}/wizard-fixed.png` });
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Next: network' }).click();
  await page.getByText('fixed by Fixed').nth(1).waitFor();
  assert.equal(await page.getByLabel('Bridge').count(), 0);
  if (process.env.OUT) await page.screenshot({ path: `${process.env.OUT}/wizard-fixed-network.png` });
  for (const word of ['Next: access', 'Next: software', 'Next: review', 'Create the machine'])
    await page.getByRole('button', { name: word }).click();
  await page.waitForURL(/\/machines\/[0-9a-f]+$/);
  // While it is made there is no hardware to look at.
  const end = Date.now() + WORK_MS;
  const told = page.getByText('3 values are fixed by it');
  await page.goto(`${new URL(page.url()).pathname}/hardware`);
  while ((await told.count()) === 0 && Date.now() < end) {
    await page.waitForTimeout(500);
    await page.reload();
  }
  await told.waitFor();
  await page.goto(`${new URL(page.url()).pathname}/edit/memory`);
  await page.getByText('fixed by Fixed').waitFor();
  assert.equal(await page.getByLabel('Memory', { exact: true }).count(), 0);
  if (process.env.OUT) await page.screenshot({ path: `${process.env.OUT}/hardware-fixed.png` });
  await assertAccessible(page);
  assertQuiet(page);
  await page.context().close();
});
