// Pictures of the main pages in four variants, for a person to look at: `make screenshots`.
//
// OUT=folder node screenshots.mjs [PATH...] [--forms]
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { crawl, open, signedIn, startBrowser } from './browser.mjs';
import { api, guests, startSteward } from './steward.mjs';

const out = process.env.OUT ?? 'screenshots';
const VARIANTS = [
  ['desktop-light', {}],
  ['desktop-dark', { dark: true }],
  ['phone-light', { phone: true }],
  ['phone-dark', { phone: true, dark: true }],
];

const fileName = (kind) => kind.replace(/[{}]/g, '').replace(/^\/|\/$/g, '').replaceAll('/', '-') || 'overview';

// Some work that can be seen: one job that is done or runs.
async function stir(steward) {
  const running = (await guests(steward, 'status:running')).filter((g) => !g.template);
  for (const guest of running.slice(0, 3)) {
    await api(steward, 'POST', `/api/v1/guests/${guest.id}/power`, { action: 'reboot' });
  }
}

// Pages that come by a form: the wizard with a profile, what a profile would do to a machine.
async function byForm(page, steward, variant) {
  const shot = (name) => page.screenshot({ path: join(out, `${name}.${variant}.png`), fullPage: true });
  await page.goto('/machines/new');
  await page.getByLabel('Name', { exact: true }).fill('by-profile');
  await page.getByRole('button', { name: 'Next: size' }).click();
  await page.getByRole('radio', { name: 'Windows desktop' }).check();
  await page.waitForFunction(() => document.querySelector('#memory')?.value === '8192');
  await shot('machines-new-size');
  const [guest] = (await guests(steward, 'status:running kind:vm')).filter((g) => !g.template);
  await page.goto(`/machines/${guest.id}/hardware/profile`);
  await page.getByRole('radio', { name: 'Windows desktop' }).check();
  await shot('machines-id-hardware-profile');
  await page.getByRole('button', { name: 'Preview the change' }).click();
  await page.getByRole('table').waitFor();
  await shot('machines-id-hardware-profile-preview');
}

mkdirSync(out, { recursive: true });
const steward = await startSteward();
const browser = await startBrowser(steward);
let troubles = 0;
try {
  const door = await open(browser, steward);
  await door.goto('/sign-in');
  await door.screenshot({ path: join(out, 'sign-in.desktop-light.png') });
  const state = await signedIn(browser, steward);
  await stir(steward);
  const finder = await open(browser, steward, { state });
  const asked = process.argv.slice(2).filter((p) => p.startsWith('/'));
  const pages = process.argv.length > 2 ? new Map(asked.map((p) => [p, p])) : await crawl(finder);
  for (const [variant, how] of VARIANTS) {
    const page = await open(browser, steward, { state, ...how });
    for (const [kind, path] of pages) {
      await page.goto(path);
      await page.waitForTimeout(300);
      await page.screenshot({ path: join(out, `${fileName(kind)}.${variant}.png`) });
    }
    if (process.argv.length === 2 || process.argv.includes('--forms')) await byForm(page, steward, variant);
    for (const trouble of page.troubles) console.error(`${variant} ${trouble}`);
    troubles += page.troubles.length;
    await page.context().close();
  }
  console.log(`${pages.size} pages in ${VARIANTS.length} variants, ${troubles} troubles behind them`);
} finally {
  await browser.close();
  await steward.stop();
}
process.exitCode = troubles > 0 ? 1 : 0;
