/** WebGPU in Node: the package `webgpu`, over the driver that VK_DRIVER_FILES names. ./run test webgpu sets it up. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { Device } from '../../js/core/device.js';
import { loadClip } from '../../js/index.js';
import { floatsOf, headerOf } from '../../js/loading/safetensors.js';
import { EXAMPLES, MODEL, TUNING } from '../browser/task.js';
import { temporaryFolder } from '../node/models.js';
import { casesOf } from './cases.js';

const inTree = (file) => path.join(path.resolve(import.meta.dirname, '../..'), file);

for (const [name, run] of Object.entries(casesOf(inTree, ['direct', 'subgroups']))) {
  test(name, async (t) => {
    const told = await run();
    if (told) t.diagnostic(told);
  });
}

/** All values of a saved classifier. @param {Uint8Array} bytes */
const valuesOf = (bytes) => headerOf(bytes, 'a classifier').tensors.map((tensor) => floatsOf(bytes, tensor));

test('a run of the library whose device is lost goes on', async (t) => {
  const examples = EXAMPLES.slice(0, 6).map((example) => ({ ...example, image: inTree(example.image) }));
  const classes = TUNING.classes.slice(0, 2);
  const run = async (device, onStep) => {
    const clip = await loadClip(inTree(MODEL), { device });
    assert.equal(clip.info.device, device);
    const job = clip.tune({ ...TUNING, classes, examples, batchSize: 3 });
    let steps = 0;
    for await (const step of job) {
      steps = step.step;
      onStep?.(steps);
    }
    const bytes = await (await job.finished).export();
    await clip.dispose();
    return { steps, values: valuesOf(bytes) };
  };
  const right = await run('wasm');
  const { open } = Device;
  const warn = t.mock.method(console, 'warn', () => {});
  let device;
  Device.open = async (...args) => (device = await open.apply(Device, args));
  t.after(() => (Device.open = open));
  const got = await run('webgpu', (step) => step === 2 && device.destroy());
  assert.match(device.lost, /lost/);
  assert.deepEqual(
    warn.mock.calls.map(({ arguments: [line] }) => line),
    [`mudpt goes on in WebAssembly: ${device.lost}`],
  );
  assert.equal(got.steps, right.steps);
  right.values.forEach((values, i) => {
    const most = Math.max(...values.map(Math.abs));
    values.forEach((value, k) => assert.ok(Math.abs(value - got.values[i][k]) <= 1e-3 * most));
  });
});

test('a device that is lost while a model loads: WebAssembly, and one line', async (t) => {
  const warn = t.mock.method(console, 'warn', () => {});
  const { open } = Device;
  t.mock.method(Device, 'open', async (...args) => {
    const device = await open.apply(Device, args);
    device.destroy();
    return device;
  });
  const clip = await loadClip(inTree(MODEL), { device: 'webgpu' });
  assert.equal(clip.info.device, 'wasm');
  assert.match(clip.info.whyWasm, /lost/);
  assert.deepEqual(
    warn.mock.calls.map(({ arguments: [line] }) => line),
    [`mudpt computes in WebAssembly: ${clip.info.whyWasm}`],
  );
  await clip.dispose();
});

test('no driver, as where WebGPU is blocked: the same bits as without, and one line', async () => {
  const file = path.join(await temporaryFolder(), 'classify.mjs');
  await writeFile(
    file,
    `
    import { loadClip } from ${JSON.stringify(inTree('js/index.js'))};
    const clip = await loadClip(${JSON.stringify(inTree(MODEL))}, { device: process.argv[2] });
    const zeroShot = await clip.zeroShot(['angry face', 'clown face']);
    const best = await zeroShot.classify(${JSON.stringify(inTree(EXAMPLES[0].image))});
    console.log(JSON.stringify({ best, device: clip.info.device, why: clip.info.whyWasm }));
    await clip.dispose();`,
  );
  const env = { ...process.env, VK_DRIVER_FILES: '/nonexistent', VK_ICD_FILENAMES: '/nonexistent' };
  const ask = async (device) => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [file, device], { env });
    const lines = stderr.split('\n').filter((line) => line.startsWith('mudpt'));
    return { ...JSON.parse(stdout), lines };
  };
  const [right, got] = [await ask('wasm'), await ask('webgpu')];
  assert.deepEqual(got.best, right.best);
  assert.deepEqual([got.device, got.why], ['wasm', 'there is no adapter']);
  assert.deepEqual(got.lines, ['mudpt computes in WebAssembly: there is no adapter']);
});
