/** Asking for WebGPU where there may be none: the same results, and one line. What a device does: tests/webgpu. */
import assert from 'node:assert/strict';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { createCore } from '../../js/core/core.js';
import { Device } from '../../js/core/device.js';
import { loadClip } from '../../js/index.js';
import { loadModel } from '../../js/loading/model.js';
import { startDeviceThread } from '../../js/node/platform.js';
import { openSource } from '../../js/files/source.js';
import { ANSWER, CALL } from '../../js/webgpu/layout.js';
import { LAYOUT } from '../../js/webgpu/mailbox.js';
import { chooseTiles } from '../../js/webgpu/tuning.js';
import { PICTURES, TINY_A, scores, temporaryFolder } from './models.js';

const CLASSES = ['lines', 'noise'];

/** A thread that answers every call at once, as the function says. */
function threadThat(answer) {
  let mail;
  return {
    ended: false,
    calls: /** @type {number[]} */ ([]),
    postMessage({ open, call }) {
      if (open) {
        mail = new Int32Array(open.mailbox);
        queueMicrotask(() => this.onmessage({ data: { opened: { name: 'a made-up GPU', tiles: '' } } }));
      }
      if (call === undefined) return;
      this.calls.push(call);
      const { result, text = '' } = answer(call);
      const bytes = new TextEncoder().encode(text);
      new Uint8Array(mail.buffer, LAYOUT.text, bytes.length).set(bytes);
      mail[LAYOUT.length] = bytes.length;
      mail[LAYOUT.result] = result;
      Atomics.store(mail, LAYOUT.state, 0);
    },
    terminate() {
      this.ended = true;
    },
    onmessage: (_event) => {},
  };
}

describe('WebGPU that is not there', () => {
  test("'webgpu' tells why in one line, 'auto' in the model's info; the results are WebAssembly's", async (t) => {
    const warn = t.mock.method(console, 'warn', () => {});
    const open = t.mock.method(Device, 'open', () => Promise.reject(new Error('there is no adapter')));
    const results = [];
    for (const device of /** @type {const} */ (['wasm', 'webgpu', 'auto'])) {
      const clip = await loadClip(TINY_A, { device, threads: 1 });
      assert.equal(clip.info.device, 'wasm');
      assert.equal(clip.info.adapter, '');
      assert.equal(clip.info.whyWasm, device === 'wasm' ? '' : 'there is no adapter');
      results.push(await scores(await clip.zeroShot(CLASSES), PICTURES.slice(0, 2)));
      await clip.dispose();
    }
    assert.equal(open.mock.callCount(), 2);
    assert.deepEqual(results[1], results[0]);
    assert.deepEqual(results[2], results[0]);
    assert.deepEqual(
      warn.mock.calls.map(({ arguments: [line] }) => line),
      ['mudpt computes in WebAssembly: there is no adapter'],
    );
  });

  test('this platform as it is: a device, or the reason', async () => {
    const core = await createCore({ threads: 1 });
    const opened = await Device.open(core.memory.module.wasmMemory).catch((error) => error);
    if (opened instanceof Device) opened.close();
    else assert.match(opened.message, /^(the package webgpu is not installed|there is no adapter)/);
    core.dispose();
  });
});

