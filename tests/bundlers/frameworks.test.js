/**
 * The package as it is packed, in fresh apps of people's frameworks and runtimes: React with TypeScript, SvelteKit with
 * its server, an import map to another site, Deno, Bun, CommonJS, Chromium with Electron's flag. Each is built, run,
 * and must name a picture; the recipes are docs/recipes.md's.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { ENGINES } from '../browser/engines.js';
import { EXAMPLES } from '../browser/task.js';
import { blocksOf } from '../examples.js';
import { startServer } from '../node/http-servers.js';
import { NEW_PICTURE } from './apps.js';
import { writePlain, writeReact, writeRuntimes, writeSvelte } from './frameworks.js';
import { ROOT, WORK, packed, run } from './fresh.js';

const { label } = NEW_PICTURE;
const PICTURE = path.join(ROOT, NEW_PICTURE.image);
const WAIT_MS = 60_000;
const TOLERANCE = 1e-4;
const DENO = '@deno/linux-x64-glibc/deno';
const inTools = (file) => path.join(WORK, 'node_modules', file);

const execute = promisify(execFile);
const { install } = await packed('frameworks');

/** Asks a page until it is so. @param {import('../browser/engines.js').Browser} browser @param {string} isSo */
async function until(browser, isSo) {
  for (const end = Date.now() + WAIT_MS; !(await browser.evaluate(`return ${isSo}`)); await sleep(100))
    if (Date.now() > end) assert.fail(`${isSo}: ${await browser.evaluate('return document.body.innerText + failed')}`);
}

/** Chooses a file as a visitor does. @param {import('../browser/engines.js').Browser} browser @param {string} input */
async function choose({ page }, input) {
  const element = /** @type {import('puppeteer-core').ElementHandle<HTMLInputElement>} */ (await page?.$(input));
  await element.uploadFile(PICTURE);
}

test('React and strict TypeScript, with Vite: one model in strict mode, none when all have left', async (t) => {
  const { folder, npm } = install('react');
  writeReact(folder);
  await npm();
  await run('tsc -p .', { cwd: folder });
  await run('vite build', { cwd: folder });
  const server = await startServer({ root: path.join(folder, 'dist') });
  t.after(() => server.close());
  const browser = await ENGINES.chromium();
  t.after(() => browser.close());
  const workers = () => browser.page?.workers().filter((worker) => /worker/.test(worker.url())).length;
  await browser.open(`${server.url}index.html`);
  await until(browser, "document.querySelector('#naming input:enabled') !== null");
  assert.equal(workers(), 1);
  await choose(browser, '#naming input');
  await until(browser, `document.querySelector('#naming').innerText.includes('${label}')`);
  await until(browser, `document.querySelector('#watching').innerText.includes('${label}')`);
  // Another array of the same names is nothing new.
  await browser.evaluate("document.querySelector('#again').click()");
  await until(browser, "document.querySelector('#again').innerText === '1'");
  assert.ok(await browser.evaluate("return document.querySelector('#naming input:enabled') !== null"));
  await browser.evaluate("document.querySelector('#leave').click()");
  for (const end = Date.now() + WAIT_MS; workers() && Date.now() < end;) await sleep(100);
  assert.equal(workers(), 0, 'the model is still there');
  assert.deepEqual(await browser.evaluate('return failed'), []);
});

test('SvelteKit, rendered on its server, which computes as well', async (t) => {
  const { folder, npm } = install('sveltekit');
  const node = inTools('node-22/bin/node');
  if (!existsSync(node)) return t.skip('SvelteKit needs Node 22');
  writeSvelte(folder);
  await npm();
  const env = { PATH: `${path.dirname(node)}:${inTools('.bin')}:${process.env.PATH}` };
  await run('vite build', { cwd: folder, env });
  const probe = createServer();
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (probe.address());
  await new Promise((resolve) => probe.close(resolve));
  const origin = `http://127.0.0.1:${port}`;
  const site = { PORT: `${port}`, HOST: '127.0.0.1', ORIGIN: origin, BODY_SIZE_LIMIT: '1M' };
  const server = spawn(node, ['build'], { cwd: folder, env: { ...process.env, ...site }, stdio: 'inherit' });
  t.after(() => server.kill());
  const ask = (address, options) => fetch(`${origin}${address}`, options).catch(() => null);
  let first;
  for (const end = Date.now() + WAIT_MS; !(first = await ask('/')) && Date.now() < end;) await sleep(100);
  assert.match(await /** @type {Response} */ (first).text(), /<input type="file" disabled/, 'it was not rendered');
  const headers = { 'content-type': 'image/jpeg', origin }; // as a page of it asks
  const named = await ask('/name', { method: 'POST', headers, body: new Uint8Array(readFileSync(PICTURE)) });
  assert.equal(await /** @type {Response} */ (named).text(), label);
  const browser = await ENGINES.chromium();
  t.after(() => browser.close());
  await browser.open(origin);
  await until(browser, "document.querySelector('input:enabled') !== null");
  await choose(browser, 'input');
  await until(browser, `document.body.innerText.includes('${label}')`);
  assert.deepEqual(await browser.evaluate('return failed'), []);
});

