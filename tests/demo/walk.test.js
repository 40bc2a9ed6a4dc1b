/**
 * The demo page in three engines under random walks of a visitor: names, pictures, samples, undo and redo, training,
 * another model, other pages, other tabs, no network, and reloads at any moment. What was there and was not removed is
 * there.
 *
 * MUDPT_FUZZ_RUNS walks from MUDPT_FUZZ_SEED; a few of one seed by default.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import fc from 'fast-check';

import { ENGINES } from '../browser/engines.js';
import { KEPT, MAKE, SEEN, otherModel, visit } from './visit.js';

const WALKS = Number(process.env.MUDPT_FUZZ_RUNS ?? 4);
const seed = Number(process.env.MUDPT_FUZZ_SEED ?? 18);
const LENGTH = 12;
const SAMPLES = ['Travel', 'Zoo', 'Food', 'Faces'];
const TRAINING = 'The training';
/** Two names within it are one change, also where the page was left between them. */
const ONE_CHANGE_MS = 3000;

const WALK = `
  const button = (word) => hands.all('.samples .round').find((one) => hands.named(one).startsWith(word + ': '));
  const files = (count, hue) => Promise.all(Array.from({ length: count }, async (_, i) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 48, height: 48 });
    const context = canvas.getContext('2d');
    context.fillStyle = 'hsl(' + (hue * 7 + i) + ' 80% 50%)';
    context.fillRect(6, 6, 36, 36);
    return new File([await new Promise((tell) => canvas.toBlob(tell))], hue + '-' + i + '.png', { type: 'image/png' });
  }));
  const card = (index) => hands.all('.card:not(.ghost)')[index];
  const offer = (index, given) => hands.give(card(index).querySelector('input[type=file]'), given);
  const press = (name, within) => hands.all('button', document.querySelector(within) ?? document)
    .find((one) => !one.disabled && hands.named(one) === name)?.click();
  const load = async (folder) => {
    document.querySelector('.model-button').click();
    const input = await hands.until('the dialog', () => document.querySelector('#model-address'));
    hands.write(input, new URL(folder, location.href).href);
    document.querySelector('.model-own button').click();
    await hands.close();
  };`;

/** A visitor: what should be on the page, and what can be taken back. */
class Visitor {
  constructor({ browser, evaluate, site }) {
    this.browser = browser;
    this.url = site.url;
    this.run = (body) => evaluate(`${WALK} ${body}`);
  }

  /** Nothing is there, and nothing can be taken back. */
  async begin() {
    await this.run(`await hands.view('keep'); await hands.press('Remove everything')`);
    Object.assign(this, { cards: [], sample: '', past: [], future: [], renamed: -1, names: 0, namedAt: 0 });
    await this.reload(KEPT);
    await this.check();
  }

  /** What a change should have made of the page. */
  change(cards, sample = this.sample) {
    if (JSON.stringify([cards, sample]) === JSON.stringify([this.cards, this.sample])) return;
    this.past.push([this.cards, this.sample]);
    [this.cards, this.sample, this.future, this.renamed] = [cards, sample, [], -1];
  }

  /** A class was given a name. */
  named(cards) {
    this.change(cards);
    this.namedAt = Date.now();
  }

  /** The cards with one of them different, or without it. */
  cardsWith = (index, ...card) => this.cards.flatMap((one, i) => (i === index ? card : [one]));
  pick = (number) => (this.cards.length ? number % this.cards.length : -1);
  seen = () => this.run(`await hands.view('pictures'); return seen().cards`);

  async check() {
    const wanted = JSON.stringify(JSON.stringify(this.cards));
    const found = await this.run(`
      await hands.view('pictures');
      await hands.until('the cards', () => JSON.stringify(seen().cards) === ${wanted}, 20_000).catch(() => {});
      return seen().cards`);
    assert.deepEqual(found, this.cards);
  }

  /** A sample took the place of all; the first one of all is no change. */
  opened(cards, name) {
    const first = !this.cards.length && !this.past.length && !this.future.length;
    this.change(cards, `${name} ${this.names++}`);
    if (first) this.past.pop();
  }

  async until(words) {
    while (!(await this.browser.evaluate(`return ${words}`).catch(() => false))) await sleep(20);
  }

  /** Does something, and the page is left in the same moment and comes back. */
  async reload(body = '', elsewhere = '') {
    const leave = elsewhere ? `location.assign('${elsewhere}')` : 'location.reload()';
    await this.run(`globalThis.before = true; ${body}; setTimeout(() => ${leave})`);
    if (elsewhere) {
      await this.until(`location.pathname.endsWith('${elsewhere}') && document.readyState === 'complete'`);
      await this.browser.evaluate(`setTimeout(() => history.back())`);
    }
    await this.until(`!globalThis.before && document.readyState === 'complete' && Boolean(globalThis.hands)`);
    this.renamed = -1;
    await this.run(KEPT);
  }

