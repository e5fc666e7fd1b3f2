// The list of machines: finding, sorting, keyboard, and acting on one or many.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertQuiet, open, signedIn, startBrowser } from './browser.mjs';
import { startSteward } from './steward.mjs';

const GUESTS = 40;
let steward, browser, state;
before(async () => {
  steward = await startSteward({ guests: GUESTS });
  browser = await startBrowser(steward);
  state = await signedIn(browser, steward);
});
after(async () => {
  await browser?.close();
  await steward?.stop();
});

async function list(how = {}, query = '') {
  const page = await open(browser, steward, { state, ...how });
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
  assert.equal(await shown(page).count(), GUESTS);
  assert.match(await page.locator('#filter-count').innerText(), new RegExp(`${GUESTS}\\D+${GUESTS}`));
  await done(page);
});

test('words filter while one types, and the address keeps them', async () => {
  const page = await list();
  const [first] = await names(page);
  await page.getByLabel('Filter words').fill(first);
  await page.waitForFunction((all) => document.querySelectorAll('#machines-table tbody tr:not([hidden])').length < all, GUESTS);
  assert.ok((await names(page)).includes(first));
  await page.waitForURL(/[?&]q=/);
  await page.reload();
  assert.ok((await names(page)).includes(first), 'the filter is kept over a reload');
  assert.ok((await shown(page).count()) < GUESTS);
  await done(page);
});

test('keys filter by state, and a minus leaves out', async () => {
  const running = await list({}, '?q=status%3Arunning');
  const others = await list({}, '?q=-status%3Arunning');
  const a = await names(running);
  const b = await names(others);
  assert.ok(a.length > 0 && b.length > 0, `${a.length} running, ${b.length} others`);
  assert.equal(a.length + b.length, GUESTS);
  assert.ok(!a.some((n) => b.includes(n)));
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

test('a machine is stopped and started from its page, and the list follows by itself', async () => {
  const page = await list({}, '?q=status%3Astopped');
  const [name] = await names(page);
  const watcher = await list();
  const row = watcher.locator('#machines-table tbody tr', { hasText: name }).first();
  assert.match(await row.locator('.c-state').innerText(), /stopped|off/i);
  await page.getByRole('link', { name, exact: true }).first().click();
  await page.getByRole('button', { name: 'Start', exact: true }).first().click();
  await row.locator('.c-state', { hasText: /running|on/i }).waitFor({ timeout: 60_000 });
  await done(watcher);
  await done(page);
});

test('several machines are started at once, each with a job of its own', async () => {
  const page = await list({}, '?q=status%3Astopped');
  const rows = shown(page);
  const wanted = Math.min(2, await rows.count());
  assert.ok(wanted > 0, 'no machine is stopped');
  const chosen = (await names(page)).slice(0, wanted);
  for (let i = 0; i < wanted; i++) await rows.nth(i).getByRole('checkbox').check();
  await page.getByRole('group', { name: 'Act on the selected machines' }).getByRole('button', { name: 'Start' }).click();
  await page.getByRole('status').filter({ hasText: /start/i }).first().waitFor();
  await page.goto('/jobs');
  for (const name of chosen) await page.getByRole('link', { name: new RegExp(`start.*${name}`, 'i') }).first().waitFor();
  await done(page);
});

test('a thousand machines open, filter and scroll without a long pause', async () => {
  const many = await startSteward({ guests: 1000, nodes: 8 });
  const other = await startBrowser(many);
  try {
    const page = await open(other, many, { state: await signedIn(other, many) });
    await page.goto('/machines');
    const rows = page.locator('#machines-table tbody tr');
    await assert.doesNotReject(rows.nth(999).waitFor({ state: 'attached' }));
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
    assert.ok(took < 150, `one letter typed takes ${took.toFixed(0)} ms`);
    assertQuiet(page);
  } finally {
    await other.close();
    await many.stop();
  }
});