describe('a device that fails', () => {
  /** A core on such a device, with the same model as a core without one. */
  async function withThread(answer) {
    const thread = threadThat(answer);
    const core = await createCore({ threads: 1 });
    core.memory.useDevice(await Device.open(core.memory.module.wasmMemory, { thread }));
    return { thread, core };
  }
  /** Features of some pixels. */
  async function features(core) {
    const { clip, config } = await loadModel(core, await openSource(TINY_A));
    const classifier = core.classifierCreate(clip, { method: 'zeroshot' }, null, 2);
    core.classifierSetTextFeatures(classifier, new Float32Array(2 * config.embed).fill(1));
    const pixels = Float32Array.from({ length: 3 * config.image ** 2 }, (_, i) => Math.sin(i));
    return core.classifierLogits(classifier, pixels).features;
  }

  test('at a call: one line, the same bits, and it is never asked again', async (t) => {
    const warn = t.mock.method(console, 'warn', () => {});
    const plain = await createCore({ threads: 1 });
    const right = await features(plain);
    const { thread, core } = await withThread(() => ({ result: -1, text: 'the device was lost (a test)' }));
    assert.deepEqual(await features(core), right);
    assert.deepEqual(await features(core), right);
    assert.deepEqual(thread.calls.length, 1);
    assert.ok(thread.ended);
    assert.deepEqual(
      warn.mock.calls.map(({ arguments: [line] }) => line),
      ['mudpt goes on in WebAssembly: the device was lost (a test)'],
    );
    for (const each of [plain, core]) each.dispose();
  });

  /** The library's thread on a GPU that computes nothing. @param {string} options of makeGpu */
  const threadOn = (options) => {
    const gpu = new URL('../../bench/counting-gpu.js', import.meta.url).href;
    const module = `import { makeGpu } from ${JSON.stringify(gpu)}; export const create = () => makeGpu(${options});`;
    return startDeviceThread(`data:text/javascript,${encodeURIComponent(module)}`);
  };

  for (const [kind, why] of [
    ['out-of-memory', 'the device is out of memory'],
    ['validation', 'a made-up validation'],
  ]) {
    test(`${kind}, in the middle of a call: the same bits, and one line`, async (t) => {
      const warn = t.mock.method(console, 'warn', () => {});
      const plain = await createCore({ threads: 1 });
      const right = await features(plain);
      // While weights are uploaded, four and a list of vectors a block; when the tower is made; and when it has run.
      for (const patience of [0, 7, 15, 16]) {
        const core = await createCore({ threads: 1 });
        const thread = threadOn(`{ patience: ${patience}, kind: '${kind}' }`);
        core.memory.useDevice(await Device.open(core.memory.module.wasmMemory, { thread, tiles: 'small' }));
        assert.deepEqual(await features(core), right, `${patience}`);
        assert.equal(core.memory.device?.lost, why);
        core.dispose();
      }
      assert.deepEqual(
        warn.mock.calls.map(({ arguments: [line] }) => line),
        Array(4).fill(`mudpt goes on in WebAssembly: ${why}`),
      );
      plain.dispose();
    });
  }

  test('that does not even open: the reason, after a while', async () => {
    const core = await createCore({ threads: 1 });
    const thread = { ended: false, postMessage() {}, terminate: () => (thread.ended = true) };
    const opened = Device.open(core.memory.module.wasmMemory, { thread, patience: 50 });
    await assert.rejects(opened, /^Error: the WebGPU device did not answer within 0.05 s$/);
    assert.ok(thread.ended);
    core.dispose();
  });

  test('that answers too late: what it says is not written any more', async (t) => {
    const warn = t.mock.method(console, 'warn', () => {});
    const plain = await createCore({ threads: 1 });
    const core = await createCore({ threads: 1 });
    const thread = threadOn('{ delay: 600 }');
    const options = { thread, tiles: 'small', patience: 300 };
    core.memory.useDevice(await Device.open(core.memory.module.wasmMemory, options));
    assert.deepEqual(await features(core), await features(plain));
    assert.equal(core.memory.device?.lost, 'the WebGPU device did not answer within 0.3 s');
    const before = Buffer.from(new Uint8Array(core.memory.buffer).slice());
    await sleep(900);
    assert.ok(before.equals(new Uint8Array(core.memory.buffer)));
    assert.equal(warn.mock.callCount(), 1);
    for (const each of [plain, core]) each.dispose();
  });

  test('or that is closed gives back what it has', { timeout: 60_000 }, async () => {
    const core = await createCore({ threads: 1 });
    const channel = new BroadcastChannel('mudpt-test-gpu');
    const destroyed = new Promise((resolve) => (channel.onmessage = resolve));
    const tell = "{ const channel = new BroadcastChannel('mudpt-test-gpu'); channel.postMessage(1); channel.close(); }";
    const thread = threadOn(`{ destroyed() ${tell} }`);
    const device = await Device.open(core.memory.module.wasmMemory, { thread, tiles: 'small' });
    device.close();
    await destroyed;
    channel.close();
    core.dispose();
  });

  test('products have the tiles that were the fastest, which is remembered', async (t) => {
    const before = process.env.MUDPT_CACHE;
    t.after(() => (before === undefined ? delete process.env.MUDPT_CACHE : (process.env.MUDPT_CACHE = before)));
    const folder = await temporaryFolder();
    const core = await createCore({ threads: 1 });
    const tilesOf = async (cache) => {
      process.env.MUDPT_CACHE = cache;
      const device = await Device.open(core.memory.module.wasmMemory, { thread: threadOn('{}') });
      device.close();
      return device.tiles;
    };
    const measured = await tilesOf(folder);
    const [place] = await readdir(folder);
    const files = await readdir(path.join(folder, place));
    assert.equal(files.length, 1, `${files}`);
    const file = path.join(folder, place, files[0]);
    assert.equal(await readFile(file, 'utf8'), measured);
    await writeFile(file, 'large');
    assert.equal(await tilesOf(folder), 'large');
    await writeFile(file, '{"broken'); // measured again, and mended
    assert.match(await tilesOf(folder), /^(small|medium|large|direct)$/);
    assert.match(await readFile(file, 'utf8'), /^(small|medium|large|direct)$/);
    assert.match(await tilesOf(path.join(file, 'no folder')), /^(small|medium|large|direct)$/);
    core.dispose();
  });

  test('tiles that compute otherwise than the first are not taken, however fast', async () => {
    const prepare = (wrong) => async (_rows, _times, name) => ({
      async run() {
        await sleep(name === 'small' ? 30 : 1);
        return [new Uint8Array(Float32Array.of(3, name === wrong ? -2 : -1).buffer)];
      },
      free() {},
    });
    assert.equal(await chooseTiles('made up', ['small', 'large'], prepare('')), 'large');
    assert.equal(await chooseTiles('made up', ['small', 'large'], prepare('large')), 'small');
  });

  test('tiles that there are not: there is no device', async () => {
    const core = await createCore({ threads: 1 });
    const opened = Device.open(core.memory.module.wasmMemory, { thread: threadOn('{}'), tiles: 'subgroups' });
    await assert.rejects(opened, /^Error: products have small,medium,large,direct, not subgroups$/);
    core.dispose();
  });

  test('a limit that is too small: there is no device', async () => {
    const core = await createCore({ threads: 1 });
    const opened = Device.open(core.memory.module.wasmMemory, { thread: threadOn('{ largest: 2 ** 19 }') });
    await assert.rejects(opened, /^Error: a buffer of \d+ bytes is above the adapter's limit, 524288$/);
    core.dispose();
  });

  test('that declines every call leaves everything as it is', async () => {
    const plain = await createCore({ threads: 1 });
    const { thread, core } = await withThread(() => ({ result: ANSWER.NO }));
    assert.deepEqual(await features(core), await features(plain));
    assert.ok(thread.calls.includes(CALL.FORWARD));
    assert.ok(!thread.ended);
    for (const each of [plain, core]) each.dispose();
    assert.ok(thread.ended);
  });
});
