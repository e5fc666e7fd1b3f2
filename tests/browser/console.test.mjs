// The console tab in a real browser: the picture moves, keys arrive and come back, a cut is mended.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, assertNothingSticksOut, assertQuiet, open, signedIn, startBrowser } from './browser.mjs';
import { api, guests, sim as simulated, startSteward, until } from './steward.mjs';

let steward, browser, state;
before(async () => {
  steward = await startSteward({ guests: 20 });
  browser = await startBrowser(steward);
  state = await signedIn(browser, steward);
});
after(async () => {
  await browser?.close();
  await steward?.stop();
});

const sim = (method, path, body) => simulated(steward, method, path, body);
const seen = async (vmid) => (await sim('GET', '/sim/state')).consoles.find((c) => c.vmid === vmid) ?? { typed: '', ctrl_alt_del: 0 };

async function machine(words, fits = () => true) {
  const all = (await guests(steward, words)).filter((g) => !g.template && fits(g));
  assert.ok(all.length > 0, words);
  return all[0];
}

/** Opens the tab and waits for the viewer. */
async function openConsole(page, guest) {
  await page.goto(`/machines/${guest.id}/console`);
  await page.locator('.console[data-state="open"]').waitFor();
}

/** The canvas' pixels of some rows, as one long text. */
const pixels = (page, from, to) =>
  page.locator('.glass canvas').evaluate((canvas, [from, to]) => {
    // A copy, as reading the viewer's own canvas makes the browser complain.
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const data = copy.getImageData(0, from, canvas.width, to - from).data;
    return `${canvas.width}x${canvas.height} ${btoa(String.fromCharCode(...data.filter((_, n) => n % 16 === 0)))}`;
  }, [from, to]);

test('the screen moves, takes keys and a pasted text, and Ctrl+Alt+Del', async () => {
  const guest = await machine('status:running kind:vm');
  const page = await open(browser, steward, { state });
  await openConsole(page, guest);
  const first = await pixels(page, 40, 104);
  assert.match(first, /^480x288 /);
  await until(async () => (await pixels(page, 40, 104)) !== first, 'the clock and the bar stand still');

  const before = await pixels(page, 150, 250);
  await page.locator('.glass canvas').click();
  await page.keyboard.type('hello');
  await until(async () => (await seen(guest.vmid)).typed === 'hello', 'the keys did not arrive');
  await until(async () => (await pixels(page, 150, 250)) !== before, 'what was typed is not on the screen');

  await page.getByRole('button', { name: 'Paste' }).click();
  await page.getByLabel('Text for the machine').fill(' W0rld!\n"x"');
  await page.getByRole('button', { name: 'Send' }).click();
  await until(async () => (await seen(guest.vmid)).typed === 'hello W0rld!\n"x"', 'the pasted text did not arrive');
  assert.equal(await page.locator('#console-text').inputValue(), '', 'a pasted password must not stay in the page');

  await page.getByRole('button', { name: 'Ctrl+Alt+Del' }).click();
  await until(async () => (await seen(guest.vmid)).ctrl_alt_del === 1, 'Ctrl+Alt+Del did not arrive');

  const size = () => page.locator('.glass canvas').evaluate((c) => c.getBoundingClientRect().width);
  const fitted = await size();
  await page.getByRole('button', { name: 'Fit' }).click();
  assert.equal(await size(), 480);
  assert.notEqual(fitted, 480);
  assertQuiet(page);
  await page.context().close();
});

test('a cut is said and mended by itself', async () => {
  const guest = await machine('status:running kind:vm');
  const page = await open(browser, steward, { state });
  await openConsole(page, guest);
  await sim('POST', '/sim/faults', { cut_consoles: true });
  await page.locator('.console[data-state="cut"]').waitFor();
  assert.match(await page.locator('[data-words]').textContent(), /was cut\. Trying again in 1 s/);
  await page.locator('.console[data-state="open"]').waitFor();
  await page.getByRole('button', { name: 'Reconnect' }).click();
  await page.locator('.console[data-state="open"]').waitFor();
  assertQuiet(page);
  await page.context().close();
});

