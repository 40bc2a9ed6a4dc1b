/**
 * Who owns what: garbage collection is forced, and it is counted what is left. What was disposed of is gone, what was
 * forgotten is freed, of models with one line, what is in use stays, and nothing is freed twice.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { cp, truncate } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { Memory } from '../../js/core/memory.js';
import { loadClip } from '../../js/index.js';
import { Connection } from '../../js/worker/connection.js';
import { RemoteClip } from '../../js/worker/remote.js';
import { PICTURES, TINY_A, WAYS, isError, named, temporaryFolder } from './models.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
/** Collections after which what is still there is taken to stay, where it should be gone and where it should stay. */
const [MOST_ROUNDS, SOME_ROUNDS] = [100, 8];

/**
 * Collects garbage, and gives what waits for that its turn, until it is so.
 * @param {() => boolean} isSo
 * @param {number} [rounds]
 */
async function until(isSo, rounds = MOST_ROUNDS) {
  const turn = () => new Promise((resolve) => setTimeout(resolve, 1));
  for (let round = 0; round < rounds && !isSo(); round++) {
    await turn(); // a WeakRef that was asked keeps its object until then
    collect();
    await turn();
  }
  return isSo();
}

const aWhile = () => until(() => false, SOME_ROUNDS);

const [CLASSES, OTHERS] = [
  ['cat', 'sail boat', 'x'],
  ['tree', 'car', 'hat'],
];
const EXAMPLES = PICTURES.slice(0, 6).map((image, i) => ({ image, label: i % 3 }));
const SHORT = { classes: CLASSES, examples: EXAMPLES, promptLength: 2, epochs: 1, batchSize: 2 };
const GONE = isError('state', /^this classifier has been disposed of/);

/** Handles of one module that are not freed yet, by what they are of; `wrong`: freed without being there. */
class Handles {
  live = { clip: new Set(), classifier: new Set(), trainer: new Set(), image: new Set() };
  made = 0;
  wrong = [];

  constructor(module) {
    /** Puts a function in place of another, which may replace itself at its first call. */
    const wrap = (name, wrapper) => {
      let inner = module[name];
      const outer = (...args) => wrapper(inner, args);
      Object.defineProperty(module, name, { get: () => outer, set: (value) => (inner = value) });
    };
    const makers = { clip: ['create'], classifier: ['create'], trainer: ['create'], image: ['decode', 'from_pixels'] };
    for (const [kind, names] of Object.entries(makers)) {
      for (const name of names) {
        wrap(`_mudpt_${kind}_${name}`, (make, args) => {
          const code = make(...args);
          if (code) return code;
          this.live[kind].add(new DataView(module.wasmMemory.buffer).getUint32(args.at(-1), true));
          this.made++;
          return code;
        });
      }
      wrap(`_mudpt_${kind}_free`, (free, [handle]) => {
        if (handle && !this.live[kind].delete(handle)) this.wrong.push(`${kind} ${handle}`);
        free(handle);
      });
    }
  }

  /** How many there are. */
  get counts() {
    return Object.fromEntries(Object.entries(this.live).map(([kind, handles]) => [kind, handles.size]));
  }
}

/**
 * What `action` loads, watched: the handles of every module, and its memory, held weakly.
 * @template T
 * @param {() => Promise<T>} action
 * @returns {Promise<{ result: T, handles: Handles, memory: WeakRef<WebAssembly.Memory> }>} of the last one
 */
async function watched(action) {
  const { handle } = Memory.prototype;
  /** @type {any} */
  let module = null;
  let handles;
  Memory.prototype.handle = function (call) {
    if (this.module !== module) handles = new Handles((module = this.module));
    return handle.call(this, call);
  };
  try {
    const result = await action();
    return { result, handles: /** @type {any} */ (handles), memory: new WeakRef(module.wasmMemory) };
  } finally {
    Memory.prototype.handle = handle;
  }
}

/** What `console.warn` is told meanwhile. @param {import('node:test').TestContext} t */
function warnings(t) {
  const told = [];
  t.mock.method(console, 'warn', (...words) => told.push(words.join(' ')));
  return told;
}

