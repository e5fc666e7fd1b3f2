// A real Chromium for the tests: sign in, look, measure, and notice what a person would not see.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const AXE_RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

export const DESKTOP = { width: 1360, height: 900 };
export const PHONE = { width: 390, height: 844 };

/** Starts Chromium; only Steward's own certificate is accepted, and no other host is looked up. */
export async function startBrowser(steward) {
  const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
  assert.ok(executablePath, 'there is no Chromium: run scripts/setup-tests apt');
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
      `--ignore-certificate-errors-spki-list=${steward.spki}`,
    ],
  });
}

/**
 * Opens a page with a session of its own.
 *
 * @param {object} how `phone`, `dark`, `script: false` (no JavaScript), `state` (a saved session)
 */
export async function open(browser, steward, how = {}) {
  const context = await browser.newContext({
    baseURL: steward.url,
    viewport: how.phone ? PHONE : DESKTOP,
    deviceScaleFactor: how.phone ? 2 : 1,
    isMobile: Boolean(how.phone),
    hasTouch: Boolean(how.phone),
    colorScheme: how.dark ? 'dark' : 'light',
    reducedMotion: 'reduce',
    javaScriptEnabled: how.script !== false,
    storageState: how.state,
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
  });
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  page.troubles = watch(page);
  return page;
}

/** Everything that goes wrong behind the page: script errors, CSP, requests that fail. */
function watch(page) {
  const troubles = [];
  const add = (what) => troubles.push(`${new URL(page.url(), 'about:blank').pathname}: ${what}`);
  page.on('console', (m) => ['error', 'warning'].includes(m.type()) && add(`console ${m.type()}: ${m.text()}`));
  page.on('pageerror', (e) => add(`script error: ${e.stack ?? e}`));
  page.on('response', (r) => r.status() >= 400 && add(`${r.status()} for ${r.request().method()} ${r.url()}`));
  page.on('requestfailed', (r) => {
    // A stream or a fetch that ends because the person went on is no trouble.
    const why = r.failure()?.errorText ?? '';
    if (!/ERR_ABORTED|ERR_NETWORK_CHANGED/.test(why)) add(`${why} for ${r.url()}`);
  });
  return troubles;
}

/** Fails when something went wrong behind the page since the last call. */
export function assertQuiet(page, except = /^$/) {
  const found = page.troubles.splice(0).filter((t) => !except.test(t));
  if (found.length > 0) assert.fail(`behind the page:\n${found.join('\n')}`);
}

export async function signIn(page, steward, { login = steward.login, password = steward.password } = {}) {
  if (!page.url().includes('/sign-in')) await page.goto('/sign-in');
  await page.getByLabel('Login').fill(login);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Signs in once and gives the session to further pages (`open(..., { state })`). */
export async function signedIn(browser, steward) {
  const page = await open(browser, steward);
  await signIn(page, steward);
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  const state = await page.context().storageState();
  await page.context().close();
  return state;
}

/** Somebody who is no admin, signed in by the link that the admin's session makes. */
export async function somebody(browser, steward, state, login) {
  const admin = await open(browser, steward, { state });
  await admin.goto('/users/new');
  await admin.getByLabel('Login').fill(login);
  await admin.getByRole('button', { name: 'Create the invite link' }).click();
  const link = (await admin.getByText(/\/invite\//).first().innerText()).match(/https?:\S+/)[0];
  await admin.context().close();
  const page = await open(browser, steward);
  await page.goto(new URL(link).pathname);
  await page.getByLabel('Password', { exact: true }).fill('three green lamps');
  await page.getByLabel('Repeat password').fill('three green lamps');
  await page.getByRole('button', { name: 'Set the password and sign in' }).click();
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  return page;
}

/** Fails on anything that axe finds against WCAG 2.0 to 2.2, A and AA. */
export async function assertAccessible(page) {
  await page.evaluate(axeSource);
  const found = await page.evaluate(async (rules) => {
    const result = await globalThis.axe.run(document, { runOnly: rules, resultTypes: ['violations'] });
    return result.violations.map((v) => {
      const where = v.nodes.slice(0, 5).map((n) => `  ${n.target.join(' ')}: ${n.failureSummary.replace(/\s*\n\s*/g, ' ')}`);
      return [`${v.id} (${v.impact}): ${v.help}, ${v.nodes.length} times`, ...where].join('\n');
    });
  }, AXE_RULES);
  if (found.length > 0) assert.fail(`axe on ${new URL(page.url()).pathname}:\n${found.join('\n')}`);
}

/** Fails when the page can be moved sideways, and names what sticks out. */
export async function assertNothingSticksOut(page) {
  const { wide, room, who } = await page.evaluate(() => {
    const room = globalThis.innerWidth;
    const wide = document.scrollingElement.scrollWidth;
    const who = [...document.querySelectorAll('body *')]
      .filter((e) => wide > room && e.getBoundingClientRect().right > room + 0.5)
      .slice(0, 5)
      .map((e) => `${e.tagName.toLowerCase()}${e.id && `#${e.id}`}.${e.className} to ${e.getBoundingClientRect().right}`);
    return { wide, room, who };
  });
  assert.ok(wide <= room, `${new URL(page.url()).pathname} is ${wide} px wide on ${room}: ${who.join(', ')}`);
}

/** One address of each kind that links on the pages lead to, beginning at the overview. */
export async function crawl(page, { start = '/', most = 60 } = {}) {
  const id = /\/(?:[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-z]{20,}|\d+)(?=\/|$)/g;
  const kind = (path) => path.replace(/(?<=^\/plugins\/software-).+/, '{name}').replace(id, '/{id}');
  const found = new Map([[kind(start), start]]);
  const queue = [start];
  while (queue.length > 0 && found.size < most) {
    const answer = await page.goto(queue.shift());
    if (!/html/.test(answer.headers()['content-type'] ?? '')) continue;
    const links = await page.locator('a[href]').evaluateAll((all) => all.map((a) => a.href));
    for (const link of links) {
      const { origin, pathname } = new URL(link);
      if (origin !== new URL(page.url()).origin || /^\/(api|healthz|readyz|metrics|assets)\b|\.\w+$/.test(pathname)) continue;
      if (found.has(kind(pathname)) || found.size >= most) continue;
      found.set(kind(pathname), pathname);
      queue.push(pathname);
    }
  }
  return found;
}
