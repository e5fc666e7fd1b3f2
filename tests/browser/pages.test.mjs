// Every page that a link leads to: quiet, accessible in both themes, and not too wide for a phone.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertAccessible, assertNothingSticksOut, assertQuiet, crawl, open, signedIn, startBrowser } from './browser.mjs';
import { api, guests, startSteward } from './steward.mjs';

// The pages of the issue; a page that no link leads to is a page that nobody finds.
const EXPECTED = ['/', '/machines', '/machines/new', '/machines/{id}', '/jobs', '/jobs/{id}', '/plugins', '/users', '/audit', '/settings', '/profile'];

let steward, browser, state, pages;
before(async () => {
  steward = await startSteward();
  browser = await startBrowser(steward);
  state = await signedIn(browser, steward);
  await makeAJob();
  const page = await open(browser, steward, { state });
  pages = await crawl(page);
  await page.context().close();
});
after(async () => {
  await browser?.close();
  await steward?.stop();
});

// Without a job there is no link to a job's page.
async function makeAJob() {
  const [running] = (await guests(steward, 'status:running')).filter((g) => g.kind === 'vm');
  const answer = await api(steward, 'POST', `/api/v1/guests/${running.id}/power`, { action: 'reboot' });
  assert.equal(answer.status, 202, JSON.stringify(answer.body));
}

async function everyPage(how, check) {
  const page = await open(browser, steward, { state, ...how });
  const wrong = [];
  for (const path of pages.values()) {
    try {
      const answer = await page.goto(path);
      assert.equal(answer.status(), 200, path);
      await check(page);
      assertQuiet(page);
    } catch (e) {
      wrong.push(e.message);
      page.troubles.length = 0;
    }
  }
  await page.context().close();
  if (wrong.length > 0) assert.fail(wrong.join('\n\n'));
}

test('links lead to every page', () => {
  const missing = EXPECTED.filter((p) => !pages.has(p));
  assert.equal(missing.join(' '), '', `only these were found: ${[...pages.keys()].join(' ')}`);
});

describe('every page', () => {
  test('has a title, one headline, a main part and a language', () =>
    everyPage({}, async (page) => {
      assert.match(await page.title(), /\S+ · Steward$/);
      assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1, `${page.url()} has not one headline`);
      assert.equal(await page.getByRole('main').count(), 1);
      assert.equal(await page.locator('html').getAttribute('lang'), 'en');
    }));
  test('is accessible on a light screen', () => everyPage({}, assertAccessible));
  test('is accessible on a dark screen', () => everyPage({ dark: true }, assertAccessible));
  test('is accessible on a phone', () => everyPage({ phone: true }, assertAccessible));
  test('fits a phone without moving sideways', () => everyPage({ phone: true }, assertNothingSticksOut));
  test('fits a phone on its side', () =>
    everyPage({}, async (page) => {
      await page.setViewportSize({ width: 640, height: 360 });
      await assertNothingSticksOut(page);
    }));
  test('is whole without JavaScript', () =>
    everyPage({ script: false, phone: true }, async (page) => {
      assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1, `${page.url()} has not one headline`);
      assert.ok((await page.getByRole('main').innerText()).trim().length > 10, `${page.url()} is empty`);
    }));
});

test('the first load is 150 kB or less', async () => {
  const page = await open(browser, steward, { state });
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  let bytes = 0;
  session.on('Network.loadingFinished', (e) => (bytes += e.encodedDataLength));
  await page.goto('/', { waitUntil: 'load' });
  await page.waitForTimeout(500);
  assert.ok(bytes > 1000 && bytes <= 150_000, `${bytes} bytes`);
  await page.context().close();
});

test('the answers carry a strict content security policy', async () => {
  const page = await open(browser, steward, { state });
  const answer = await page.goto('/');
  const policy = answer.headers()['content-security-policy'];
  assert.match(policy, /script-src 'self'/);
  assert.doesNotMatch(policy, /unsafe|\*/);
  await page.context().close();
});