describe('disposed of', () => {
  for (const way of WAYS) {
    test(`a model is gone, whatever still refers to it: ${named(way)}`, async (t) => {
      const told = warnings(t);
      const load = () => watched(() => loadClip(TINY_A, way));
      const { result: clip, memory } = await load();
      const job = clip.tune(SHORT);
      const kept = [clip, job, await job.finished, await clip.zeroShot(CLASSES)];
      assert.ok(memory.deref());
      await clip.dispose();
      assert.ok(await until(() => !memory.deref()), 'its memory is still there');
      assert.equal(kept.length, 4);
      assert.deepEqual(told, []);
    });
  }

  test('a load that fails leaves neither memory nor open files', async (t) => {
    const isLinux = process.platform === 'linux';
    const openFiles = () => (isLinux ? readdirSync('/proc/self/fd').length : 0);
    const folder = path.join(await temporaryFolder(), 'model');
    await cp(TINY_A, folder, { recursive: true });
    await truncate(path.join(folder, 'model.safetensors'), 20_000);
    await (await loadClip(TINY_A, WAYS[3])).dispose();
    const { Memory: Own } = WebAssembly;
    t.after(() => (WebAssembly.Memory = Own));
    const memories = [];
    WebAssembly.Memory = /** @type {any} */ (
      function (wanted) {
        const memory = new Own(wanted);
        memories.push(new WeakRef(memory));
        return memory;
      }
    );
    const before = openFiles();
    const abort = new AbortController();
    const onProgress = () => abort.abort();
    await assert.rejects(loadClip(folder, { ...WAYS[3], tokens: 'needed' }), isError('model', /cut short/));
    await assert.rejects(loadClip(TINY_A, { ...WAYS[1], signal: abort.signal, onProgress }), { name: 'AbortError' });
    assert.equal(memories.length, 2);
    assert.ok(await until(() => memories.every((memory) => !memory.deref())), 'memory is still there');
    assert.ok(await until(() => openFiles() <= before), `${openFiles()} files are open, ${before} were before`);
  });

  test('every handle is given back, whatever becomes of a call', async () => {
    const { result: clip, handles } = await watched(() => loadClip(TINY_A, WAYS[3]));
    const none = { clip: 1, classifier: 0, trainer: 0, image: 0 };
    assert.deepEqual(handles.counts, none);
    const classifier = await clip.tune({ ...SHORT, validation: EXAMPLES }).finished;
    assert.deepEqual(handles.counts, { ...none, classifier: 1 });
    const saved = await classifier.export({ raw: true });
    const bad = { image: new Uint8Array(64), label: 0 };
    const [abort, reason] = [new AbortController(), new Error('enough')];
    abort.abort(reason);
    const wide = await clip.import(saved).then((again) => again.withClasses(['boat']).finally(() => again.dispose()));
    await classifier.attention(PICTURES[0]);
    await classifier.evaluate([...EXAMPLES, bad], { onBroken: () => {} });
    await clip.plan({ classes: CLASSES });
    for (const failing of [
      classifier.classify(bad.image),
      classifier.evaluate([bad]),
      clip.zeroShot(CLASSES, { signal: abort.signal }),
      clip.zeroShot(['w '.repeat(400)]),
      clip.import(saved.slice(0, -8)),
      clip.tune({ ...SHORT, examples: [...EXAMPLES, bad], batchSize: 3 }).finished,
      clip.tune({ ...SHORT, memoryLimit: 1000 }).finished,
      clip.tune({ ...SHORT, signal: abort.signal }).finished,
      clip.tune({ ...SHORT, resume: saved }).finished,
    ])
      await assert.rejects(failing);
    const ended = new AbortController();
    const aborted = clip.tune({ ...SHORT, epochs: 50, signal: ended.signal });
    for await (const { step } of aborted) {
      if (step === 2) ended.abort(reason);
      if (step === 2) break;
    }
    await assert.rejects(aborted.finished, reason);
    const far = clip.tune({ ...SHORT, learningRate: 1000, epochs: 30 }); // may become infinite
    await far.finished.catch(() => {});
    const stopped = clip.tune({ ...SHORT, epochs: 50 });
    stopped.stop();
    for (const left of [classifier, wide, far.classifier, await stopped.finished]) await left?.dispose();
    assert.deepEqual(handles.counts, none);
    assert.ok(handles.made > 20, `${handles.made} handles`);
    assert.deepEqual(handles.wrong, []);
    await clip.dispose();
  });

  test('a classifier answers no more, whoever has its memory now', async () => {
    const { result: clip, handles } = await watched(() => loadClip(TINY_A, WAYS[1]));
    const job = clip.tune(SHORT);
    const gone = [await clip.zeroShot(CLASSES), await job.finished];
    gone.push(await clip.import(await gone[1].export()));
    const before = new Set(handles.live.classifier);
    await Promise.all(gone.flatMap((classifier) => [classifier.dispose(), classifier.dispose()]));
    const next = [await clip.zeroShot(OTHERS), await clip.tune({ ...SHORT, classes: OTHERS }).finished];
    assert.ok(
      [...handles.live.classifier].some((handle) => before.has(handle)),
      'no address is used again',
    );
    for (const classifier of gone) {
      await assert.rejects(classifier.classify(PICTURES[0]), GONE);
      await assert.rejects(classifier.evaluate(EXAMPLES), GONE);
      await assert.rejects(classifier.attention(PICTURES[0]), GONE);
      await assert.rejects(classifier.export(), GONE);
      await assert.rejects(classifier.nearestWords(), GONE);
      await assert.rejects(classifier.withClasses(['y']), GONE);
      await classifier.dispose(); // does nothing
    }
    await assert.rejects(job.checkpoint(), GONE);
    for (const classifier of next) {
      const best = await classifier.classify(PICTURES[0]);
      assert.deepEqual(best.map(({ label }) => label).sort(), [...OTHERS].sort());
    }
    assert.deepEqual(handles.wrong, []);
    await clip.dispose();
  });
});

