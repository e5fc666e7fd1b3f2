// Connecting a Proxmox cluster: compare the certificate, log in once or give a token, see what the token may do.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { assertAccessible, assertQuiet, open, signedIn, startBrowser } from './browser.mjs';
import { BINARY, startSteward } from './steward.mjs';

let steward, browser, state, cluster;
before(async () => {
  cluster = await startCluster();
  steward = await startSteward({ guests: 4, nodes: 1 });
  browser = await startBrowser(steward);
  state = await signedIn(browser, steward);
});
after(async () => {
  await browser?.close();
  await steward?.stop();
  cluster?.child.kill('SIGINT');
});

/** A second simulated cluster in a process of its own. */
async function startCluster() {
  const child = spawn(BINARY, ['sim', '--json', '--listen', '127.0.0.1:0', '--nodes', '1', '--guests', '3'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const line of createInterface({ input: child.stdout })) {
    return { child, ...JSON.parse(line) };
  }
  throw new Error('steward sim said nothing');
}

/** Goes to the last step, looking at the certificate on the way. */
async function toAccess(page, name) {
  await page.goto('/settings/connections/new');
  await page.getByLabel('Address of a node').fill(cluster.url.replace('https://', ''));
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByRole('button', { name: 'Show its certificate' }).click();
  await page.getByText(cluster.fingerprint).first().waitFor();
  await assertAccessible(page);
  await page.getByRole('button', { name: 'It matches, continue' }).click();
  await page.getByText('How Steward gets its rights').waitFor();
}

test('a token made by hand connects too, and the connection can be taken away', async () => {
  const page = await open(browser, steward, { state });
  await toAccess(page, 'Attic');
  await page.getByText('Use a token', { exact: true }).click();
  await page.getByLabel('Token ID').fill(cluster.token_id);
  await page.getByLabel('Token secret').fill(cluster.token_secret);
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await page.getByRole('heading', { name: 'Attic' }).waitFor();
  await page.getByText('Addresses and certificates').click();
  const field = page.getByLabel('Accepted certificates');
  assert.equal((await field.inputValue()).trim(), cluster.fingerprint);
  await field.fill('not a fingerprint');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Each line is one SHA-256 fingerprint').waitFor();
  await page.getByLabel("Type the connection's name").fill('Attic');
  await page.getByRole('button', { name: 'Forget this connection' }).click();
  await page.waitForURL('**/settings');
  assert.ok(!(await page.getByRole('main').innerText()).includes('Attic'));
});

// Each Steward gets a token name of its own there, so this takes nothing from the other one.
test('one login makes role, user and token, and the rights are checked', async () => {
  const page = await open(browser, steward, { state });
  await toAccess(page, 'Cellar');
  await page.getByLabel('Password', { exact: true }).fill('wrong');
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await page.locator('.error, [aria-invalid=true]').first().waitFor();
  await page.getByLabel('Password', { exact: true }).fill(cluster.root_password);
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
  await page.getByText('The token has all the rights that Steward needs.').waitFor();
  await assertAccessible(page);
  await page.goto('/machines');
  assert.ok((await page.getByRole('main').innerText()).includes('pve'), 'its machines are listed');
  // A refused form is answered with 422, which Chromium notes as a failed load.
  assertQuiet(page, /422/);
});

test('the same cluster is offered instead of a second one, and gets a new token in place', async () => {
  const page = await open(browser, steward, { state });
  await page.goto('/settings/connections/new');
  await page.getByLabel('Address of a node').fill(cluster.url.replace('https://', ''));
  await page.getByLabel('Name', { exact: true }).fill('Twice');
  await page.getByRole('button', { name: 'Show its certificate' }).click();
  await page.getByText('This cluster is connected already').waitFor();
  await assertAccessible(page);
  await page.getByRole('link', { name: 'Open Cellar' }).click();
  await page.getByRole('heading', { name: 'Cellar' }).waitFor();
  await page.getByText('Give it a new token').click();
  await page.getByLabel('Password', { exact: true }).fill(cluster.root_password);
  await page.getByRole('button', { name: 'Use it from now on' }).click();
  await page.getByText('Steward has its new token.').waitFor();
  await page.getByText('The token has all the rights that Steward needs.').waitFor();
  await assertAccessible(page);
  assertQuiet(page);
});