  /** The same, and what was learned of these classes is in use again. */
  async reloadLearned(...ways) {
    const [note, loads] = await this.run(`return [hands.text('.meter.tuned .meter-note'),
      hands.all('.model-share').length]`);
    await this.reload(...ways);
    if (/ right$/.test(note) && !loads) {
      await this.run(`await hands.until('${note}', () => hands.text('.meter.tuned .meter-note') === '${note}')`);
    }
  }

  /** After something that the page may have been left in the middle of: what it is now must be one of these. */
  async oneOf(...outcomes) {
    const found = await this.seen();
    const outcome = outcomes.find(([cards]) => JSON.stringify(cards) === JSON.stringify(found));
    assert.ok(outcome, `${JSON.stringify(found)} is none of ${JSON.stringify(outcomes)}`);
    this.change(...outcome);
  }

  /** Takes back, or does again; what training has changed is not on the cards. */
  async step(word, from, to) {
    const named = await this.run(`
      const found = button('${word}');
      found?.click();
      return found ? hands.named(found).slice(${word.length + 2}) : '';`);
    if (named === TRAINING) return;
    // What was trained since has been a change, after which nothing is done again.
    if (!named && word === 'Redo') return void (this.future = []);
    assert.equal(named !== '', from.length > 0, `${word}: ${named}, ${from.length}`);
    if (!from.length) return;
    to.push([this.cards, this.sample]);
    [this.cards, this.sample] = from.pop();
    this.renamed = -1;
  }
}

/** What a visitor does; each takes numbers that choose among what there is. */
const DOES = {
  make: async (visitor) => {
    const name = `class ${visitor.names++}`;
    await visitor.run(`await make('${name}')`);
    visitor.change([...visitor.cards, ['', 0]]);
    visitor.named([...visitor.cards.slice(0, -1), [name, 0]]);
    visitor.renamed = visitor.cards.length - 1;
  },
  rename: async (visitor, a, b) => {
    const index = visitor.pick(a);
    if (index < 0 || index === visitor.renamed) return; // two names in a moment are one change
    await sleep(visitor.namedAt + ONE_CHANGE_MS - Date.now());
    const name = `name ${visitor.names++}`;
    const write = `hands.write(card(${index}).querySelector('.card-name'), '${name}')`;
    if (b % 2) await visitor.run(write);
    else await visitor.reload(write);
    visitor.named(visitor.cardsWith(index, [name, visitor.cards[index][1]]));
    if (b % 2) visitor.renamed = index;
  },
  give: async (visitor, a, b) => {
    const index = visitor.pick(a);
    if (index < 0) return;
    const [name, before] = visitor.cards[index];
    const count = 1 + (b % 5);
    await visitor.run(`offer(${index}, await files(${count}, ${a}))`);
    visitor.change(visitor.cardsWith(index, [name, before + count]));
  },
  giveAndLeave: async (visitor, a, b) => {
    const index = visitor.pick(a);
    if (index < 0) return;
    const [name, before] = visitor.cards[index];
    const count = 1 + (b % 5);
    const given = `const given = await files(${count}, ${a}); offer(${index}, given);`;
    await visitor.reload(b % 2 ? given : `${given} await new Promise((tell) => setTimeout(tell, ${10 * b}))`);
    const all = Array.from({ length: count + 1 }, (_, i) => [visitor.cardsWith(index, [name, before + i])]);
    await visitor.oneOf(...all);
  },
  remove: async (visitor, a) => {
    const index = visitor.pick(a);
    if (index < 0) return;
    await visitor.run(`card(${index}).querySelector('.card-head button').click()`);
    visitor.change(visitor.cardsWith(index));
  },
  removePicture: async (visitor, a, b) => {
    const index = visitor.cards.findIndex(([, count]) => count > 0);
    if (index < 0) return;
    const [name, count] = visitor.cards[index];
    await visitor.run(`const thumbs = hands.all('.thumb', card(${index}));
      thumbs[${b} % thumbs.length].dispatchEvent(new KeyboardEvent('keydown', { key: 'Delete', bubbles: true }))`);
    visitor.change(visitor.cardsWith(index, [name, count - 1]));
  },
  sample: async (visitor, a) => {
    const name = SAMPLES[a % SAMPLES.length];
    await visitor.run(`await hands.press('${name}', '.samples'); await opened('${name}');
      await hands.until('the sample', () => !document.querySelector('.chip[aria-busy=true]'))`);
    const found = await visitor.seen();
    assert.deepEqual([found.length, found.every(([, count]) => count > 4)], [2, true], JSON.stringify(found));
    visitor.opened(found, name);
  },
  sampleAndLeave: async (visitor, a, b) => {
    const name = SAMPLES[a % SAMPLES.length];
    if (visitor.sample.startsWith(name)) return; // that it came again could not be told
    await visitor.reload(`await hands.press('${name}', '.samples');
      await new Promise((tell) => setTimeout(tell, ${5 * b}))`);
    const found = await visitor.seen();
    const isThere = await visitor.run(`return hands.text('.samples .chosen') === '${name}'`);
    if (isThere) visitor.opened(found, name);
  },
  empty: async (visitor) => {
    await visitor.run(`await hands.press('Start empty')`);
    visitor.change([], '');
  },
  undo: (visitor) => visitor.step('Undo', visitor.past, visitor.future),
  redo: (visitor) => visitor.step('Redo', visitor.future, visitor.past),
  reload: (visitor, a) => visitor.reloadLearned(a % 2 ? '' : KEPT),
  away: (visitor) => visitor.reloadLearned('', 'licences.txt'),
  views: (visitor, a) =>
    visitor.run(`for (const view of ['keep', 'compare', 'inside', 'train']) await hands.view(view);
      for (let i = 0; i < ${1 + (a % 3)}; i++) {
        history.back();
        await new Promise((tell) => setTimeout(tell, 30));
      }
      history.forward();
      await new Promise((tell) => setTimeout(tell, 30));`),
  train: (visitor, a) =>
    visitor.run(`hands.all('.presets input')[${a % 2}]?.click();
      press('Train', '.train-buttons'); press('Train again', '.train-buttons')`),
  trainAndLeave: (visitor, a) =>
    visitor.reload(`press('Train', '.train-buttons'); press('Train again', '.train-buttons');
      await new Promise((tell) => setTimeout(tell, ${20 * a}))`),
  pause: (visitor) => visitor.run(`press('Pause', '.train-buttons'); press('Continue', '.train-buttons')`),
  model: (visitor, a) => visitor.run(`await load('${a % 2 ? 'own/' : 'model/'}')`),
  offline: (visitor, a) =>
    visitor.run(`const { fetch } = globalThis;
      globalThis.fetch = () => Promise.reject(new TypeError('Failed to fetch'));
      await hands.press('${SAMPLES[a % SAMPLES.length]}', '.samples');
      await hands.until('the problem', () => document.querySelector('.samples .problem'));
      globalThis.fetch = fetch;`),
  tab: (visitor, a) => visitor.browser.page && inAnotherTab(visitor, a),
};

