/** Several pictures in one call, and pictures that go on: in their order, named by their place, never in a row. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { watch } from '../../js/classifier/watch.js';
import { loadClip } from '../../js/index.js';
import { PICTURES, TINY_A, isError } from './models.js';

const CLASSES = ['cat', 'sail_boat', 'x'];
/** More than go through the tower at once. */
const MANY = [...PICTURES, ...PICTURES].slice(0, 11);
const GONE = '/nowhere/picture.png';
const EXAMPLES = PICTURES.slice(0, 6).map((image, i) => ({ image, label: i % 3 }));

describe('several pictures', () => {
  let clip;
  /** @type {Record<string, any>} */
  const classifiers = {};
  before(async () => {
    clip = await loadClip(TINY_A, { threads: 1 });
    const tuning = { classes: CLASSES, examples: EXAMPLES, epochs: 1 };
    classifiers['zero-shot'] = await clip.zeroShot(CLASSES);
    classifiers.mudpt = await clip.tune(tuning).finished;
    classifiers.cocoop = await clip.tune({ ...tuning, method: 'cocoop' }).finished;
    classifiers.instant = await clip.tune({ preset: 'instant', classes: CLASSES, examples: EXAMPLES, head: 'tip' })
      .finished;
    for (const name of ['zero-shot', 'mudpt']) await classifiers[name].calibrate(EXAMPLES);
  });
  after(() => clip.dispose());

  for (const name of ['zero-shot', 'mudpt', 'cocoop', 'instant'])
    test(`${name}: what each is answered with alone, in their order`, async () => {
      const classifier = classifiers[name];
      const all = await classifier.classify(MANY, { topK: 2 });
      assert.equal(all.length, MANY.length);
      for (const [i, image] of MANY.entries())
        assert.deepEqual(all[i], await classifier.classify(image, { topK: 2 }), `picture ${i}`);
      assert.deepEqual(await classifier.classify(new Set(MANY.slice(0, 2)), { topK: 2 }), all.slice(0, 2));
      assert.deepEqual(await classifier.classify([]), []);
    });

  for (const [name, options] of /** @type {const} */ ([
    ['zero-shot', { calibrated: true }],
    ['mudpt', { none: true }],
    ['mudpt', { none: true, calibrated: true, topK: 1 }],
    ['instant', { none: true }],
  ]))
    test(`${name}, ${JSON.stringify(options)}: as alone, and null for those that cannot be read`, async () => {
      const classifier = classifiers[name];
      const images = [MANY[0], GONE, ...MANY.slice(1, 9), Uint8Array.of(1, 2)];
      const told = [];
      const all = await classifier.classify(images, { ...options, onBroken: (broken) => told.push(broken) });
      assert.deepEqual(
        told.map(({ index, list, code }) => [index, list, code]),
        [
          [1, 'pictures', 'file'],
          [10, 'pictures', 'image'],
        ],
      );
      assert.match(told[1].message, /^picture 10: /);
      for (const [i, image] of images.entries()) {
        const alone = [1, 10].includes(i) ? null : await classifier.classify(image, options);
        assert.deepEqual(all[i], alone, `picture ${i}`);
        assert.equal(all[i]?.none, alone?.none);
      }
    });

  test('the first that cannot be read ends it, and is named by its place', async () => {
    const images = [MANY[0], MANY[1], { data: null }, 7];
    for (const classifier of Object.values(classifiers))
      await assert.rejects(classifier.classify(images), isError('image', /^picture 2 is no picture/));
    await assert.rejects(classifiers.mudpt.classify([MANY[0], [MANY[1]]]), isError('image', /^picture 1 .* an Array/));
  });

  test('progress, a signal, options', async () => {
    for (const classifier of Object.values(classifiers)) {
      const told = [];
      await classifier.classify(MANY, { onProgress: (progress) => told.push(progress) });
      assert.deepEqual(told.at(-1), { done: MANY.length, total: MANY.length });
      const controller = new AbortController();
      const stopped = classifier.classify(MANY, {
        onProgress: () => controller.abort(),
        signal: controller.signal,
      });
      await assert.rejects(stopped, { name: 'AbortError' });
      await assert.rejects(classifier.classify(MANY[0], { onProgress() {} }), isError('argument', /onProgress/));
      await assert.rejects(classifier.classify(MANY, { onBroken: 3 }), isError('argument', /onBroken is 3/));
      await assert.rejects(classifier.classify(MANY, { topk: 3 }), isError('argument', /topk/));
    }
  });

  test('what goes on, with a model', async () => {
    const { mudpt } = classifiers;
    const found = [];
    for await (const answers of mudpt.watch(new Blob([]).stream())) found.push(answers);
    assert.deepEqual(found, []);
    async function* files() {
      yield* PICTURES.slice(0, 3);
    }
    for await (const answers of mudpt.watch(files(), { topK: 1, none: true })) found.push(answers);
    const alone = await mudpt.classify(PICTURES.slice(0, 3), { topK: 1, none: true });
    assert.deepEqual(found, alone);
    assert.deepEqual(
      found.map(({ none }) => none),
      alone.map(({ none }) => none),
    );
    const broken = (async function* () {
      yield PICTURES[0];
      yield undefined;
    })();
    await assert.rejects(
      collected(mudpt.watch(broken)),
      isError('image', /the picture is no picture: it is undefined/),
    );
    for (const [source, pattern] of /** @type {const} */ ([
      [[PICTURES[0]], /in Array cannot be watched; .*classify\(\)/],
      [PICTURES[0], /cannot be watched/],
      [undefined, /in undefined cannot/],
      [{ [Symbol.toStringTag]: 'MediaStream' }, /MediaStream cannot be watched; show it in a <video>/],
    ]))
      await assert.rejects(collected(mudpt.watch(source)), isError('argument', pattern));
  });
});