describe('forgotten', () => {
  test('classifiers and runs are freed, and memory does not grow', async (t) => {
    const told = warnings(t);
    const { result: clip, handles } = await watched(() => loadClip(TINY_A, WAYS[3]));
    const many = Array.from({ length: 2000 }, (_, i) => `thing ${i}`);
    const round = async () => {
      await clip.zeroShot(many);
      const saved = await (await clip.tune(SHORT).finished).export();
      await clip.import(saved);
      clip.tune(SHORT).stop();
      for await (const { step } of clip.tune({ ...SHORT, epochs: 2 })) if (step > 1) break; // it goes on by itself
    };
    await round();
    assert.ok(handles.counts.classifier >= 3);
    const none = { clip: 1, classifier: 0, trainer: 0, image: 0 };
    const isEmpty = () => Object.entries(none).every(([kind, count]) => handles.counts[kind] === count);
    assert.ok(await until(isEmpty), JSON.stringify(handles.counts));
    const { memoryBytes } = clip;
    for (let i = 0; i < 8; i++) {
      await round();
      await until(isEmpty);
    }
    assert.deepEqual(handles.counts, none);
    assert.equal(clip.memoryBytes, memoryBytes);
    assert.deepEqual([handles.wrong, told], [[], []]);
    await clip.dispose();
  });

  test('what was disposed of before is not freed again: its memory is the next one’s', async () => {
    const { result: clip, handles } = await watched(() => loadClip(TINY_A, WAYS[1]));
    const address = await (async () => {
      const gone = await clip.zeroShot(CLASSES);
      const [handle] = handles.live.classifier;
      await gone.dispose();
      return handle;
    })();
    const next = await clip.zeroShot(CLASSES);
    assert.deepEqual([...handles.live.classifier], [address], 'no address is used again');
    await aWhile();
    assert.deepEqual([...handles.live.classifier], [address]);
    assert.equal((await next.classify(PICTURES[0])).length, 3);
    await clip.dispose();
  });

  test('a classifier is not freed while it is asked, or held by its run', async (t) => {
    const { result: clip, handles } = await watched(() => loadClip(TINY_A, WAYS[1]));
    /** @type {(() => void)[]} */
    const asked = [];
    const server = createServer((_, response) => asked.push(() => response.end(readFileSync(PICTURES[0]))));
    t.after(() => server.close());
    await new Promise((resolve) => server.listen(0, () => resolve(undefined)));
    const address = `http://localhost:${/** @type {any} */ (server.address()).port}/a.png`;
    const answers = await (async () => {
      const classifier = await clip.zeroShot(CLASSES);
      const examples = [{ image: address, label: 0 }];
      return [classifier.classify(address), classifier.evaluate(examples), classifier.attention(address)];
    })();
    await aWhile();
    assert.equal(handles.counts.classifier, 1);
    while (asked.length < 3) await new Promise((resolve) => setTimeout(resolve, 2));
    for (const answer of asked) answer();
    const [best, { accuracy }, { patches }] = await Promise.all(/** @type {any[]} */ (answers));
    assert.ok(best.length === 3 && accuracy >= 0 && patches.length);
    const job = clip.tune(SHORT);
    await job.finished;
    await aWhile();
    assert.ok((await job.checkpoint()).length > 100);
    await clip.dispose();
  });

  for (const [i, way] of [WAYS[1], WAYS[0]].entries()) {
    test(`a model ends once nothing of it is left, with a line the first time: ${named(way)}`, async (t) => {
      const told = warnings(t);
      const held = await watched(async () => (await loadClip(TINY_A, way)).zeroShot(CLASSES));
      await aWhile();
      assert.equal((await held.result.classify(PICTURES[0])).length, 3);
      assert.deepEqual(told, []);
      held.result = /** @type {any} */ (null);
      assert.ok(await until(() => !held.memory.deref()), 'its memory is still there');
      assert.equal(told.length, i ? 0 : 1);
      if (!i)
        assert.match(told[0], /^mudpt: nothing uses the model \S*model any more, .* its \d+ MB and .* dispose\(\)/);
    });
  }
});

