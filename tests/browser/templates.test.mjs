// A template is made from a cloud image, with and without JavaScript, and the wizard offers it first.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, assertNothingSticksOut, assertQuiet, open, signedIn, startBrowser } from './browser.mjs';
import { startSteward } from './steward.mjs';

const MADE_MS = 120_000;

let steward, browser, state;
before(async () => {
  steward = await startSteward({ guests: 6 });
  browser = await startBrowser(steward);
  state = await signedIn(browser, steward);
});
after(async () => {
  await browser?.close();
  await steward?.stop();
});

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

async function make(page, image, look = async () => {}) {
  await page.goto('/templates');
  await look(page);
  await page.locator('#images li', { hasText: image }).getByRole('link', { name: 'Make a template' }).click();
  await page.getByRole('button', { name: 'Make the template' }).waitFor();
  await look(page);
  await page.getByRole('button', { name: 'Make the template' }).click();
  await page.waitForURL(/\/jobs\//);
}

test('a template is made from an image of the catalogue and is the first in the wizard', async () => {
  const page = await open(browser, steward, { state });
  await make(page, '(trixie)', assertAccessible);
  await page.locator('#job-head').getByText('succeeded').waitFor({ timeout: MADE_MS });
  await page.goto('/templates');
  const card = page.locator('#templates li', { hasText: 'debian-13-20' });
  await reloadUntil(page, card, 30_000);
  assert.match(await card.innerText(), /ready[\s\S]*Debian 13/);
  await assertAccessible(page);
  await assertNothingSticksOut(page);
  await card.getByRole('link', { name: /debian-13-20/ }).click();
  await page.getByText('no machine’s disk is linked').or(page.getByText("no machine's disk is linked")).waitFor();
  await assertAccessible(page);
  await page.goto('/machines/new');
  const first = await page.getByLabel('Template', { exact: true }).locator('option').first().innerText();
  assert.match(first, /^Debian 13 \(trixie\): debian-13-20/);
  await assertQuiet(page);
});

test('without JavaScript a template is made, looked at and deleted', async () => {
  const page = await open(browser, steward, { state, script: false });
  await make(page, 'Alpine');
  await reloadUntil(page, page.locator('#job-head').getByText('succeeded'), MADE_MS);
  await page.goto('/templates');
  const link = page.locator('#templates').getByRole('link', { name: /alpine-3-23-20/ });
  await reloadUntil(page, link, 30_000);
  const name = await link.innerText();
  await link.click();
  await page.getByLabel("Type the template's name").fill('something else');
  await page.getByRole('button', { name: 'Delete this template' }).click();
  await page.getByText('exactly as shown').waitFor();
  await page.getByLabel("Type the template's name").fill(name);
  await page.getByRole('button', { name: 'Delete this template' }).click();
  await page.waitForURL(/\/jobs\//);
  await reloadUntil(page, page.locator('#job-head').getByText('succeeded'), MADE_MS);
});

test('an image is uploaded without JavaScript, and a file of another kind is refused beside its field', async () => {
  const page = await open(browser, steward, { state, script: false });
  await page.goto('/templates/upload');
  const fill = async (name, buffer) => {
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('File', { exact: true }).setInputFiles({ name: 'own.img', mimeType: 'application/octet-stream', buffer });
    await page.getByRole('button', { name: 'Upload and make the template' }).click();
  };
  await fill('My own', Buffer.from('<!doctype html>'.repeat(100)));
  await page.getByText('This file is a web page.').waitFor();
  assert.equal(await page.getByLabel('Name', { exact: true }).inputValue(), 'My own');
  const image = Buffer.alloc(5 << 20, 7);
  Buffer.from([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3]).copy(image);
  image.writeBigUInt64BE(2n << 30n, 24);
  await fill('My own', image);
  await page.waitForURL(/\/jobs\//);
  await reloadUntil(page, page.locator('#job-head').getByText('succeeded'), MADE_MS);
  await page.goto('/templates');
  await reloadUntil(page, page.locator('#templates').getByRole('link', { name: /my-own-20/ }), 30_000);
});

test('the page for uploads is accessible', async () => {
  const page = await open(browser, steward, { state });
  await page.goto('/templates/upload');
  await assertAccessible(page);
  await assertNothingSticksOut(page);
});

test('what is wrong with an own image is said beside the field', async () => {
  const page = await open(browser, steward, { state });
  await page.goto('/templates/new?image=own');
  await page.getByLabel('Name', { exact: true }).fill('Mine');
  await page.getByLabel('Address of the image').fill('https://x.example/mine.qcow2');
  await page.getByLabel('Checksum', { exact: true }).fill('12');
  await page.getByRole('button', { name: 'Make the template' }).click();
  await page.getByText('A sha256 checksum has 64 hex digits.').waitFor();
  assert.equal(await page.getByLabel('Address of the image').inputValue(), 'https://x.example/mine.qcow2');
  await assertAccessible(page);
});
