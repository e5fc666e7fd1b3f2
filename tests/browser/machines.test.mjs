// The list of machines: finding, sorting, keyboard, and acting on one or many.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertQuiet, open, signedIn, startBrowser } from './browser.mjs';
import { api, guests, startSteward } from './steward.mjs';

let steward, browser, session, total;
before(async () => {
  steward = await startSteward({ guests: 40 });
  total = (await guests(steward)).length;
  browser = await startBrowser(steward);
  session = await signedIn(browser, steward);
});
after(async () => {
  await browser?.close();
  await steward?.stop();
});

async function list(how = {}, query = '') {
  const page = await open(browser, steward, { state: session, ...how });
  await page.goto(`/machines${query}`);
  await page.locator('#machines-table tbody tr').first().waitFor({ state: 'attached' });
  return page;
}

const shown = (page) => page.locator('#machines-table tbody tr:visible');
const names = (page) => shown(page).locator('.c-name > a:first-of-type').allTextContents();

async function done(page) {
  assertQuiet(page);
  await page.context().close();
}

test('all machines of the cluster are listed', async () => {
  const page = await list();
  assert.ok(total >= 40);
  assert.equal(await shown(page).count(), total);
  assert.match(await page.locator('#filter-count').innerText(), new RegExp(`${total}\\D+${total}`));
  await done(page);
});

test('words filter while one types, and the address keeps them', async () => {
  const page = await list();
  const [first] = await names(page);
  await page.getByLabel('Filter words').fill(first);
  await page.waitForFunction((all) => document.querySelectorAll('#machines-table tbody tr:not([hidden])').length < all, total);
  assert.ok((await names(page)).includes(first));
  await page.waitForURL(/[?&]q=/);
  await page.reload();
  assert.ok((await names(page)).includes(first), 'the filter is kept over a reload');
  assert.ok((await shown(page).count()) < total);
  await done(page);
});

test('keys filter by state, and a minus leaves out', async () => {
  const running = await list({}, '?q=status%3Arunning');
  const others = await list({}, '?q=-status%3Arunning');
  // Names may be there twice, ids may not.
  const ids = (page) => shown(page).evaluateAll((rows) => rows.map((r) => r.id));
  const a = await ids(running);
  const b = await ids(others);
  assert.ok(a.length > 0 && b.length > 0, `${a.length} running, ${b.length} others`);
  assert.equal(new Set([...a, ...b]).size, total);
  assert.equal(a.length + b.length, total);
  await done(running);
  await done(others);
});

test('words that fit nothing say which words can be used', async () => {
  const page = await list();
  await page.getByLabel('Filter words').fill('there-is-no-such-machine');
  await page.locator('.no-match').waitFor();
  assert.match(await page.locator('.no-match').innerText(), /status.*tag.*node/);
  await done(page);
});

for (const script of [true, false]) {
  test(`a click on a column's head sorts, again turns it round (${script ? 'with' : 'without'} JavaScript)`, async () => {
    const page = await list({ script });
    const head = page.getByRole('columnheader', { name: 'Name' });
    // By name, the first order is the one the page opens with.
    if ((await head.getAttribute('aria-sort')) === null) await head.getByRole('link').click();
    const up = await names(page);
    assert.equal(await head.getAttribute('aria-sort'), 'ascending');
    assert.deepEqual(up, [...up].sort((a, b) => a.localeCompare(b, 'en', { numeric: true })));
    await head.getByRole('link').click();
    await page.locator('th[aria-sort=descending]').waitFor();
    assert.deepEqual(await names(page), [...up].reverse());
    await page.waitForURL(/sort=-name/);
    await done(page);
  });
}

test('the keyboard alone goes down the list and opens a machine', async () => {
  const page = await list();
  const [, second] = await names(page);
  await page.getByLabel('Filter words').focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/machines\/[^/?]+$/);
  assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), second);
  await done(page);
});

test('Ctrl-K opens the palette, and a name leads to its machine', async () => {
  const page = await list();
  const [first] = await names(page);
  await page.keyboard.press('Control+k');
  await page.keyboard.type(first);
  await page.locator('#palette').getByText(first, { exact: false }).first().waitFor();
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/machines\/[^/?]+$/);
  assert.equal(await page.getByRole('heading', { level: 1 }).innerText(), first);
  await done(page);
});

const stopped = async () => (await guests(steward, 'status:stopped')).filter((g) => !g.template);