test('a container has a terminal that echoes and keeps to its size', async () => {
  const guest = await machine('status:running kind:container');
  const page = await open(browser, steward, { state });
  await openConsole(page, guest);
  const rows = page.locator('.xterm-accessibility-tree');
  await page.keyboard.type('hostname\n');
  await until(async () => (await rows.innerText()).includes(`\n${guest.name}`), 'the shell did not answer');
  await page.getByRole('button', { name: 'Paste' }).click();
  await page.getByLabel('Text for the machine').fill('echo grüße\r\nstty\n');
  await page.getByRole('button', { name: 'Send' }).click();
  const text = await until(async () => {
    const text = await rows.innerText();
    return text.includes('rows ') && text;
  }, 'the pasted commands did not run');
  assert.match(text, /grüße/);
  const [, lines, columns] = text.match(/rows (\d+); columns (\d+);/).map(Number);
  assert.ok(lines > 10 && columns > 60, text);
  // The text is drawn with the style sheets that the policy allows.
  const colour = await page.locator('.xterm-rows span').first().evaluate((e) => getComputedStyle(e).color);
  assert.notEqual(colour, 'rgb(0, 0, 0)');
  assertQuiet(page);
  await page.context().close();
});

test('a machine that is off says so, and its console opens when it is started', async () => {
  const guest = await machine('status:running kind:vm', (g) => g.name.startsWith('web') || g.vmid > 104);
  const page = await open(browser, steward, { state });
  await openConsole(page, guest);
  const asked = await api(steward, 'POST', `/api/v1/guests/${guest.id}/power`, { action: 'stop' });
  assert.equal(asked.status, 202, JSON.stringify(asked.body));
  await page.locator('.console[data-state="asleep"]').waitFor({ timeout: 40_000 });
  await page.getByRole('heading', { name: 'It is asleep' }).waitFor({ timeout: 20_000 });
  await assertAccessible(page);
  await page.getByRole('button', { name: 'Start', exact: true }).last().click();
  await page.locator('.console[data-state="open"]').waitFor({ timeout: 60_000 });
  // The refused tickets of the time in between are part of the story.
  assertQuiet(page, /409 for POST|status of 409/);
  await page.context().close();
});

test('the tab is accessible and fits in both themes on desktop and phone', async () => {
  const vm = await machine('status:running kind:vm');
  const container = await machine('status:running kind:container');
  for (const how of [{}, { dark: true }, { phone: true }, { phone: true, dark: true }]) {
    for (const guest of [vm, container]) {
      const page = await open(browser, steward, { state, ...how });
      await openConsole(page, guest);
      await assertAccessible(page);
      await assertNothingSticksOut(page);
      if (process.env.OUT) {
        const name = `console-${guest.kind}.${how.phone ? 'phone' : 'desktop'}-${how.dark ? 'dark' : 'light'}.png`;
        await page.screenshot({ path: `${process.env.OUT}/${name}`, fullPage: true });
      }
      assertQuiet(page);
      await page.context().close();
    }
  }
});

test('a phone writes with its own keyboard', async () => {
  const guest = await machine('status:running kind:vm', (g) => g.vmid !== 100);
  const page = await open(browser, steward, { state, phone: true });
  await openConsole(page, guest);
  await page.getByRole('button', { name: 'Keyboard' }).click();
  const typed = (await seen(guest.vmid)).typed;
  await page.locator('[data-keys]').pressSequentially('aB-1');
  await until(async () => (await seen(guest.vmid)).typed === `${typed}aB-1`, 'the keys did not arrive');
  await page.locator('[data-keys]').press('Enter');
  await until(async () => (await seen(guest.vmid)).typed === `${typed}aB-1\n`, 'Enter did not arrive');
  assertQuiet(page);
  await page.context().close();
});

test('without JavaScript the page says what is missing', async () => {
  const guest = await machine('status:running kind:vm');
  const page = await open(browser, steward, { state, script: false });
  await page.goto(`/machines/${guest.id}/console`);
  await page.getByText('The console needs JavaScript').waitFor();
  assert.equal(await page.locator('.stage').isVisible(), false);
  await page.context().close();
});

test('other pages load nothing of the viewers', async () => {
  const guest = await machine('status:running kind:vm');
  const page = await open(browser, steward, { state });
  const loaded = [];
  page.on('request', (r) => loaded.push(new URL(r.url()).pathname));
  await page.goto(`/machines/${guest.id}`);
  await page.waitForLoadState('networkidle').catch(() => {});
  assert.ok(!loaded.some((path) => /screen|terminal|console/.test(path)), loaded.join('\n'));
  await page.context().close();
});