/** Another tab takes the session over and changes it; once it is closed the first one has it back. */
async function inAnotherTab(visitor, a) {
  const { page } = visitor.browser;
  const second = await page.browser().newPage();
  await second.goto(visitor.url);
  await second.bringToFront();
  const name = `class ${visitor.names++}`;
  const found = await second.evaluate(`(async () => { ${SEEN} ${MAKE} ${WALK}
    await hands.until('the message', () => hands.text('.elsewhere'));
    await hands.press('Use it here');
    await hands.until('it', () => !document.querySelector('.elsewhere'));
    await hands.view('pictures');
    const { cards } = seen();
    await make('${name}');
    ${a % 2 ? KEPT : ''}
    return cards; })()`);
  assert.deepEqual(found, visitor.cards);
  visitor.change([...visitor.cards, ['', 0]]);
  visitor.named([...visitor.cards.slice(0, -1), [name, 0]]);
  await second.close();
  await page.bringToFront();
  await visitor.run(`await hands.until('it', () => !document.querySelector('.elsewhere')); ${KEPT}`);
}

const walks = fc.sample(
  fc.array(fc.tuple(fc.constantFrom(...Object.keys(DOES)), fc.nat(20), fc.nat(20)), {
    minLength: LENGTH,
    maxLength: LENGTH,
  }),
  { seed, numRuns: WALKS },
);

const wanted = process.env.MUDPT_ENGINES?.split(',') ?? Object.keys(ENGINES);
for (const engine of wanted) {
  test(engine, async (engineTest) => {
    const visited = await visit(engine, engineTest);
    await otherModel(visited.site.folder);
    await visited.browser.open(visited.site.url);
    const visitor = new Visitor(visited);
    await visitor.run(KEPT);
    for (const [number, walk] of walks.entries()) {
      await engineTest.test(`walk ${number + 1} of seed ${seed}`, async () => {
        await visitor.begin();
        const done = [];
        for (const [name, a, b] of walk) {
          done.push(`${name}(${a}, ${b})`);
          try {
            await DOES[name](visitor, a, b);
            await visitor.check();
          } catch (error) {
            throw new Error(`after ${done.join(', ')}`, { cause: error });
          }
        }
      });
    }
    await engineTest.test('nothing was printed or thrown in the page', async () => {
      assert.deepEqual(await visitor.run(`return watched.errors`), []);
    });
  });
}
