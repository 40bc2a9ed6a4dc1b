/** A page of one's own, as the demo page exports it: unpacked, served by a plain server, opened, asked. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { unzipSync } from 'fflate';

import { serve } from '../../web-demo/serve.js';

/** The zip, as base64. */
export const ZIP = `
  await hands.view('keep');
  await hands.press('Download the page');
  await hands.until('the zip', () => watched.downloads.length);
  const zip = await hands.base64(await watched.downloads.pop().file);`;

/**
 * @param {import('puppeteer-core').Page} page of the browser in which it is opened
 * @param {string} zip as base64
 * @param {import('node:test').TestContext} context of a step: while it is open the page before it is hidden
 * @returns {Promise<(picture: string) => Promise<string>>} what it says of a picture, given as base64
 */
export async function openOwnPage(page, zip, context) {
  const folder = await mkdtemp(path.join(tmpdir(), 'mudpt-zip-'));
  context.after(() => rm(folder, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(unzipSync(Buffer.from(zip, 'base64')))) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), content);
  }
  const server = await serve({ folder, policy: '' });
  context.after(() => server.close());
  const own = await page.browser().newPage();
  context.after(() => own.close());
  await own.goto(server.url);
  await own.waitForFunction(() => document.querySelector('output')?.value.endsWith('?'));
  let asked = 0;
  return async (picture) => {
    const file = path.join(folder, `${asked++}.png`);
    await writeFile(file, Buffer.from(picture, 'base64'));
    await own.$eval('output', (output) => (output.value = ''));
    await /** @type {any} */ (await own.$('input')).uploadFile(file);
    await own.waitForFunction(() => document.querySelector('output')?.value.includes('%'));
    return own.$eval('output', (output) => output.value);
  };
}
