// One wish for several machines, from the list: tags for all, and deleting with the number typed.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, assertNothingSticksOut, assertQuiet, open, signedIn, startBrowser } from './browser.mjs';
import { guests, startSteward } from './steward.mjs';

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

const machines = async (words) => (await guests(steward, `kind:vm ${words}`)).filter((g) => !g.template && !g.lock);

async function until(what, fits) {
  const end = Date.now() + DONE_MS;
  for (;;) {
    const now = await what();
    if (fits(now)) return;
    assert.ok(Date.now() < end, `not in time: ${JSON.stringify(now)}`);
    await new Promise((r) => setTimeout(r, 200));
  }
}

/** Chooses machines in the list and then what to do with them. */
async function choose(page, chosen, word) {
  await page.goto('/machines');
  for (const { id } of chosen) await page.locator(`#g-${id} .c-check input`).check();
  const bar = page.getByRole('group', { name: 'Act on the selected machines' });
  await bar.locator('summary').click();
  await bar.getByRole('button', { name: word }).click();
  await page.locator('.chosen').waitFor();
}

test('several machines get a tag at once, on a phone in the dark too, and the jobs are shown', async () => {
  const all = (await machines('status:running')).slice(0, 4);
  for (const [n, how] of [{}, { phone: true, dark: true }].entries()) {
    const chosen = all.slice(n * 2, n * 2 + 2);
    const page = await open(browser, steward, { state, ...how });
    await choose(page, chosen, 'Tag');
    await page.getByRole('heading', { level: 1, name: 'Tag 2 machines' }).waitFor();
    await assertNothingSticksOut(page);
    await assertAccessible(page);
    await page.getByLabel('Add tags').fill('together');
    await page.getByRole('button', { name: 'Tag 2 machines' }).click();
    await page.waitForURL(/\/jobs$/);
    await page.getByText('Started: Tag 2 machines.').waitFor();
    for (const { id } of chosen) await until(() => guests(steward, 'tag:together'), (now) => now.some((g) => g.id === id));
    assertQuiet(page);
    await page.context().close();
  }
});

test('what is refused for a machine is said with its reason before anything is done', async () => {
  const [on] = await machines('status:running');
  const [off] = await machines('status:stopped');
  const page = await open(browser, steward, { state });
  await choose(page, [on, off], 'Hibernate');
  const refusals = page.locator('.refusals');
  assert.match(await refusals.innerText(), new RegExp(`${off.name}\\s+It is stopped now`));
  await page.getByRole('heading', { level: 1, name: 'Hibernate 1 machine' }).waitFor();
  await page.getByRole('link', { name: 'Keep as it is' }).click();
  await page.getByRole('heading', { level: 1, name: 'Machines' }).waitFor();
  assertQuiet(page);
  await page.context().close();
});

test('several machines are deleted only with their number typed, and without JavaScript', async () => {
  const [on] = (await machines('status:running')).slice(-1);
  const [off] = await machines('status:stopped');
  const chosen = [on, off];
  const page = await open(browser, steward, { state, script: false });
  await choose(page, chosen, 'Delete');
  assert.match(await page.locator('.impact').innerText(), /Their disks, .* go with everything on them/);
  await page.getByLabel('Type how many').fill('3');
  await page.getByRole('button', { name: 'Delete 2 machines' }).click();
  await page.locator('.field.wrong').waitFor();
  await page.getByLabel('Type how many').fill('2');
  await page.getByRole('button', { name: 'Delete 2 machines' }).click();
  await page.waitForURL(/\/jobs$/);
  for (const { id } of chosen) await until(() => guests(steward), (now) => now.every((g) => g.id !== id));
  assertQuiet(page, /\b422\b/);
  await page.context().close();
});