/** @param {AsyncIterable<any>} iterable */
async function collected(iterable) {
  const all = [];
  for await (const item of iterable) all.push(item);
  return all;
}

/** A classifier whose answers come when the test says so. */
function slow() {
  const asked = [];
  const classify = (frame, { signal } = /** @type {any} */ ({})) =>
    new Promise((resolve, reject) => {
      asked.push({ frame, answer: (with_ = frame) => resolve([with_]) });
      signal?.addEventListener('abort', () => reject(signal.reason));
    });
  return { asked, classify };
}

/** A frame that knows whether it was closed. @param {number} number */
const frameOf = (number) => ({
  number,
  closed: 0,
  close() {
    this.closed++;
  },
  [Symbol.toStringTag]: 'VideoFrame',
});
const turns = () => sleep(20);

describe('pictures that go on', () => {
  test('a stream: the newest when the last answer was taken; the others are closed', async () => {
    const { asked, classify } = slow();
    /** @type {any} */
    let controller;
    let cancelled = 0;
    const stream = new ReadableStream({ start: (given) => void (controller = given), cancel: () => void cancelled++ });
    const frames = Array.from({ length: 6 }, (_, i) => frameOf(i));
    const answers = watch({ classify }, stream);
    const first = answers.next();
    controller.enqueue(frames[0]);
    await turns();
    assert.equal(asked.length, 1);
    for (const frame of frames.slice(1, 4)) controller.enqueue(frame);
    await turns();
    assert.equal(asked.length, 1, 'two at once');
    asked[0].answer();
    assert.deepEqual((await first).value, [frames[0]]);
    controller.enqueue(frames[4]);
    await turns();
    assert.equal(asked.length, 1, 'nobody asked for the next');
    const second = answers.next();
    await turns();
    assert.deepEqual([asked.length, asked[1].frame], [2, frames[4]]);
    asked[1].answer();
    await second;
    // The last is answered when the stream has ended.
    controller.enqueue(frames[5]);
    controller.close();
    await turns();
    const third = answers.next();
    await turns();
    asked[2].answer();
    assert.equal((await third).value[0], frames[5]);
    assert.equal((await answers.next()).done, true);
    assert.deepEqual(
      frames.map(({ closed }) => closed),
      frames.map(() => 1),
    );
    assert.equal(cancelled, 0);
  });

  test('a stream that makes frames as fast as they are read leaves time for answers; it is cancelled', async () => {
    let [made, cancelled] = [0, 0];
    const stream = new ReadableStream(
      {
        pull: (given) => given.enqueue(made++),
        cancel: () => void cancelled++,
      },
      { highWaterMark: 0 },
    );
    const seen = [];
    const classify = async (frame) => {
      await sleep(5);
      return frame;
    };
    for await (const frame of watch({ classify }, stream)) {
      seen.push(frame);
      if (seen.length === 3) break;
    }
    assert.deepEqual(seen, seen.toSorted?.((a, b) => a - b) ?? seen);
    assert.equal(cancelled, 1);
    const end = made;
    await turns();
    assert.ok(made <= end + 1, 'it is read on');
    await assert.rejects(
      watch({ classify }, new ReadableStream({ pull: (given) => given.error(new Error('broken off')) })).next(),
      /broken off/,
    );
    const locked = new ReadableStream();
    locked.getReader();
    await assert.rejects(watch({ classify }, locked).next(), isError('argument', /has a reader already/));
  });

  test('what is iterated is asked for one at a time, and told to return', async () => {
    const { asked, classify } = slow();
    const events = [];
    async function* numbers() {
      try {
        for (let i = 0; ; i++) {
          events.push(`asked for ${i}`);
          yield i;
        }
      } finally {
        events.push('returned');
      }
    }
    const answers = watch({ classify }, numbers());
    for (let i = 0; i < 2; i++) {
      const next = answers.next();
      await turns();
      assert.equal(events.length, i + 1);
      asked[i].answer();
      assert.deepEqual((await next).value, [i]);
    }
    await turns();
    assert.equal(events.length, 2, 'asked too early');
    await answers.return();
    assert.deepEqual(events, ['asked for 0', 'asked for 1', 'returned']);
    const failing = {
      [Symbol.asyncIterator]: () => ({ next: () => assert.fail('no more'), return: () => assert.fail('it has ended') }),
    };
    await assert.rejects(watch({ classify }, failing).next(), /no more/);
  });

  test('a signal ends it: while it waits, while it answers, before it begins', async () => {
    for (const at of ['before', 'waiting', 'answering']) {
      const { asked, classify } = slow();
      const controller = new AbortController();
      let [returned, cancelled] = [0, 0];
      const never = {
        next: () => (at === 'answering' ? { done: false, value: 1 } : new Promise(() => {})),
        return: () => returned++,
      };
      if (at === 'before') controller.abort();
      const { signal } = controller;
      const next = watch({ classify }, { [Symbol.asyncIterator]: () => never }, { signal }).next();
      const stream = new ReadableStream({
        start: (given) => (at === 'answering' ? given.enqueue(1) : undefined),
        cancel: () => void cancelled++,
      });
      const other = watch({ classify }, stream, { signal }).next();
      const both = [next, other].map((each) => assert.rejects(each, { name: 'AbortError' }));
      await turns();
      assert.equal(asked.length, at === 'answering' ? 2 : 0);
      controller.abort();
      await Promise.all(both);
      assert.deepEqual([returned, cancelled], at === 'before' ? [0, 0] : [1, 1]);
    }
  });

  for (const byFrames of [true, false])
    test(`a video ${byFrames ? 'that tells of its frames' : 'whose time is looked at'}`, async (t) => {
      /** @type {Map<number, () => void>} */
      const callbacks = new Map();
      let last = 0;
      const ask = (callback) => callbacks.set(++last, callback) && last;
      const forget = (id) => callbacks.delete(id);
      const video = Object.assign(new EventTarget(), { currentTime: 0, networkState: 1, paused: true });
      Object.assign(video, { srcObject: { active: true } });
      Object.defineProperty(video, Symbol.toStringTag, { value: 'HTMLVideoElement' });
      if (byFrames) Object.assign(video, { requestVideoFrameCallback: ask, cancelVideoFrameCallback: forget });
      else Object.assign(globalThis, { requestAnimationFrame: ask, cancelAnimationFrame: forget });
      t.after(() => ['requestAnimationFrame', 'cancelAnimationFrame'].forEach((name) => delete globalThis[name]));
      const shows = (time) => {
        video.currentTime = time;
        const now = [...callbacks.values()];
        callbacks.clear();
        for (const callback of now) callback();
      };
      const { asked, classify: asks } = slow();
      const classify = (frame, options) => asks(frame.currentTime, options);
      const answers = watch({ classify }, video);
      const first = answers.next(); // what it shows now
      await turns();
      for (const time of [1, 2, 3]) shows(time);
      await turns();
      assert.equal(asked.length, 1);
      asked[0].answer();
      assert.deepEqual((await first).value, [0]);
      const second = answers.next();
      await turns();
      assert.deepEqual([asked.length, asked[1].frame], [2, 3]);
      asked[1].answer();
      await second;
      // Nothing new: it waits.
      const third = answers.next();
      if (!byFrames) shows(3);
      await turns();
      assert.equal(asked.length, 2);
      video.dispatchEvent(new Event('emptied')); // it shows something else from now on
      shows(4);
      await turns();
      asked[2].answer();
      assert.deepEqual((await third).value, [4]);
      // A camera that plays and tells no time.
      if (!byFrames) {
        video.paused = false;
        const next = answers.next();
        shows(4);
        await turns();
        asked[3].answer();
        assert.deepEqual((await next).value, [4]);
        video.paused = true;
      }
      // Its engine tells of no frame, but of the time.
      const untold = [answers.next(), asked.length];
      video.currentTime = 7;
      while (asked.length === untold[1]) await turns();
      asked.at(-1).answer();
      assert.deepEqual((await untold[0]).value, [7]);
      // And is stopped.
      const fourth = answers.next();
      video.srcObject.active = false;
      assert.equal((await fourth).done, true);
      assert.equal(callbacks.size, 0);
      // Its end, its error, its address taken away.
      for (const end of ['ended', 'emptied', 'error']) {
        video.srcObject.active = true;
        const again = watch({ classify }, video);
        const before = asked.length;
        const one = again.next();
        await turns();
        asked[before].answer();
        await one;
        video.networkState = end === 'emptied' ? 0 : 1;
        const next = again.next();
        await turns();
        video.dispatchEvent(new Event(end));
        if (end === 'error') await assert.rejects(next, isError('image', /the video cannot be played on/));
        else assert.equal((await next).done, true);
        assert.equal(callbacks.size, 0);
      }
      const over = watch({ classify }, Object.assign(video, { ended: true, networkState: 1 }));
      const [before, one] = [asked.length, over.next()];
      await turns();
      asked[before].answer();
      await one;
      assert.equal((await over.next()).done, true, 'a video that has ended');
    });
});
