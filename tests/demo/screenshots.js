#!/usr/bin/env node
// Pictures of every view and state of the demo page, as phones, tablets and desks show it, light and dark.
//
//   node tests/demo/screenshots.js FOLDER           NAME-WIDTHxHEIGHT-THEME.png
//   node tests/demo/screenshots.js FOLDER --docs    and the README's three, as docs/demo-NAME.webp
//   node tests/demo/screenshots.js FOLDER --story   a visitor's story alone, chapter by chapter
import { mkdir } from 'node:fs/promises';
import path from 'node:path';

import { ENGINES } from '../browser/engines.js';
import { watchedSite } from './site.js';
import { COUNTED, atHome, story } from './story.js';
import { SEEN } from './visit.js';

const SIZES = [
  [360, 740],
  [768, 1024],
  [1440, 900],
];
const THEMES = ['light', 'dark'];
/** The README's: name, size, theme. */
const DOCS = { trained: 'light', compare: 'dark', inside: 'light' };
const WIDE = 1080;

const folder = path.resolve(process.argv[2] ?? 'build/screenshots');
const docs = process.argv.includes('--docs') ? path.resolve(import.meta.dirname, '../../docs') : '';
await mkdir(folder, { recursive: true });

const site = await watchedSite({ isolated: true });
const browser = await ENGINES.chromium(['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream']);
const page = /** @type {import('puppeteer-core').Page} */ (browser.page);
const { evaluate } = browser;
let count = 0;

/**
 * The state that the page is in, in every size and theme.
 * @param {string} name
 * @param {string} [view]
 * @param {string} [at] what is looked at there, where the view is higher than the window
 */
async function shoot(name, view, at) {
  for (const [width, height] of SIZES) {
    // On wide screens the training is beside every view.
    if (view === 'train' && width >= WIDE) await evaluate(`await hands.view('pictures')`);
    else if (view) await evaluate(`await hands.view('${view}')`);
    await page.setViewport({ width, height });
    for (const theme of THEMES) {
      await page.emulateMediaFeatures([
        { name: 'prefers-color-scheme', value: theme },
        { name: 'prefers-reduced-motion', value: 'reduce' }, // nothing is caught half-way
      ]);
      await evaluate(`scrollTo(0, 0);
        ${at ? `document.querySelector('${at}').scrollIntoView({ block: 'center' });` : ''}
        await hands.until('the theme', () => document.documentElement.dataset.theme === '${theme}');
        await new Promise((resolve) => setTimeout(resolve, 250));
        for (let i = 0; i < 3; i++) await new Promise(requestAnimationFrame);
        await Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {})));
        await new Promise(requestAnimationFrame)`);
      const file = path.join(folder, `${name}-${width}x${height}-${theme}.png`);
      await page.screenshot({ path: /** @type {any} */ (file) });
      count++;
      if (docs && DOCS[name] === theme && width >= WIDE) {
        const options = /** @type {const} */ ({ type: 'webp', quality: 82 });
        await page.screenshot({ path: /** @type {any} */ (path.join(docs, `demo-${name}.webp`)), ...options });
      }
    }
  }
}

/** From an empty page to a page of one's own. */
async function showStory() {
  const classes = /** @type {const} */ (['bus', 'canoe']);
  await browser.open(site.url);
  await evaluate(`await hands.until('the sample', () => hands.card('bus')); ${atHome([...classes])}`);
  for (const [i, [name, view, does, at]] of story(...classes).entries()) {
    await evaluate(`${SEEN} ${COUNTED} ${does}`);
    await shoot(`story-${i + 1}-${name}`, view, at);
  }
}

