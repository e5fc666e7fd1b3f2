// A machine from a Windows template: a password instead of SSH keys, recipes for Windows only, remote desktop.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertAccessible, assertNothingSticksOut, assertQuiet, open, signedIn, startBrowser } from './browser.mjs';
import { guests, startSteward } from './steward.mjs';

const PASSWORD = 'Seven brown kettles 7';

let steward, browser, state;
before(async () => {
  steward = await startSteward({ guests: 12 });
  browser = await startBrowser(steward);
  state = await signedIn(browser, steward);
});
after(async () => {
  await browser?.close();
  await steward?.stop();
});

const picture = async (page, name) => {
  if (process.env.OUT) await page.screenshot({ path: `${process.env.OUT}/windows-${name}.png`, fullPage: true });
};

/** Through the wizard up to its last step. */
async function toReview(page, name, look) {
  await page.goto('/machines/new');
  await page.getByLabel('Name', { exact: true }).fill(name);
  const template = page.getByLabel('Template', { exact: true });
  const windows = await template.locator('option', { hasText: 'windows-10' }).first().getAttribute('value');
  await template.selectOption(windows);
  await page.getByRole('button', { name: 'Next: size' }).click();
  await page.getByLabel('Disk', { exact: true }).fill('64');
  await page.getByRole('button', { name: 'Next: network' }).click();
  await page.getByRole('button', { name: 'Next: access' }).click();
  await page.getByLabel('User on the machine').waitFor();
  assert.equal(await page.getByLabel('SSH keys').count(), 0, 'Windows takes no SSH keys here');
  await look(page, 'access');
  await page.getByLabel('User on the machine').fill('Jörg Meier');
  await page.getByRole('button', { name: 'Next: software' }).click();
  await page.getByText('Choose none to leave it plain').waitFor();
  const offered = await page.locator('.recipe strong').allInnerTexts();
  assert.deepEqual(offered, ['Windows for telecom staff']);
  await look(page, 'software');
  await page.getByRole('button', { name: 'Next: review' }).click();
  await page.getByLabel('Password of Jörg Meier').waitFor();
  await look(page, 'review');
}

test('a machine is made from a Windows template and its page has the file for remote desktop', async () => {
  const page = await open(browser, steward, { state });
  await toReview(page, 'desk-7', async (p, step) => {
    await assertAccessible(p);
    await picture(p, step);
  });
  await page.getByLabel('Password of Jörg Meier').fill('short');
  await page.getByRole('button', { name: 'Create the machine' }).click();
  await page.getByText('Use 8 to 120 characters on one line.').waitFor();
  assert.equal(await page.getByLabel('Password of Jörg Meier').inputValue(), '', 'a typed password never comes back');
  await page.getByLabel('Password of Jörg Meier').fill(PASSWORD);
  await page.getByRole('button', { name: 'Create the machine' }).click();
  await page.waitForURL(/\/(machines|jobs)\/[^/]+$/);
  const end = Date.now() + 120_000;
  let made = [];
  while (Date.now() < end && made[0]?.status !== 'running') {
    await page.waitForTimeout(500);
    made = (await guests(steward)).filter((g) => g.name === 'desk-7');
  }
  assert.equal(made[0]?.status, 'running');

  const link = page.getByRole('link', { name: 'File for remote desktop (.rdp)' });
  for (let n = 0; n < 40 && (await link.count()) === 0; n += 1) {
    await page.goto(`/machines/${made[0].id}`);
    await page.waitForTimeout(500);
  }
  await assertAccessible(page);
  await picture(page, 'machine');
  const [file] = await Promise.all([page.waitForEvent('download'), link.click()]);
  assert.equal(file.suggestedFilename(), 'desk-7.rdp');
  let text = '';
  for await (const chunk of await file.createReadStream()) text += chunk;
  assert.match(text, /^full address:s:10\.\d+\.\d+\.\d+:3389\r\n/);
  assert.match(text, /enablecredsspsupport:i:1/);

  await page.goto(`/machines/${made[0].id}/software`);
  await page.getByText('through its guest agent').waitFor();
  assert.deepEqual(await page.locator('a.recipe strong').allInnerTexts(), ['Windows for telecom staff']);
  await picture(page, 'tab');
  await page.getByRole('link', { name: /Windows for telecom staff/ }).click();
  await page.getByRole('button', { name: 'Install' }).waitFor();
  await assertAccessible(page);
  await picture(page, 'recipe');
  // The password that was too short was refused.
  assertQuiet(page, /422/);
  await page.context().close();
});

test('the wizard for Windows fits a phone in the dark', async () => {
  const page = await open(browser, steward, { state, phone: true, dark: true });
  await toReview(page, 'desk-8', async (p, step) => {
    await assertNothingSticksOut(p);
    await picture(p, `${step}-phone-dark`);
  });
  assertQuiet(page);
  await page.context().close();
});

test('a Windows template is asked for by its images, and what is wrong is said beside it', async () => {
  const page = await open(browser, steward, { state });
  await page.goto('/templates');
  await page.getByRole('link', { name: 'Windows from an ISO image' }).click();
  await page.getByLabel('Password of Administrator').waitFor();
  await assertAccessible(page);
  await picture(page, 'template');
  assert.match(await page.getByLabel('VirtIO drivers').inputValue(), /virtio-win/);
  assert.match(await page.getByLabel('Windows’ image').or(page.getByLabel("Windows' image")).inputValue(), /Win10/);
  await page.getByLabel('Name of the template').fill('win-10');
  await page.getByLabel('Password of Administrator').fill('short');
  await page.getByRole('button', { name: 'Install it and make the template' }).click();
  await page.getByText('Use 8 to 120 characters on one line.').waitFor();
  assert.equal(await page.getByLabel('Password of Administrator').inputValue(), '');
  assert.equal(await page.getByLabel('Name of the template').inputValue(), 'win-10');
  await picture(page, 'template-wrong');
  await page.getByLabel('Password of Administrator').fill(PASSWORD);
  await page.getByRole('button', { name: 'Install it and make the template' }).click();
  await page.waitForURL(/\/jobs\/[^/]+$/);
  await page.getByText('Starting Windows').first().waitFor({ timeout: 60_000 });
  await picture(page, 'template-job');
  assert.ok(!(await page.content()).includes(PASSWORD));
  assertQuiet(page, /422/);
  await page.context().close();

  const phone = await open(browser, steward, { state, phone: true, dark: true });
  await phone.goto('/templates/windows');
  await phone.getByLabel('Password of Administrator').waitFor();
  await assertNothingSticksOut(phone);
  await picture(phone, 'template-phone-dark');
  assertQuiet(phone);
  await phone.context().close();
});
