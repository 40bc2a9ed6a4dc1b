/** Cases of the browser tests (suite.js): several pictures in one call, and what goes on. */
import { loadClip } from '/js/index.js';
import { ok, rejectsWith, same } from './checks.js';
import { CLASSES, EXAMPLES, FACE, MODEL, TESTS } from './task.js';

const PICTURES = TESTS.map(({ image }) => image);

/** A canvas that shows a picture. */
async function canvasOf(path) {
  const bitmap = await createImageBitmap(await (await fetch(path)).blob());
  const canvas = Object.assign(document.createElement('canvas'), { width: bitmap.width, height: bitmap.height });
  canvas.getContext('2d').drawImage(bitmap, 0, 0);
  return canvas;
}

/** @param {() => any} model in the page's worker */
export const severalCases = (model) => ({
  async 'several pictures: in their order, whatever they are; null for what cannot be read'() {
    const here = await loadClip(MODEL, { worker: false, threads: 1 });
    for (const clip of [model(), here]) {
      const classifier = await clip.zeroShot(CLASSES);
      const alone = [];
      for (const path of PICTURES) alone.push(await classifier.classify(path));
      const bytes = new Uint8Array(await (await fetch(PICTURES[1])).arrayBuffer());
      const element = Object.assign(new Image(), { src: PICTURES[2] });
      const list = [PICTURES[0].slice(1), bytes, element, ...PICTURES.slice(3)];
      const told = [];
      same(await classifier.classify(list, { onProgress: ({ done }) => told.push(done) }), alone, 'answers');
      same(told.at(-1), list.length, 'progress');
      const canvas = await canvasOf(FACE);
      const drawn = classifier.classify([canvas, PICTURES[0]]);
      canvas.width = 0;
      same((await drawn)[1], alone[0], 'beside a canvas as it was when it was given');
      const gone = [];
      const input = Object.assign(document.createElement('input'), { type: 'file', multiple: true });
      const drop = new DataTransfer();
      for (const name of ['a.png', 'b.png']) drop.items.add(new File([name === 'b.png' ? bytes : 'text'], name));
      input.files = drop.files;
      const found = await classifier.classify(input.files, { topK: 1, onBroken: (broken) => gone.push(broken.index) });
      same([found, gone], [[null, alone[1].slice(0, 1)], [0]], 'files that a visitor chose');
      await rejectsWith('image', classifier.classify(input.files), /^a\.png/);
      await classifier.calibrate(EXAMPLES);
      const one = await classifier.classify(PICTURES[0], { none: true });
      const [both] = await classifier.classify([PICTURES[0], '/nowhere.png'], { none: true, onBroken() {} });
      same([both, both.none], [one, one.none], 'none of these');
      await classifier.dispose();
    }
    await here.dispose();
  },

  async 'what goes on: a stream of frames, a video of a camera until it is stopped'() {
    const classifier = await model().zeroShot(CLASSES);
    const canvas = await canvasOf(FACE);
    const [alone] = await classifier.classify([canvas], { topK: 1 });
    const closed = [];
    const stream = new ReadableStream({
      async pull(controller) {
        const frame = typeof VideoFrame === 'function' ? new VideoFrame(canvas, { timestamp: 0 }) : null;
        const given = frame ?? (await createImageBitmap(canvas));
        const { close } = given;
        given.close = () => closed.push(close.call(given));
        controller.enqueue(given);
        if (closed.length > 20) controller.close();
        await new Promise((resolve) => setTimeout(resolve));
      },
    });
    let answers = 0;
    for await (const found of classifier.watch(stream, { topK: 1 })) {
      same(found, alone, 'a frame');
      answers++;
    }
    ok(answers >= 2 && closed.length > 20, `${answers} answers, ${closed.length} frames`);
    if (!canvas.captureStream) return;
    const camera = canvas.captureStream();
    const video = Object.assign(document.createElement('video'), { srcObject: camera, muted: true });
    const paint = setInterval(() => canvas.getContext('2d').fillRect(0, 0, 1, 1), 10);
    try {
      await video.play();
      // As browsers do where srcObject has just been set again: it has a picture, and none to draw.
      const { createImageBitmap } = globalThis;
      let early = 3;
      globalThis.createImageBitmap = (...given) =>
        early-- > 0 ? Promise.reject(new DOMException('too early', 'InvalidStateError')) : createImageBitmap(...given);
      try {
        const [{ label }] = await classifier.classify(video);
        ok(CLASSES.includes(label) && early < 0, label);
      } finally {
        globalThis.createImageBitmap = createImageBitmap;
      }
      for (const request of [video.requestVideoFrameCallback, undefined]) {
        video.requestVideoFrameCallback = request;
        let [seen, turns] = [0, 0];
        const beat = setInterval(() => turns++);
        for await (const [{ label }] of classifier.watch(video)) {
          ok(CLASSES.includes(label), label);
          if (++seen === 3) break;
        }
        clearInterval(beat);
        ok(turns > 0, 'the page had no turn');
      }
      const aborted = new AbortController();
      const stopping = (async () => {
        for await (const _ of classifier.watch(video, { signal: aborted.signal })) aborted.abort();
      })();
      same(await stopping.catch(({ name }) => name), 'AbortError', 'a signal');
      for await (const _ of classifier.watch(video)) for (const track of camera.getTracks()) track.stop();
    } finally {
      clearInterval(paint);
      await classifier.dispose();
    }
  },
});
