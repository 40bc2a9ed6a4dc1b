/**
 * WebGPU in browsers: all cases in Chromium over its software adapter; the library as a page uses it there, and where
 * there is no WebGPU, as in Firefox and WebKitGTK or where a page is not isolated: the same results, and one line.
 */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { build } from 'esbuild';

import { loadClip } from '../../js/index.js';
import { ENGINES } from '../browser/engines.js';
import { serve } from '../browser/server.js';
import { CLASSES, EXAMPLES, MODEL, TESTS, TUNING, scoresOf } from '../browser/task.js';
import { casesOf } from './cases.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
const inTree = (file) => path.join(ROOT, file);
const ADAPTER = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'];

/** What WebAssembly gives here. */
async function expectedScores() {
  const clip = await loadClip(inTree(MODEL));
  const at = (examples) => examples.map((example) => ({ ...example, image: inTree(example.image) }));
  const images = at(TESTS)
    .map(({ image }) => image)
    .slice(0, 2);
  const zeroShot = await scoresOf(await clip.zeroShot(CLASSES), images);
  const job = clip.tune({ ...TUNING, examples: at(EXAMPLES), augment: false, epochs: 1 });
  const tuned = await scoresOf(await job.finished, images);
  await clip.dispose();
  return { zeroShot, meanwhile: zeroShot, tuned };
}

const expected = await expectedScores();

function requireScores(got, tolerance) {
  for (const part of ['zeroShot', 'meanwhile', 'tuned']) {
    expected[part].flat().forEach((score, i) => {
      const off = Math.abs(score - got[part].flat()[i]);
      assert.ok(off <= tolerance, `${part}: ${got[part]}, ${expected[part]} are right`);
    });
  }
}

/** @param {string} engine @param {boolean} isolated @param {string[]} [flags] */
async function openPage(t, engine, isolated, flags) {
  const browser = await ENGINES[engine](flags);
  t.after(() => browser.close());
  const server = await serve({ isolated });
  t.after(() => server.close());
  await browser.open(`${server.url}tests/webgpu/page.html`);
  return browser;
}

test('chromium', async (t) => {
  const parts = { name: 'node-parts', setup };
  function setup(plugin) {
    plugin.onResolve({ filter: /^node:(fs|path)$/ }, () => ({ path: inTree('tests/webgpu/node-parts.js') }));
  }
  await build({
    entryPoints: [inTree('tests/webgpu/worker.js')],
    outfile: inTree('build/webgpu/cases.js'),
    ...{ bundle: true, format: 'esm', plugins: [parts], logLevel: 'error' },
  });
  const browser = await openPage(t, 'chromium', true, ADAPTER);
  await t.test('the library in a page', async (pageTest) => {
    const got = await browser.evaluate("return runTask('webgpu')");
    assert.deepEqual([got.used, got.whyWasm, got.lines], ['webgpu', '', []]);
    assert.match(got.adapter, /\w/);
    requireScores(got, 1e-3);
    pageTest.diagnostic(got.adapter);
    const kept = await browser.evaluate("return (await (await caches.open('mudpt-webgpu-1')).keys()).length");
    assert.equal(kept, 1, 'the choice of tiles is remembered');
  });
  for (const name of Object.keys(casesOf(inTree, []))) {
    await t.test(name, async (caseTest) => {
      const { fault, told } = await browser.evaluate(`return runCase(${JSON.stringify(name)})`);
      assert.equal(fault, '');
      if (told) caseTest.diagnostic(told);
    });
  }
});

test('chromium, not isolated: the stack waits for the device (JSPI)', async (t) => {
  const browser = await openPage(t, 'chromium', false, ADAPTER);
  const got = await browser.evaluate("return runTask('webgpu')");
  assert.deepEqual([got.used, got.whyWasm], ['webgpu', '']);
  requireScores(got, 1e-3);
});

test('chromium, isolated, in the page itself, which may not sleep: the stack waits there, too', async (t) => {
  const browser = await openPage(t, 'chromium', true, ADAPTER);
  const got = await browser.evaluate("return runTask('webgpu', { worker: false, threads: 2 })");
  assert.deepEqual([got.used, got.whyWasm], ['webgpu', '']);
  requireScores(got, 1e-3);
});

/** What a page is told where there is no device. */
const WITHOUT = {
  'chromium, not isolated, without an adapter': ['chromium', false, [], /no WebGPU|no adapter/],
  'chromium without an adapter': ['chromium', true, ['--disable-features=WebGPU'], /no WebGPU|no adapter/],
  firefox: ['firefox', true, undefined, /no WebGPU|no adapter/],
  'firefox, in the page itself': ['firefox', true, undefined, /this thread cannot wait|no WebGPU|no adapter/, false],
  webkit: ['webkit', true, undefined, /not cross-origin isolated, and this browser has no JSPI|no WebGPU/],
};
for (const [name, [engine, isolated, flags, why, worker]] of Object.entries(WITHOUT)) {
  test(`${name}: WebAssembly, and one line that says why`, async (t) => {
    const browser = await openPage(t, engine, isolated, flags);
    const got = await browser.evaluate(`return runTask('webgpu', { worker: ${worker} })`);
    assert.equal(got.used, 'wasm');
    assert.match(got.whyWasm, why);
    requireScores(got, 1e-4);
  });
}
