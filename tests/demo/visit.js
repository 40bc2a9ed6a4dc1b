/**
 * A visit to the demo page, for tests of what is left after it: a page with small samples, what it says, what a visitor
 * does there, and reloads.
 */
import assert from 'node:assert/strict';
import { cp, readFile, readdir, writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { unzipSync, zipSync } from 'fflate';

import { ENGINES } from '../browser/engines.js';
import { watchedSite } from './site.js';

/** Two classes of each sample are enough to train on, and quick. */
const CLASSES = 2;

/** What the page says: classes with their pictures, and both scores. */
export const SEEN = `
  hands.ms = 100_000;
  // However slow the machine is: what is offered for ten seconds is offered for as long as the test takes.
  const { setTimeout: soon } = globalThis;
  if (!soon.patient) globalThis.setTimeout = Object.assign((what, ms) => soon(what, ms === 10_000 ? 1e6 : ms),
    { patient: true });
  const seen = () => ({
    cards: hands.all('.card:not(.ghost)').map((card) => [card.querySelector('.card-name').value,
      hands.all('.thumb', card).length + Number(/\\d+/.exec(card.querySelector('.more')?.textContent ?? '0'))]),
    scores: hands.all('.meter').map((one) => one.querySelector('.meter-share').textContent),
    notes: hands.all('.meter-note').map((one) => one.textContent),
  });
  // Of a class, those that are not shown too.
  const counted = (name) => seen().cards.find(([one]) => one === name)[1];
  const saying = (words) => hands.until(String(words), () => {
    const said = hands.text('.train-state');
    return words.test(said) && said;
  });
  const both = () => hands.until('both accuracies', () => hands.all('.meter-note').every((one) =>
    / right$/.test(one.textContent)));
  // A run that does not end before a test ends it.
  const long = async () => {
    await hands.press('Balanced', '.presets');
    const epochs = await hands.until('the setting', () => hands.all('.setting').find((one) =>
      one.querySelector('span').textContent === 'Epochs')?.querySelector('input'));
    epochs.value = '200';
    epochs.dispatchEvent(new Event('change', { bubbles: true }));
    await hands.until('the setting', () => /back to the preset/i.test(hands.text('.advanced')));
  };
  const looked = () => hands.until('all to be looked at', () => !hands.all('.meter-note').some((one) =>
    /look/.test(one.textContent)));`;
/** The first class gets a name, or a new one does. */
export const MAKE = `
  const make = async (name) => {
    const before = hands.all('.card:not(.ghost)').length;
    hands.all('.add-button')[0].click();
    await hands.until('the card', () => hands.all('.card:not(.ghost)').length === before + 1);
    hands.write(hands.all('.card-name').at(-1), name);
    await hands.until('the name', () => hands.card(name));
  };
  const give = async (name, files) => {
    const input = hands.card(name).querySelector('input[type=file]');
    const before = hands.count(name);
    hands.give(input, files);
    await hands.until('the pictures', () => hands.count(name) === before + files.length);
  };
  const opened = (id) => hands.until(id, () =>
    hands.all('.chip.chosen').some((one) => one.textContent.trim() === id) && !document.querySelector('.ghost'));`;
export const KEPT = `await hands.until('all to be stored', () => document.documentElement.dataset.kept === 'kept')`;

/** Another model at own/: one bit of every vector is another. */
export async function otherModel(folder) {
  await cp(path.join(folder, 'model'), path.join(folder, 'own'), { recursive: true });
  const file = path.join(folder, 'own/model.safetensors');
  const bytes = await readFile(file);
  const header = Number(bytes.readBigUInt64LE(0));
  for (const tensor of Object.values(JSON.parse(bytes.subarray(8, 8 + header).toString()))) {
    if (tensor.shape?.length !== 1) continue;
    for (let i = tensor.data_offsets[0]; i < tensor.data_offsets[1]; i += 2) bytes[8 + header + i] ^= 1;
  }
  await writeFile(file, bytes);
}

/** What the library keeps of models goes, as a browser may let it. */
export const FORGOTTEN = `
  const root = await navigator.storage?.getDirectory?.().catch(() => null);
  await root?.removeEntry('mudpt', { recursive: true }).catch(() => {});
  for (const name of await caches.keys().catch(() => [])) await caches.delete(name)`;

/** A model's folder on another server; while that holds, weights begin to come and stand still. */
export async function slowModel(folder) {
  const server = http.createServer(async ({ url = '', method }, response) => {
    const bytes = await readFile(path.join(folder, path.basename(url))).catch(() => null);
    const headers = { 'Access-Control-Allow-Origin': '*', 'Access-Control-Allow-Headers': '*' };
    if (method === 'OPTIONS') return response.writeHead(204, headers).end();
    if (!bytes) return response.writeHead(404, headers).end();
    response.writeHead(200, { ...headers, 'Content-Length': bytes.length });
    if (slow.holds && url.endsWith('.safetensors')) response.write(bytes.subarray(0, 100));
    else response.end(bytes);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const slow = {
    holds: false,
    url: `http://127.0.0.1:${port}/`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
  return slow;
}

/** Of each sample its first classes. */
async function smallerSamples(folder) {
  const index = path.join(folder, 'index.json');
  const samples = JSON.parse(await readFile(index, 'utf8'));
  const small = samples.map(({ classes, ...rest }) => ({ ...rest, classes: classes.slice(0, CLASSES) }));
  await writeFile(index, JSON.stringify(small));
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.zip')) continue;
    const { classes } = small.find(({ id }) => `${id}.zip` === name);
    const files = Object.entries(unzipSync(await readFile(path.join(folder, name))));
    const isKept = (file) => classes.includes(file.split('/')[1]?.replaceAll('_', ' '));
    await writeFile(path.join(folder, name), zipSync(Object.fromEntries(files.filter(([file]) => isKept(file)))));
  }
}

/** @param {string} engine @param {import('node:test').TestContext} context */
export async function visit(engine, context) {
  const site = await watchedSite({ isolated: engine === 'chromium' });
  context.after(() => site.close());
  await smallerSamples(path.join(site.folder, 'samples'));
  const browser = await ENGINES[engine]();
  context.after(() => browser.close());
  await browser.page?.setViewport({ width: 1280, height: 800 });
  const evaluate = (body) => browser.evaluate(`${SEEN} ${MAKE} ${body}`);
  /** Does something and loads the page anew in the same moment. */
  const reload = async (body = '', model = 'pictoclip') => {
    await evaluate(`globalThis.before = true; ${body}; setTimeout(() => location.reload())`);
    const isNew = `return !globalThis.before && document.readyState === 'complete' && Boolean(globalThis.hands)`;
    while (!(await browser.evaluate(isNew).catch(() => false))) await sleep(50);
    await evaluate(`
      await hands.until('the model', () => document.documentElement.dataset.model === '${model}');
      await hands.until('the session', () => document.documentElement.dataset.kept === 'kept');`);
  };
  return { site, browser, evaluate, reload };
}

/** Nothing was printed or thrown in the page, but for what was not there. @param {(body: string) => any} evaluate */
export async function assertQuiet(evaluate) {
  const errors = await evaluate(`return watched.errors`);
  assert.deepEqual(
    errors.filter((one) => !/404/.test(one)),
    [],
  );
}
