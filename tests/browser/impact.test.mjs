// What depends on a machine is shown before it is stopped or deleted, with and without JavaScript.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, assertNothingSticksOut, assertQuiet, open, signedIn, startBrowser } from './browser.mjs';
import { api, guests, startSteward } from './steward.mjs';

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

const running = async () => (await guests(steward, 'status:running kind:vm')).filter((g) => !g.template);

async function over(path, body) {
  const asked = await api(steward, 'POST', path, body);
  assert.equal(asked.status, 202, JSON.stringify(asked.body));
  const job = `/api/v1/jobs/${asked.body.id ?? asked.body.job.id}`;
  const end = Date.now() + 60_000;
  for (;;) {
    const now = (await api(steward, 'GET', job)).body;
    if (now.finished) {
      assert.equal(now.state, 'succeeded', JSON.stringify(now));
      return;
    }
    assert.ok(Date.now() < end, JSON.stringify(now));
    await new Promise((r) => setTimeout(r, 200));
  }
}

test('the page that deletes names disks, snapshots and what people lose, on a phone and in the dark too', async () => {
  const [first] = await running();
  await over(`/api/v1/guests/${first.id}/snapshots`, { name: 'before-upgrade' });
  for (const how of [{}, { phone: true }, { dark: true }, { script: false }]) {
    const page = await open(browser, steward, { state, ...how });
    await page.goto(`/machines/${first.id}/danger`);
    const list = page.locator('.impact');
    await list.waitFor();
    const words = await list.innerText();
    assert.match(words, /Its disks, .* in all, go with everything on them/);
    assert.match(words, /before-upgrade \(20\d\d-/);
    assert.match(words, /stopped first, at once/);
    await assertNothingSticksOut(page);
    if (how.script !== false) await assertAccessible(page);
    assertQuiet(page);
    await page.context().close();
  }
});

test('a template that others share disks with is not deleted, and says with whom', async () => {
  const [template] = (await guests(steward, 'is:template')).filter((g) => g.kind === 'vm');
  await over(`/api/v1/guests/${template.id}/clone`, { name: 'linked-here', full: false });
  const page = await open(browser, steward, { state });
  await page.goto(`/machines/${template.id}/danger`);
  await page.locator('.hits .bad', { hasText: 'shares its disks' }).getByRole('link', { name: 'linked-here' }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Delete it for good' }).count(), 0);
  await page.goto(`/templates/${template.id}`);
  await page.locator('.impact', { hasText: 'linked-here' }).waitFor();
  assertQuiet(page);
  await page.context().close();
});

test('a stop shows what depends on the machine first, also without JavaScript, and no is no', async () => {
  const [first] = await running();
  const plain = await open(browser, steward, { state, script: false });
  await plain.goto(`/machines/${first.id}`);
  await plain.locator('#machine-head summary', { hasText: 'More' }).click();
  await plain.locator('#machine-head').getByRole('button', { name: 'Stop', exact: true }).click();
  await plain.getByRole('heading', { name: `Stop ${first.name}?` }).waitFor();
  assert.match(await plain.locator('.impact').innerText(), /plug/);
  await plain.getByRole('link', { name: 'Keep as it is' }).click();
  await plain.getByRole('heading', { level: 1, name: first.name }).waitFor();
  assertQuiet(plain);
  await plain.context().close();
  const page = await open(browser, steward, { state });
  await page.goto(`/machines/${first.id}`);
  await page.locator('#machine-head summary', { hasText: 'More' }).click();
  await page.locator('#machine-head').getByRole('button', { name: 'Stop', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('plug').waitFor();
  await assertAccessible(page);
  await dialog.getByRole('button', { name: 'Keep as it is' }).click();
  assert.equal((await api(steward, 'GET', `/api/v1/guests/${first.id}`)).body.status, 'running');
  // Also where nothing but the machine itself is hit: a machine of one's own.
  const own = (await running()).find((g) => !g.owner || g.owner === steward.login);
  await page.goto(`/machines/${own.id}`);
  for (const [word, agrees] of [['Shut down', false], ['Reboot', true]]) {
    await page.locator('#machine-head').getByRole('button', { name: word, exact: true }).first().click();
    await dialog.getByText(`${word} ${own.name}?`).waitFor();
    await dialog.getByRole('button', { name: agrees ? word : 'Keep as it is' }).click();
  }
  await page.getByText('Reboot ' + own.name).first().waitFor();
  assertQuiet(page);
  await page.context().close();
});