test("an import map, to a package on another site; also with Electron's flag for wide vectors", async (t) => {
  const { folder, npm } = install('plain');
  const packages = await startServer({ root: path.join(folder, 'node_modules') });
  t.after(() => packages.close());
  writePlain(folder, packages.url);
  await npm();
  const server = await startServer({ root: path.join(folder, 'page') });
  t.after(() => server.close());
  assert.notEqual(new URL(packages.url).origin, new URL(server.url).origin);
  for (const flags of [[], ['--js-flags=--experimental-wasm-revectorize']]) {
    const browser = await ENGINES.chromium(flags);
    try {
      await browser.open(`${server.url}index.html`);
      await until(browser, `document.body.innerText.includes('${label} ${label}')`);
      assert.deepEqual(await browser.evaluate('return failed'), []);
    } finally {
      await browser.close();
    }
  }
});

test("README's lines for the command line, from the package", async () => {
  const { folder, npm } = install('lines');
  writeFileSync(path.join(folder, 'package.json'), '{ "name": "app", "private": true }\n');
  await npm();
  for (const { image, label: name } of EXAMPLES) {
    mkdirSync(path.join(folder, 'pets', name), { recursive: true });
    cpSync(path.join(ROOT, image), path.join(folder, 'pets', name, path.basename(image)));
  }
  cpSync(PICTURE, path.join(folder, 'photo.jpg'));
  const lines = blocksOf('README.md', 'sh').flatMap((block) => block.match(/^npx mudpt [^#\n]*/gm) ?? []);
  // What downloads a model, or computes for an hour, is not run.
  const short = lines.filter((line) => !/--model|protocol/.test(line));
  assert.ok(short.length >= 6 && lines.length - short.length === 2, lines.join('\n'));
  const env = { MUDPT_CACHE: path.join(folder, 'cache') };
  for (const line of short) {
    const output = await run(line.replace('npx mudpt', 'npx --no-install mudpt'), { cwd: folder, env });
    if (/classify/.test(line)) assert.match(output, /photo\.jpg/);
  }
  const named = await run('npx --no-install mudpt classify photo.jpg --classifier pets-mudpt.safetensors --json', {
    cwd: folder,
    env,
  });
  assert.equal(JSON.parse(named).results[0].top[0].label, label);
});

describe('other runtimes, on two threads', () => {
  let folder, expected;
  const ask = async (program, ...args) => {
    const { stdout, stderr } = await execute(program, args, { cwd: folder });
    assert.equal(stderr, '', 'a thread could not be started');
    return JSON.parse(stdout);
  };
  before(async () => {
    const app = install('runtimes');
    ({ folder } = app);
    writeRuntimes(folder);
    await app.npm();
    expected = await ask(process.execPath, 'module.mjs');
    assert.deepEqual([expected.label, expected.threads], [label, 2]);
  });
  for (const [name, file, ...args] of [
    ['Deno', DENO, 'run', '-A', 'module.mjs'],
    ['Deno with what it is allowed', DENO, 'run', '--allow-read', '--allow-env', '--allow-sys', 'module.mjs'],
    ['Bun', '@oven/bun-linux-x64/bin/bun', 'module.mjs'],
    ['CommonJS, Node 20', 'node-20/bin/node', 'import.cjs'],
    ['CommonJS, require() in Node 22', 'node-22/bin/node', '--disable-warning=ExperimentalWarning', 'require.cjs'],
    ['CommonJS, require() in the newest Node', 'node-newest/bin/node', 'require.cjs'],
  ])
    test(name, async (t) => {
      if (!existsSync(inTools(file))) return t.skip('it is not there for this system');
      chmodSync(inTools(file), 0o755);
      const found = await ask(inTools(file), ...args);
      assert.deepEqual([found.threads, found.label], [2, label]);
      assert.ok(Math.abs(found.score - expected.score) < TOLERANCE, `${found.score}, in Node ${expected.score}`);
    });
});
