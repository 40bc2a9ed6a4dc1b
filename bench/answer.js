#!/usr/bin/env node
/**
 * How long the demo page takes from a picture that is added to the first answer that knows of it, with many pictures
 * there already: one more of a class, and the second of a new one, which is when a class begins to be learned.
 *
 *   ./run bench answer [--pictures 200] [--classes 10] [--rounds 40] [--engine chromium] [--plain]
 *
 * --plain: a page that is not isolated and so has one thread. The pictures are shapes that the page draws itself.
 */

import { ENGINES } from '../tests/browser/engines.js';
import { watchedSite } from '../tests/demo/site.js';
import { optionsOf } from './options.js';

const values = optionsOf({
  pictures: '200',
  classes: '10',
  rounds: '40',
  engine: 'chromium',
  plain: false,
});
const [classes, rounds] = [Number(values.classes), Number(values.rounds)];
const each = Math.floor(Number(values.pictures) / classes);

const IN_PAGE = `
  hands.ms = 600_000;
  const name = (kind) => 'shape ' + String.fromCharCode(97 + kind);
  const shape = async (kind, hue) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 64 });
    const context = canvas.getContext('2d');
    context.fillStyle = 'hsl(' + hue + ' 80% 50%)';
    context.translate(32, 32);
    context.rotate(hue / 40);
    for (let i = 0; i <= kind; i++) context.fillRect(-26 + 6 * i, -24 + 5 * ((i * 3) % 9), 8, 9);
    const blob = await new Promise((tell) => canvas.toBlob(tell));
    return new File([blob], kind + '-' + hue + '.png', { type: 'image/png' });
  };
  const notes = () => hands.all('.meter-note').map((one) => one.textContent);
  const settled = async () => {
    await hands.until('the answer', () => document.documentElement.dataset.after === 'instant');
    await hands.until('all to be looked at', () => notes().every((one) => / right$/.test(one)));
  };
  const answeredAt = () => performance.getEntriesByName('instant').at(-1)?.startTime ?? 0;
  const give = async (card, file) => {
    const start = performance.now();
    hands.give(card.querySelector('input[type=file]'), [file]);
    await hands.until('a new answer', () => answeredAt() > start);
    const took = answeredAt() - start;
    await settled();
    return took;
  };`;

const site = await watchedSite({ isolated: !values.plain });
const browser = await ENGINES[values.engine]();
try {
  await browser.page?.setViewport({ width: 1280, height: 800 });
  await browser.open(site.url);
  const evaluate = (body) => browser.evaluate(`${IN_PAGE} ${body}`);
  const count = await evaluate(`
    await settled();
    await hands.press('Start empty');
    await hands.until('nothing', () => !hands.all('.thumb').length);
    const tree = {};
    for (let kind = 0; kind < ${classes}; kind++) {
      const own = (tree[name(kind)] = {});
      for (let i = 0; i < ${each}; i++) own[i + '.png'] = await shape(kind, 17 * i);
    }
    hands.carry('drop', document.querySelector('.pictures'), { shapes: tree });
    await hands.until('all classes', () => hands.all('.card:not(.ghost)').length === ${classes});
    await settled();
    return hands.all('.card-note').map((one) => one.textContent);`);
  const more = await evaluate(`
    const times = [];
    for (let i = 0; i < ${rounds}; i++) {
      const kind = i % ${classes};
      times.push(await give(hands.card(name(kind)), await shape(kind, 5 + 31 * i)));
    }
    return times;`);
  const second = await evaluate(`
    const times = [];
    for (let i = 0; i < ${Math.ceil(rounds / 4)}; i++) {
      const before = hands.all('.card').length;
      await hands.press('Add a class');
      await hands.until('its card', () => hands.all('.card').length > before);
      hands.write(hands.all('.card-name').at(-1), 'new ' + i);
      await hands.until('its name', () => hands.card('new ' + i));
      await give(hands.card('new ' + i), await shape(12, 7 * i));
      times.push(await give(hands.card('new ' + i), await shape(12, 7 * i + 3)));
      await hands.press('Remove the class new ' + i);
      await settled();
    }
    return times;`);
  console.log(
    `${values.engine}, ${values.plain ? 'one thread' : 'isolated'}; ${count.length} classes, each ${count[0]}`,
  );
  for (const [what, times] of Object.entries({ 'one more of a class': more, 'the second of a new class': second })) {
    times.sort((a, b) => a - b);
    const at = (share) => `${Math.round(times[Math.floor(share * (times.length - 1))])} ms`;
    console.log(`${what.padEnd(26)} median ${at(0.5)}, quarter ${at(0.25)} to ${at(0.75)}, longest ${at(1)}`);
  }
} finally {
  await browser.close();
  await site.close();
}