test('a machine is started and stopped from its page, and the list follows by itself', async () => {
  const [{ id, name }] = await stopped();
  const watcher = await list();
  const state = watcher.locator(`#g-${id} .c-state`);
  assert.match(await state.innerText(), /stopped/i);
  const page = await open(browser, steward, { state: session });
  await page.goto(`/machines/${id}`);
  await page.getByRole('heading', { level: 1, name }).waitFor();
  await page.getByRole('button', { name: 'Start', exact: true }).first().click();
  await watcher.locator(`#g-${id} .c-state`, { hasText: /running/i }).waitFor({ timeout: 60_000 });
  await page.goto(`/machines/${id}`);
  await page.locator('#machine-head summary', { hasText: 'More' }).click();
  await page.locator('#machine-head').getByRole('button', { name: 'Stop', exact: true }).click();
  // Pulling the plug is asked about first.
  const sure = page.getByRole('dialog');
  await sure.waitFor();
  assert.match(await sure.innerText(), /plug/);
  await sure.getByRole('button', { name: 'Stop' }).click();
  await watcher.locator(`#g-${id} .c-state`, { hasText: /stopped/i }).waitFor({ timeout: 60_000 });
  await done(watcher);
  await done(page);
});

test('several machines are started at once, each with a job of its own', async () => {
  const chosen = (await stopped()).slice(0, 2);
  assert.equal(chosen.length, 2, 'too few machines are stopped');
  const page = await list();
  for (const { id } of chosen) await page.locator(`#g-${id} .c-check input`).check();
  const bulk = page.getByRole('group', { name: 'Act on the selected machines' });
  assert.match(await bulk.innerText(), /2 machines selected/);
  await bulk.getByRole('button', { name: 'Start' }).click();
  await page.waitForURL(/\/(jobs|machines)/);
  await page.goto('/jobs');
  for (const { name } of chosen) {
    await page.getByRole('rowheader', { name: new RegExp(`start.*${name}`, 'i') }).first().waitFor();
  }
  await done(page);
});

test('without the stream, figures and states are asked for', async () => {
  const page = await open(browser, steward, { state: session });
  await page.route('**/events*', (route) => route.abort());
  await page.goto('/machines?q=status:running');
  const row = shown(page).first();
  const id = (await row.getAttribute('id')).slice(2);
  const words = page.locator('#health .words');
  await page.waitForFunction(() => /every 5 s/.test(document.querySelector('#health .words').textContent), null, { timeout: 20000 });
  const stop = await api(steward, 'POST', `/api/v1/guests/${id}/power`, { action: 'stop' });
  assert.equal(stop.status, 202);
  await page.locator(`#g-${id} .state`, { hasText: 'stopped' }).waitFor({ state: 'attached', timeout: 30000 });
  await page.unroute('**/events*');
  await page.waitForFunction(() => !/every 5 s/.test(document.querySelector('#health .words').textContent), null, { timeout: 20000 });
  assert.ok(await words.innerText());
  await page.context().close();
});

test('a thousand machines open, filter and scroll without a long pause', async () => {
  const many = await startSteward({ guests: 1000, nodes: 8 });
  const other = await startBrowser(many);
  try {
    const page = await open(other, many, { state: await signedIn(other, many) });
    await page.goto('/machines');
    const rows = page.locator('#machines-table tbody tr');
    const { total } = (await api(many, 'GET', '/api/v1/guests?limit=1')).body;
    assert.ok(total >= 1000 && total < 1100, `${total} machines`);
    await rows.nth(total - 1).waitFor({ state: 'attached' });
    const took = await page.evaluate(async () => {
      const box = document.querySelector('[data-filter]');
      const frame = () => new Promise((r) => requestAnimationFrame(() => setTimeout(r)));
      const began = performance.now();
      for (const text of ['a', 'ab', 'web', '']) {
        box.value = text;
        box.dispatchEvent(new Event('input', { bubbles: true }));
        await frame();
      }
      return (performance.now() - began) / 4;
    });
    // No figure of a busy machine, only what a person would call stuck; the figures are those of make bench.
    assert.ok(took < 1000, `one letter typed takes ${took.toFixed(0)} ms`);
    const ids = await rows.evaluateAll((all) => all.map((row) => row.id));
    assert.equal(new Set(ids).size, ids.length, 'no machine is there twice');
    assert.match(await page.locator('#filter-count').innerText(), new RegExp(`^${ids.length} of ${ids.length}$`));
    assertQuiet(page);

    const plain = await open(other, many, { state: await signedIn(other, many), script: false });
    await plain.goto('/machines?sort=-name');
    const first = await names(plain);
    assert.equal(first.length, 100);
    await plain.getByRole('link', { name: 'Next' }).click();
    await plain.waitForURL(/page=2/);
    const second = await names(plain);
    assert.equal(second.length, 100);
    assert.ok(second.every((name) => name.localeCompare(first.at(-1), 'en') <= 0), 'the order goes on on the next page');
    await plain.goto(`/machines?q=${second[0]}`);
    assert.ok((await names(plain)).includes(second[0]), 'the filter finds what is on another page');
  } finally {
    await other.close();
    await many.stop();
  }
});