describe('in a page', () => {
  /** A model whose worker answers nothing by itself. */
  function remote() {
    const [told, sent, ended] = [/** @type {any} */ ({}), /** @type {any[]} */ ([]), { worker: false }];
    const worker = {
      addEventListener: (type, listener) => (told[type] = listener),
      postMessage: (message) => sent.push(message),
      terminate: () => (ended.worker = true),
    };
    const connection = new Connection(() => /** @type {any} */ (worker), false);
    const clip = new RemoteClip(connection, { number: 0, values: { info: { name: 'x' }, methods: [] } });
    const answer = (result) => told.message({ data: { call: sent.at(-1).call, result, memoryBytes: 5e6 } });
    const isDisposed = (number) => sent.some(({ method, target }) => method === 'dispose' && target === number);
    return { clip, sent, ended, answer, isDisposed };
  }
  const classifier = (number) => ({ type: 'Classifier', number, values: { classes: CLASSES } });

  test('the worker frees classifiers that the page has forgotten, and ends with the last of them', async () => {
    /** @type {any} what the page has; nothing else may, this function's variables neither */
    const page = {};
    const { ended, answer, isDisposed, sent } = (() => {
      const { clip, ...rest } = remote();
      page.clip = clip;
      return rest;
    })();
    await (async () => {
      const forgotten = page.clip.zeroShot(CLASSES);
      answer(classifier(-1));
      await forgotten;
      const kept = page.clip.zeroShot(CLASSES);
      answer(classifier(-2));
      page.classify = (await kept).classify; // has its object
      page.job = page.clip.tune(SHORT);
      answer(classifier(-3));
      await page.job.finished;
    })();
    assert.ok(await until(() => isDisposed(-1)));
    page.clip = null;
    await aWhile();
    assert.deepEqual([-2, -3].map(isDisposed), [false, false]);
    page.classify(PICTURES[0]).catch(() => {});
    assert.deepEqual([sent.at(-1).method, sent.at(-1).target], ['classify', -2]);
    answer([]);
    page.classify = null;
    assert.ok(await until(() => isDisposed(-2)));
    assert.ok(!isDisposed(-3) && !ended.worker);
    page.job = null;
    assert.ok(await until(() => ended.worker));
  });

  test('a model whose answer is waited for is in use', async () => {
    const { ended, answer, pending, isDisposed } = (() => {
      const { clip, ...rest } = remote();
      return { ...rest, pending: clip.zeroShot(CLASSES) };
    })();
    await aWhile();
    assert.ok(!ended.worker);
    answer(classifier(-1));
    assert.equal((await pending).classes.length, 3);
    assert.ok(!isDisposed(-1));
  });
});
