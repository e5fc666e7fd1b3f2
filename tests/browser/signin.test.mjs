import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, assertQuiet, open, signIn, startBrowser } from './browser.mjs';
import { startSteward } from './steward.mjs';

let steward, browser;
before(async () => {
  steward = await startSteward();
  browser = await startBrowser(steward);
});
after(async () => {
  await browser?.close();
  await steward?.stop();
});

test('somebody who is not signed in is sent to the sign-in page and back to where they wanted', async () => {
  const page = await open(browser, steward);
  await page.goto('/jobs');
  await page.waitForURL(/\/sign-in\?next=/);
  await signIn(page, steward);
  await page.waitForURL('/jobs');
  await page.getByRole('heading', { level: 1, name: 'Jobs' }).waitFor();
  assertQuiet(page);
  await page.context().close();
});

test('a wrong password is told in words, and the typed login stays', async () => {
  const page = await open(browser, steward);
  await signIn(page, steward, { password: 'certainly not this' });
  const alert = page.getByRole('alert');
  await alert.waitFor();
  assert.match(await alert.innerText(), /login or (the )?password|password or (the )?login|wrong|not right/i);
  assert.equal(await page.getByLabel('Login').inputValue(), steward.login);
  assert.equal(await page.getByLabel('Password', { exact: true }).inputValue(), '');
  await assertAccessible(page);
  assertQuiet(page, /\b4\d\d\b.*sign-in|status of 4\d\d/);
  await page.context().close();
});

test('an unknown login is answered with the same words as a wrong password', async () => {
  const page = await open(browser, steward);
  await signIn(page, steward, { password: 'certainly not this' });
  const known = await page.getByRole('alert').innerText();
  await page.goto('/sign-in');
  await signIn(page, steward, { login: 'nobody-here', password: 'certainly not this' });
  assert.equal(await page.getByRole('alert').innerText(), known);
  await page.context().close();
});

test('signing out ends the session, also for a copied cookie', async () => {
  const page = await open(browser, steward);
  await signIn(page, steward);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  const cookies = await page.context().cookies();
  for (const cookie of cookies.filter((c) => /session|id/i.test(c.name))) {
    assert.ok(cookie.httpOnly && cookie.secure && cookie.sameSite !== 'None', `${cookie.name} is not guarded`);
  }
  await page.locator('details.who > summary').click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.waitForURL(/\/sign-in/);
  await page.context().addCookies(cookies);
  await page.goto('/machines');
  assert.match(page.url(), /\/sign-in/);
  assertQuiet(page);
  await page.context().close();
});
