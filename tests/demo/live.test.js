/**
 * The webcam of the demo page in Chromium and Firefox: one frame at a time is looked at, the next when it was answered,
 * however slow the model is; the pace is shown; nothing goes on where nobody looks. The camera is a canvas, of which
 * WebKitGTK gives no steady frames.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ENGINES } from '../browser/engines.js';
import { assertQuiet, visit } from './visit.js';

/** What the page asks for a camera shows a bus, 50 times a second. */
const CAMERA = `
  const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
  const context = canvas.getContext('2d');
  const bus = await createImageBitmap(await hands.picture('bus'));
  globalThis.camera = { frames: 0, streams: [] };
  setInterval(() => (context.drawImage(bus, 8, 0, 48, 48), camera.frames++), 20);
  const getUserMedia = async () => {
    camera.streams.push(canvas.captureStream());
    return camera.streams.at(-1);
  };
  Object.defineProperty(navigator, 'mediaDevices', { configurable: true, value: { getUserMedia } });`;

/** What the model is asked of pictures waits while the gate is shut. */
const GATE = `
  globalThis.gate = { isShut: false, held: [], sent: 0 };
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function (...given) {
    const go = () => postMessage.apply(this, given);
    if (given[0]?.method !== 'classify') return go();
    gate.sent++;
    if (gate.isShut) gate.held.push(go);
    else go();
  };
  gate.opens = () => {
    gate.isShut = false;
    for (const go of gate.held.splice(0)) go();
  };`;

/** So many frames are shown. */
const FRAMES = `
  const shown = (count) => {
    const end = camera.frames + count;
    return hands.until(count + ' frames', () => camera.frames >= end);
  };`;
const BAR = `const bar = () => hands.text('.try .bars.tuned .bar-name');`;

const wanted = process.env.MUDPT_ENGINES?.split(',') ?? Object.keys(ENGINES);
for (const engine of wanted.filter((name) => name !== 'webkit')) {
  test(engine, async (engineTest) => {
    const { site, browser, evaluate } = await visit(engine, engineTest);
    const step = (name, body) => engineTest.test(name, body);
    await browser.open(site.url);
    await evaluate(`
      await hands.until('the answer', () => document.documentElement.dataset.after === 'instant');
      await both();
      ${CAMERA} ${GATE}
      await hands.view('train');
      await hands.press('Webcam', '.try');`);

    await step('it answers, and says how often a second', async () => {
      const [name, pace] = await evaluate(`${BAR}
        return [await hands.until('an answer', bar), await hands.until('the pace', () => hands.text('.rate'))];`);
      assert.equal(name, 'bus');
      assert.match(pace, /^[1-9]\d* answers a second$/);
    });

    await step('while the model is busy no frame waits but the one that it looks at', async () => {
      const [waiting, later] = await evaluate(`${FRAMES}
        gate.isShut = true;
        await hands.until('a frame', () => gate.held.length);
        await shown(3);
        const sent = gate.sent;
        await shown(25);
        const waiting = [gate.held.length, gate.sent - sent];
        gate.opens();
        await hands.until('the next frames', () => gate.sent > sent + 3);
        return [waiting, gate.held.length];`);
      assert.deepEqual([waiting, later], [[1, 0], 0]);
    });

    await step('what it sees goes to a class with one press, as often as it is pressed', async () => {
      const found = await evaluate(`
        const before = counted('canoe');
        for (const more of [1, 2]) {
          await hands.press('canoe', '.correct');
          await hands.until('the picture', () => counted('canoe') === before + more);
        }
        return counted('canoe') - before;`);
      assert.equal(found, 2);
    });

    await step('with something else to look at the camera is off, and nothing is asked of it any more', async () => {
      const found = await evaluate(`${FRAMES}
        await hands.press('Draw', '.try');
        await hands.until('the camera', () => camera.streams.every((one) =>
          one.getTracks().every(({ readyState }) => readyState === 'ended')));
        await hands.until('the answer', () => document.documentElement.dataset.after === 'instant');
        await both();
        await shown(5);
        const sent = gate.sent;
        await shown(25);
        return [camera.streams.length, gate.sent - sent, hands.text('.rate')];`);
      assert.deepEqual(found, [1, 0, '']);
    });

    await step('nothing was printed or thrown in the page', () => assertQuiet(evaluate));
  });
}
