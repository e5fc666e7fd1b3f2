// A node and a whole cluster that do not answer: said at once and everywhere, nothing is offered, and it ends by itself.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, assertNothingSticksOut, assertQuiet, open, signedIn, startBrowser } from './browser.mjs';
import { api, guests, sim, startSteward, until } from './steward.mjs';

const VARIANTS = { 'desktop-light': {}, 'desktop-dark': { dark: true }, 'phone-light': { phone: true }, 'phone-dark': { phone: true, dark: true } };

let steward, browser, state;
before(async () => {
  steward = await startSteward({ guests: 24 });
  browser = await startBrowser(steward);
  state = await signedIn(browser, steward);
});
after(async () => {
  await browser?.close();
  await steward?.stop();
});

const of = async (words) => (await guests(steward, words)).filter((g) => !g.template);
const unreachable = async () => (await of('status:unreachable')).length;

/** The pages in all variants; pictures too when OUT names a folder. */
async function look(name, paths, check) {
  for (const [variant, how] of Object.entries(VARIANTS)) {
    const page = await open(browser, steward, { state, ...how });
    for (const [key, path] of Object.entries(paths)) {
      await page.goto(path);
      if (process.env.OUT) await page.screenshot({ path: `${process.env.OUT}/${name}-${key}.${variant}.png`, fullPage: true });
      await check[key](page);
      await assertNothingSticksOut(page);
      await assertAccessible(page);
    }
    // Charts can't be had now.
    assertQuiet(page, /\b503\b/);
    await page.context().close();
  }
}

test('a node that is off takes its machines out of sight, not out of mind', async () => {
  const [guest] = await of('node:pve2 status:running kind:vm');
  const there = (await of('node:pve2')).length;
  const all = (await of('')).length;
  const open_ = await open(browser, steward, { state });
  await open_.goto(`/machines/${guest.id}`);
  await sim(steward, 'POST', '/sim/faults', { node_down: 'pve2' });
  await until(async () => (await unreachable()) === there, 'its machines are not unreachable', 30_000);
  // The page that is open says so by itself.
  await open_.locator('#machine-head .note').getByText('Node pve2 is offline').waitFor();
  await open_.locator('#machine-head .note').getByText(/It was running when it was last seen/).waitFor();
  const shown = await api(steward, 'GET', `/api/v1/guests/${guest.id}`);
  assert.deepEqual([shown.body.status, shown.body.last_status], ['unreachable', 'running']);
  await look('node', { overview: '/', machines: '/machines', machine: `/machines/${guest.id}` }, {
    async overview(page) {
      await page.getByText('Node pve2 is offline').first().waitFor();
      const said = await page.getByRole('main').innerText();
      assert.doesNotMatch(said, /All is well/);
      assert.match(said, new RegExp(`of ${all} machines run on 2 of 3 nodes`));
    },
    async machines(page) {
      const row = page.locator(`#g-${guest.id}`);
      await row.getByText(/unreachable/i).first().waitFor();
      assert.equal(await row.locator('.state.ok').count(), 0, 'nothing is green');
    },
    async machine(page) {
      const head = page.locator('#machine-head');
      await head.getByText(/unreachable/i).first().waitFor();
      const enabled = await head.locator('form[action$="/power"] button:enabled').allInnerTexts();
      assert.deepEqual(enabled, [], 'nothing is offered');
    },
  });
  await sim(steward, 'POST', '/sim/faults', { node_up: 'pve2' });
  await until(async () => (await unreachable()) === 0, 'it does not come back', 60_000);
  await open_.locator('#machine-head .note').getByText('Node pve2 is offline').waitFor({ state: 'detached' });
  assertQuiet(open_, /\b503\b/);
  await open_.context().close();
});

test('a cluster that does not answer leaves nothing green', async () => {
  const [guest] = await of('status:running kind:vm');
  const all = (await of('')).length;
  // It is away for this call too.
  await sim(steward, 'POST', '/sim/faults', { away: 'reset' }).catch(() => {});
  await until(async () => (await unreachable()) === all, 'its machines are not unreachable', 60_000);
  await look('cluster', { overview: '/', machines: '/machines', machine: `/machines/${guest.id}` }, {
    async overview(page) {
      await page.getByText('does not answer').first().waitFor();
      assert.doesNotMatch(await page.getByRole('main').innerText(), /All is well/);
    },
    async machines(page) {
      await page.locator(`#g-${guest.id}`).getByText(/unreachable/i).first().waitFor();
      assert.equal(await page.locator('#machines-table tbody .state.ok').count(), 0);
    },
    async machine(page) {
      await page.locator('#machine-head').getByText(/It was running when it was last seen/).waitFor();
    },
  });
});
