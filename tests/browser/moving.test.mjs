// Copying a machine, making a template of it, moving it with and without something in the way, hibernating it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, assertNothingSticksOut, assertQuiet, open, signedIn, startBrowser } from './browser.mjs';
import { api, guests, startSteward } from './steward.mjs';

const DONE_MS = 60_000;

let steward, browser, state;
before(async () => {
  steward = await startSteward({ guests: 20, timeScale: 0.02 });
  browser = await startBrowser(steward);
  state = await signedIn(browser, steward);
});
after(async () => {
  await browser?.close();
  await steward?.stop();
});

const machines = async (words) => (await guests(steward, words)).filter((g) => !g.template && g.kind === 'vm');
const guest = async (id) => (await api(steward, 'GET', `/api/v1/guests/${id}`)).body;
const check = async (id) => (await api(steward, 'GET', `/api/v1/guests/${id}/migrate`)).body;

async function until(what, fits, ms = DONE_MS) {
  const end = Date.now() + ms;
  for (;;) {
    const now = await what();
    if (fits(now)) return now;
    assert.ok(Date.now() < end, `not in time: ${JSON.stringify(now)}`);
    await new Promise((r) => setTimeout(r, 200));
  }
}

/** A running machine with nothing in its way, or only its own disks. */
async function movable() {
  for (const g of await machines('status:running')) {
    const c = await check(g.id);
    if (c.problems.length === 0 && c.nodes.some((n) => n.problems.length === 0)) return { g, c };
  }
  return assert.fail('no machine can be moved');
}

test('a machine is copied from its page, also without JavaScript, and the copy belongs to who asked', async () => {
  const [first] = await machines('status:stopped');
  for (const script of [true, false]) {
    const page = await open(browser, steward, { state, script });
    await page.goto(`/machines/${first.id}`);
    await page.getByRole('link', { name: 'Copy', exact: true }).first().click();
    await page.getByRole('heading', { name: 'Make a copy' }).waitFor();
    if (script) await assertAccessible(page);
    const field = page.getByLabel('Name', { exact: true });
    assert.match(await field.inputValue(), /-copy/, 'a free name is offered');
    const name = `copied-${script ? 'a' : 'b'}`;
    await field.fill(name);
    await page.getByRole('button', { name: 'Create the copy' }).click();
    await page.getByRole('heading', { level: 1, name }).waitFor();
    const [copy] = await until(() => guests(steward, `name:${name}`), (all) => all[0]?.status === 'stopped');
    assert.equal(copy.owner, steward.login);
    assert.notEqual(copy.vmid, first.vmid);
    assertQuiet(page);
    await page.context().close();
  }
});

test('a name in use is said beside the field, and what was typed stays', async () => {
  const [first, second] = await machines('status:stopped');
  const page = await open(browser, steward, { state, phone: true });
  await page.goto(`/machines/${first.id}/clone`);
  await assertNothingSticksOut(page);
  await page.getByLabel('Name', { exact: true }).fill(second.name);
  await page.getByLabel('Notes').fill('for the tests');
  await page.getByRole('button', { name: 'Create the copy' }).click();
  await page.locator('.field.wrong').waitFor();
  assert.match(await page.locator('.field.wrong').innerText(), /already/);
  assert.equal(await page.getByLabel('Notes').inputValue(), 'for the tests');
  await assertNothingSticksOut(page);
  assertQuiet(page, /\b422\b/);
  await page.context().close();
});

test('a running machine moves to another node and goes on running', async () => {
  const { g, c } = await movable();
  const place = c.nodes.find((n) => n.problems.length === 0).name;
  const page = await open(browser, steward, { state });
  await page.goto(`/machines/${g.id}/migrate`);
  await page.getByText('It keeps running while it moves').waitFor();
  await assertAccessible(page);
  await page.getByRole('radio', { name: place }).check();
  await page.getByRole('button', { name: 'Move it' }).click();
  const moved = await until(() => guest(g.id), (now) => now.node === place);
  assert.equal(moved.status, 'running');
  assertQuiet(page);
  await page.context().close();
});

test('what stands in the way is said in words, and nothing can be moved', async () => {
  // Snapshots together with disks that only its node has.
  const all = await machines('status:running');
  let found;
  for (const g of all) if ((await check(g.id)).disks.length > 0) found ??= g;
  assert.ok(found, 'no running machine has disks of its own node');
  const asked = await api(steward, 'POST', `/api/v1/guests/${found.id}/snapshots`, { name: 'in-the-way' });
  assert.equal(asked.status, 202, JSON.stringify(asked.body));
  await until(() => api(steward, 'GET', `/api/v1/jobs/${asked.body.id}`), (j) => j.body.state === 'succeeded');
  const page = await open(browser, steward, { state, phone: true, dark: true });
  await page.goto(`/machines/${found.id}/migrate`);
  const note = page.locator('.note.bad');
  await note.waitFor();
  assert.match(await note.innerText(), /snapshots/);
  assert.equal(await page.getByRole('button', { name: 'Move it' }).count(), 0);
  assert.equal(await page.locator('input[type=radio]:not(:disabled)').count(), 0);
  await assertNothingSticksOut(page);
  await assertAccessible(page);
  const refused = await api(steward, 'POST', `/api/v1/guests/${found.id}/migrate`, { node: 'pve2', disks: true });
  assert.ok([409, 422].includes(refused.status), JSON.stringify(refused.body));
  assertQuiet(page);
  await page.context().close();
});

test('a stopped machine becomes a template, and its page says what is lost before', async () => {
  const [first] = await machines('name:copied-a');
  const page = await open(browser, steward, { state });
  await page.goto(`/machines/${first.id}/template`);
  await page.getByText("This can't be undone. A full copy").waitFor();
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Turn it into a template' }).click();
  await until(() => guest(first.id), (now) => now.template === true);
  await page.goto(`/machines/${first.id}/clone`);
  await page.getByText('Linked copy').waitFor();
  await page.getByRole('radio', { name: /Linked copy/ }).check();
  await page.getByLabel('Name', { exact: true }).fill('linked-one');
  await page.getByRole('button', { name: 'Create the copy' }).click();
  await until(() => guests(steward, 'name:linked-one'), (all) => all[0]?.status === 'stopped');
  assertQuiet(page);
  await page.context().close();
});

test('a running machine is hibernated from the menu and woken', async () => {
  // Somebody else's: what depends on it is shown first.
  const first = (await machines('status:running')).find((g) => g.owner && g.owner !== steward.login);
  const page = await open(browser, steward, { state });
  await page.goto(`/machines/${first.id}`);
  await page.locator('#machine-head summary').click();
  await page.getByRole('button', { name: /Hibernate/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Hibernate' }).click();
  await until(() => guest(first.id), (now) => now.lock === 'suspended');
  await page.goto(`/machines/${first.id}`);
  await page.getByRole('button', { name: 'Start' }).first().click();
  await until(() => guest(first.id), (now) => now.status === 'running' && !now.lock);
  assertQuiet(page);
  await page.context().close();
});