async function showViews() {
  await browser.open(site.url);
  await evaluate(`await hands.until('zero-shot', () => / right$/.test(hands.text('.meter.zero .meter-note')))`);
  await evaluate(`await hands.answered()`);
  await evaluate(`await hands.until('the instant answer', () => document.documentElement.dataset.after === 'instant');
    await hands.until('all', () => hands.all('.meter-note').every((one) => / right$/.test(one.textContent)));
    await new Promise((resolve) => setTimeout(resolve, 4000))`);
  await shoot('instant', 'pictures');
  await shoot('train', 'train');
  await shoot('compare-instant', 'compare');
  await shoot('inside-instant', 'inside');
  await evaluate(`await hands.view('train');
    const canvas = document.querySelector('.try canvas');
    hands.pointer(canvas, 'pointerdown', 0.3, 0.7);
    for (const at of [0.3, 0.5, 0.7]) hands.pointer(canvas, 'pointermove', at, 0.3);
    hands.pointer(canvas, 'pointerup', 0.7, 0.7);
    await hands.until('the answers', () => document.querySelector('.correct'))`);
  await shoot('tried', 'train', '.try');
  await evaluate(`await hands.press('Webcam', '.try'); await hands.until('its pace', () => hands.text('.rate'))`);
  await shoot('live', 'train', '.try');

  await evaluate(`await hands.view('train'); await hands.press('Draw', '.try');
    await hands.press('Thorough', '.presets');
    await hands.press('Train', '.train-buttons');
    await hands.until('some epochs', () => /step (7\\d|[89]\\d|\\d{3}) of/.test(hands.text('.train-progress')))`);
  await shoot('training', 'train');
  await evaluate(`await hands.view('train'); await hands.press('Stop here');
    await hands.until('the end', () => /^Done/.test(hands.text('.train-state')));
    await hands.press('Quick', '.presets');
    await hands.press('Balanced', '.presets'); await hands.press('Train again', '.train-buttons');
    await hands.until('the next', () => /step/.test(hands.text('.train-progress')));
    await hands.until('the end', () => /^Done/.test(hands.text('.train-state')))
    await hands.view('pictures'); await hands.answered()`);
  await shoot('trained', 'pictures');
  await shoot('trained-panel', 'train');
  for (const view of ['compare', 'inside', 'keep']) await shoot(view, view);
  await evaluate(`await hands.view('compare'); document.querySelector('.matrix td.wrong button').click();
    await hands.until('the cell', () => document.querySelector('.cell-row'))`);
  await shoot('cell');
  await evaluate(`await hands.close()`);

  await evaluate(`await hands.view('train');
    hands.all('.methods, .advanced').forEach((one) => (one.open = true))`);
  await shoot('advanced', 'train');
  await evaluate(`hands.all('.methods, .advanced').forEach((one) => (one.open = false))`);

  await evaluate(`await hands.view('pictures'); hands.all('.thumb')[9].click()`);
  await shoot('picture');
  await evaluate(`await hands.close(); document.querySelector('.model-button').click()`);
  await shoot('model');
  await evaluate(`hands.write(document.querySelector('#model-address'), new URL('nowhere/', location.href).href);
    document.querySelector('.model-own button').click();
    await hands.until('the failure', () => document.querySelector('dialog .problem'))`);
  await shoot('model-failed');
  await evaluate(`await hands.close();
    document.querySelector('.card').querySelectorAll('.tool')[3].click();
    const canvas = await hands.until('the canvas', () => document.querySelector('dialog canvas'));
    hands.pointer(canvas, 'pointerdown', 0.2, 0.6);
    for (const at of [0.3, 0.5, 0.7, 0.8]) hands.pointer(canvas, 'pointermove', at, 0.6 - 0.3 * Math.sin(4 * at));
    hands.pointer(canvas, 'pointerup', 0.8, 0.5)`);
  await evaluate(`await hands.press('Add the drawing', 'dialog');
    await hands.until('it', () => document.querySelector('.added img'))`);
  await shoot('draw');
  await evaluate(`await hands.close();
    await new Promise((resolve) => setTimeout(resolve, 4500))`);
  await shoot('own-pictures', 'pictures');
  await evaluate(`document.querySelector('.card').querySelectorAll('.tool')[2].click();
    await hands.until('the webcam', () => document.querySelector('dialog .hold'))`);
  await shoot('webcam');
  await evaluate(`await hands.close(); await hands.view('keep'); await hands.press('New project', '.projects');
    await hands.until('the shelf', () => document.querySelector('.shelved'))`);
  await shoot('projects', 'keep');
  await shoot('empty', 'pictures');
}

try {
  if (!process.argv.includes('--story')) await showViews();
  await showStory();
} finally {
  await browser.close();
  await site.close();
}
console.log(`${count} pictures in ${path.relative(process.cwd(), folder)}`);
