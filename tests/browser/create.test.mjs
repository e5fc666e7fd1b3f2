// The main job: make a machine, watch it being made, use it, delete it. With and without JavaScript.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, assertNothingSticksOut, assertQuiet, open, signedIn, startBrowser } from './browser.mjs';
import { guests, startSteward } from './steward.mjs';

const MADE_MS = 120_000;
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3xS0mVtCfyoD3XbJvQ4oW2w0oXcYgLZbqvKq9n4m3t test@browser';

let steward, browser, state;
before(async () => {
  steward = await startSteward({ guests: 12 });
  browser = await startBrowser(steward);
  state = await signedIn(browser, steward);
});
after(async () => {
  await browser?.close();
  await steward?.stop();
});

/** Walks through the wizard; `look` is called on every step. */
async function fillWizard(page, name, look = async () => {}) {
  await page.goto('/machines/new');
  await look(page);
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByRole('button', { name: 'Next: size' }).click();
  await page.getByLabel('Cores', { exact: true }).waitFor();
  await look(page);
  await page.getByLabel('Cores').fill('2');
  await page.getByLabel('Memory', { exact: true }).fill('2048');
  await page.getByRole('button', { name: 'Next: network' }).click();
  await page.getByLabel('Bridge').waitFor();
  await look(page);
  await page.getByRole('button', { name: 'Next: access' }).click();
  await page.getByLabel('SSH keys').waitFor();
  await look(page);
  await page.getByLabel('SSH keys').fill(KEY);
  await page.getByLabel('Tags').fill('web test');
  await page.getByRole('button', { name: 'Next: software' }).click();
  await page.getByText('Choose none to leave it plain').waitFor();
  await look(page);
  await page.getByRole('button', { name: 'Next: review' }).click();
  await page.getByRole('button', { name: 'Create the machine' }).waitFor();
  await look(page);
}

/** Waits with reloads, as a person without JavaScript does. */
async function reloadUntil(page, locator, ms) {
  const end = Date.now() + ms;
  while (Date.now() < end) {
    if ((await locator.count()) > 0) return;
    await page.waitForTimeout(500);
    await page.reload();
  }
  assert.fail(`${locator} did not come in ${ms / 1000} s:\n${await page.getByRole('main').innerText()}`);
}

const guestNamed = async (name) => (await guests(steward)).filter((g) => g.name === name);

test('a machine is made through the wizard, watched while it is made, and runs', async () => {
  const page = await open(browser, steward, { state });
  await fillWizard(page, 'made-here', assertAccessible);
  assert.match(await page.getByRole('main').innerText(), /made-here[\s\S]*2 cores/);
  await page.getByRole('button', { name: 'Create the machine' }).click();
  await page.waitForURL(/\/(machines|jobs)\/[^/]+$/);

  // The job's page, from wherever the form led to.
  if (page.url().includes('/machines/')) {
    await page.getByRole('main').locator('a[href^="/jobs/"]:not([href="/jobs/"])').first().click();
    await page.waitForURL(/\/jobs\/[^/]+$/);
  }
  await page.evaluate(() => (globalThis.notReloaded = true));
  await page.locator('#steps li').first().waitFor({ timeout: 30_000 });
  await page.locator('#steps li.ok').nth(1).waitFor({ timeout: MADE_MS });
  await page.getByText(/^Done/).first().waitFor({ timeout: MADE_MS });
  assert.equal(await page.evaluate(() => globalThis.notReloaded), true, 'the page followed without a reload');
  assert.ok((await page.locator('#log li').count()) > 0, 'the log is empty');
  await assertAccessible(page);

  await page.getByRole('link', { name: /Open made-here/ }).click();
  await page.getByRole('heading', { level: 1, name: 'made-here' }).waitFor();
  await page.locator('#machine-head').getByText(/running/i).first().waitFor({ timeout: 30_000 });
  assert.equal((await guestNamed('made-here')).length, 1);
  assertQuiet(page);
  await page.context().close();
});

test('a machine is made on a phone without JavaScript', async () => {
  const page = await open(browser, steward, { phone: true, script: false });
  await page.goto('/');
  await page.getByLabel('Login').fill(steward.login);
  await page.getByLabel('Password', { exact: true }).fill(steward.password);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  await fillWizard(page, 'no-script', assertNothingSticksOut);
  await page.getByRole('button', { name: 'Create the machine' }).click();
  await page.waitForURL(/\/(machines|jobs)\/[^/]+$/);
  await page.goto('/machines?q=no-script');
  await reloadUntil(page, page.locator('#machines-table tbody tr:not([hidden])', { hasText: /running/i }), MADE_MS);
  assertQuiet(page);
  await page.context().close();
});

test('Back keeps what was typed, and a wrong field says what is wrong beside it', async () => {
  const page = await open(browser, steward, { state });
  await page.goto('/machines/new');
  await page.getByLabel('Name', { exact: true }).fill('not a host name!');
  await page.getByRole('button', { name: 'Next: size' }).click();
  // Told at once or at the end; either way the name is asked for again, with the reason.
  for (const word of ['Next: network', 'Next: access', 'Next: software', 'Next: review', 'Create the machine']) {
    const next = page.getByRole('button', { name: word });
    if (await next.isVisible().catch(() => false)) await next.click();
  }
  const field = page.getByLabel('Name', { exact: true });
  await field.waitFor();
  assert.equal(await field.inputValue(), 'not a host name!');
  assert.equal(await field.getAttribute('aria-invalid'), 'true');
  await assertAccessible(page);
  await field.fill('back-again');
  await page.getByRole('button', { name: 'Next: size' }).click();
  await page.getByLabel('Cores').fill('3');
  await page.getByRole('button', { name: 'Back' }).click();
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'back-again');
  await page.getByRole('button', { name: 'Next: size' }).click();
  assert.equal(await page.getByLabel('Cores').inputValue(), '3');
  assertQuiet(page, /\b4\d\d\b/);
  assert.deepEqual(await guestNamed('back-again'), []);
  await page.context().close();
});

test('deleting asks for the name, and then the machine is gone', async () => {
  const page = await open(browser, steward, { state });
  const guest = (await guests(steward, 'status:stopped')).find((g) => !g.template);
  await page.goto(`/machines/${guest.id}/danger`);
  const field = page.getByLabel("Type the machine's name");
  await field.fill('something else');
  await page.getByRole('button', { name: 'Delete it for good' }).click();
  await page.locator('.field.wrong, [role=alert]').first().waitFor();
  page.troubles.length = 0; // the refusal is an answer with its own status
  await field.fill(guest.name);
  await page.getByRole('button', { name: 'Delete it for good' }).click();
  const end = Date.now() + 60_000;
  const there = async () => (await guests(steward)).some((g) => g.id === guest.id);
  while ((await there()) && Date.now() < end) await page.waitForTimeout(500);
  assert.equal(await there(), false, `${guest.name} is still there`);
  assertQuiet(page, /\b404\b/);
  await page.context().close();
});
