// Everyday work on a machine: snapshots and hardware, with and without JavaScript.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, assertNothingSticksOut, assertQuiet, open, signedIn, startBrowser } from './browser.mjs';
import { api, guests, startSteward } from './steward.mjs';

let steward, browser, state, machine;
before(async () => {
  steward = await startSteward({ guests: 8, timeScale: 0.02 });
  browser = await startBrowser(steward);
  state = await signedIn(browser, steward);
  const running = await guests(steward, 'kind:vm status:running -is:template');
  machine = running[0];
});
after(async () => {
  await browser?.close();
  await steward?.stop();
});

/** Waits until no job works on the machine. */
async function idle() {
  for (let n = 0; n < 300; n += 1) {
    const { body } = await api(steward, 'GET', '/api/v1/jobs?state=open');
    if (body.jobs.every((j) => j.guest !== machine.id)) return;
    await new Promise((r) => setTimeout(r, 100));
  }
  assert.fail('a job does not end');
}

const setting = async (key) => {
  const { body } = await api(steward, 'GET', `/api/v1/guests/${machine.id}/hardware`);
  return body.settings.find((s) => s.key === key);
};

test('a snapshot is taken, something is changed, and the machine is brought back', async () => {
  const page = await open(browser, steward, { state });
  await page.goto(`/machines/${machine.id}/snapshots`);
  await assertAccessible(page);
  await page.getByLabel('Name').fill('before-work');
  await page.getByLabel('Note').fill('Before the work');
  await page.getByRole('button', { name: 'Take snapshot' }).click();
  await idle();
  await page.goto(`/machines/${machine.id}/snapshots`);
  await page.locator('.tree').getByRole('link', { name: 'before-work' }).waitFor();
  assert.match(await page.locator('.tree').innerText(), /before-work[\s\S]*Before the work[\s\S]*Now/);

  const was = (await setting('description')).current;
  await page.goto(`/machines/${machine.id}/hardware/edit/options`);
  await page.getByLabel('Notes').fill('broken by me');
  await page.getByRole('button', { name: 'Preview the change' }).click();
  await page.getByRole('button', { name: 'Change it' }).click();
  await idle();
  assert.equal((await setting('description')).current, 'broken by me');

  await page.goto(`/machines/${machine.id}/snapshots`);
  await page.locator('.tree').getByRole('link', { name: 'before-work' }).click();
  await assertAccessible(page);
  assert.match(await page.getByRole('main').innerText(), /What was written to its disks since/);
  await page.getByRole('button', { name: 'Go back to before-work' }).click();
  await page.getByRole('dialog').getByText('What was written since then is lost for good').waitFor();
  await page.getByRole('dialog').getByRole('button', { name: 'Go back to before-work' }).click();
  await idle();
  assert.equal((await setting('description')).current, was);
  assertQuiet(page);
});

test('a change that waits for a restart is shown with old and new and can be taken back', async () => {
  await api(steward, 'POST', `/api/v1/guests/${machine.id}/power`, { action: 'start' });
  await idle();
  const page = await open(browser, steward, { state, script: false });
  const cores = Number((await setting('cores')).current);
  await page.goto(`/machines/${machine.id}/hardware/edit/processor`);
  await page.getByLabel('Cores', { exact: false }).first().fill(String(cores + 1));
  await page.getByLabel('Limit').fill('1.5');
  await page.getByRole('button', { name: 'Preview the change' }).click();
  const preview = await page.getByRole('main').innerText();
  assert.match(preview, new RegExp(`Cores: ${cores} → ${cores + 1}\\s+after a restart`));
  assert.match(preview, /Limit: .* → 1.5 cores\s+at once/);
  await page.getByRole('button', { name: 'Change it' }).click();
  await idle();
  await page.goto(`/machines/${machine.id}/hardware`);
  assert.match(await page.locator('#waiting').innerText(), new RegExp(`Cores: ${cores} → ${cores + 1}`));
  await page.getByRole('button', { name: 'Revert these' }).click();
  await page.getByRole('heading', { name: 'Revert these changes?' }).waitFor();
  await page.getByRole('button', { name: 'Revert', exact: true }).click();
  await idle();
  await page.goto(`/machines/${machine.id}/hardware`);
  assert.equal(await page.locator('#waiting').count(), 0);
  assert.equal((await setting('cpu_limit')).current, '1.5');
});

test('what happens before the stream of events is open is not missed', async () => {
  const page = await open(browser, steward, { state });
  await page.route('**/events*', async (route) => {
    await new Promise((r) => setTimeout(r, 2000));
    await route.continue();
  });
  const cores = Number((await setting('cores')).current);
  await page.goto(`/machines/${machine.id}/hardware/edit/processor`);
  await page.getByLabel('Cores', { exact: false }).first().fill(String(cores + 1));
  await page.getByRole('button', { name: 'Preview the change' }).click();
  await page.getByRole('button', { name: 'Change it' }).click();
  await idle();
  await page.locator('#waiting').getByText(`Cores: ${cores} → ${cores + 1}`).waitFor({ timeout: 10_000 });
  await page.getByRole('button', { name: 'Revert these' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Revert these' }).click();
  await idle();
  await page.locator('#waiting').waitFor({ state: 'detached', timeout: 10_000 });
  assertQuiet(page);
});

test('a job on the overview of a machine goes when it is done', async () => {
  const page = await open(browser, steward, { state });
  await page.goto(`/machines/${machine.id}`);
  await api(steward, 'POST', `/api/v1/guests/${machine.id}/power`, { action: 'reboot' });
  await page.getByText('Happening now').waitFor({ timeout: 10_000 });
  await idle();
  await page.getByText('Happening now').waitFor({ state: 'detached', timeout: 10_000 });
  assertQuiet(page);
});

test('a disk is enlarged while the machine runs, and a wrong value stays with its sentence', async () => {
  const page = await open(browser, steward, { state });
  await page.goto(`/machines/${machine.id}/hardware`);
  await assertAccessible(page);
  const { body } = await api(steward, 'GET', `/api/v1/guests/${machine.id}/hardware`);
  const disk = body.disks.find((d) => d.kind === 'disk');
  await page.locator('#disks').getByRole('link', { name: disk.key, exact: true }).click();
  const gib = disk.size / 2 ** 30 + 5;
  await page.getByLabel('New size').fill(String(gib));
  await page.getByRole('button', { name: 'Enlarge' }).click();
  await idle();
  const after = await api(steward, 'GET', `/api/v1/guests/${machine.id}/hardware`);
  assert.equal(after.body.disks.find((d) => d.key === disk.key).size, gib * 2 ** 30);

  await page.goto(`/machines/${machine.id}/hardware/edit/first-start`);
  assertQuiet(page);
  await page.getByLabel('Address').fill('not an address');
  await page.getByRole('button', { name: 'Preview the change' }).click();
  await page.getByText('Give an address with its prefix length').first().waitFor();
  assert.equal(await page.getByLabel('Address').inputValue(), 'not an address');
});

test('the tabs fit a phone, in the dark too', async () => {
  for (const how of [{ phone: true }, { phone: true, dark: true }]) {
    const page = await open(browser, steward, { state, ...how });
    for (const part of ['hardware', 'snapshots', 'hardware/edit/options', 'hardware/disk/new', 'hardware/nic/net0']) {
      await page.goto(`/machines/${machine.id}/${part}`);
      await assertNothingSticksOut(page);
      await assertAccessible(page);
    }
    await page.context().close();
  }
});
