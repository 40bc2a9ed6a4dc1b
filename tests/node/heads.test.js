/** Heads as JavaScript makes them: the table, settings, what is refused, saved and made again, and new names. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { HEADS, createHead, headBytes, restoreHead, startHeads } from '../../js/heads/heads.js';

const [CLASSES, WIDTH, UNPROJECTED, PICTURES, VIEWS] = [4, 16, 24, 12, 2];

/** Numbers that are the same every time, between -1 and 1. */
function numbers(count, seed) {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

const labels = Array.from({ length: PICTURES }, (_, i) => i % CLASSES);
const classes = { data: numbers(CLASSES * WIDTH, 1), dims: [1, CLASSES, WIDTH] };
const projection = { data: numbers(UNPROJECTED * WIDTH, 2), dims: [UNPROJECTED, WIDTH] };

/** Rows about a centre of each class. */
function rows(width, count, seed) {
  const centres = numbers(CLASSES * width, 9);
  return numbers(count * width, seed).map((value, i) => {
    return value / 2 + centres[((Math.floor(i / width) % PICTURES) % CLASSES) * width + (i % width)];
  });
}

const widthOf = (head) => (HEADS[head].before ? UNPROJECTED : WIDTH);
const optionsOf = (head, more = {}) => ({
  ...{ head, scale: 10, classes, labels, seed: 3 },
  pictures: { data: rows(widthOf(head), VIEWS * PICTURES, 4), dims: [VIEWS, PICTURES, widthOf(head)] },
  ...(HEADS[head].before && { projection, scale: 1, settings: { lambda: 1e-3 } }), // the names say nothing here
  ...more,
});

/** @type {any} */
let library;
before(async () => {
  library = await startHeads();
});
after(() => library.dispose());

test('the table names what the library has', () => {
  const { c, memory } = library;
  const names = [];
  for (let i = 0, at; (at = c._mudpt_head_name(i)); i++) names.push(memory.string(at));
  assert.deepEqual(names, Object.keys(HEADS));
  for (const row of Object.values(HEADS)) assert.ok(row.title && row.trains && row.from && row.views >= 1);
});

for (const head of Object.keys(HEADS)) {
  test(`${head} learns its pictures, is made again from what it learned, and says what new names have`, () => {
    const options = optionsOf(head);
    const bytes = headBytes(library, { head, classes: CLASSES, width: WIDTH, before: UNPROJECTED, pictures: PICTURES });
    assert.ok(bytes > 1000 && bytes < 1e7, `${bytes} bytes`);
    const made = createHead(library, options);
    const steps = [...made.train()];
    assert.equal(steps.length > 0, Boolean(HEADS[head].trained));
    assert.ok(steps.every(({ step, loss }, i) => step === i + 1 && Number.isFinite(loss)));
    const features = options.pictures.data.subarray(0, PICTURES * widthOf(head));
    const logits = made.logits(features);
    const right = labels.filter((label, i) => {
      const row = logits.subarray(i * CLASSES, (i + 1) * CLASSES);
      return row.indexOf(Math.max(...row)) === label;
    }).length;
    assert.ok(right >= 9, `${right} of ${PICTURES}`);
    const { pictures, ...rest } = options;
    const again = restoreHead(library, { ...rest, settings: made.settings, tensors: made.tensors() });
    assert.deepEqual(again.logits(features), logits);
    assert.deepEqual([...again.train()], []);
    if (HEADS[head].newNames) {
      const other = made.newClasses({ data: numbers(2 * WIDTH, 5), dims: [1, 2, WIDTH] });
      assert.equal(other.logits(features).length, 2 * PICTURES);
      other.dispose();
    } else {
      assert.throws(() => made.newClasses(classes), { code: 'state', message: new RegExp(head.replace('+', '\\+')) });
    }
    again.dispose();
    made.dispose();
    assert.throws(() => made.logits(features), { code: 'state' });
  });
}

test("clap's class features have length one unless raw is asked for", () => {
  const longer = { ...classes, data: classes.data.map((value) => 50 * value) };
  const of = (given, settings) => {
    const head = createHead(library, optionsOf('clap', { classes: given, settings }));
    const losses = [...head.train()].map(({ loss }) => loss);
    head.dispose();
    return losses.at(-1);
  };
  assert.equal(of(longer, {}).toFixed(4), of(classes, {}).toFixed(4));
  assert.ok(of(longer, { raw: 1 }) > 1.5 * of(longer, {}));
});

test('what a head cannot be made of is refused by name', () => {
  const refused = (options, message) =>
    assert.throws(() => createHead(library, options), { code: 'argument', message });
  refused(optionsOf('clap', { head: 'none' }), /there is no head "none"; sstext, sstext\+, gda/);
  refused(optionsOf('clap', { settings: { beta: 1 } }), /no setting "beta" of clap; settings of clap: rate, epochs/);
  refused(optionsOf('clap', { settings: { rate: 'x' } }), /rate is x, expected a number/);
  refused(optionsOf('clap', { settings: { rate: -1 } }), /rate of clap is -1; expected above 0/);
  refused(optionsOf('clap', { labels: labels.slice(1) }), /labels: 11 values, where 12 were expected/);
  refused(optionsOf('clap', { labels: labels.map((label) => label + 1) }), /label 4; expected 0 to 3/);
  refused(optionsOf('clap', { scale: undefined }), /scale of clap is nan/);
  refused(optionsOf('prolip', { projection: undefined }), /projection: expected 2 dims and as many values, got none/);
  refused(optionsOf('gda', { labels: labels.map(() => 0) }), /class 1 has none/);
  refused(optionsOf('clap', { classes: { data: classes.data, dims: [CLASSES, WIDTH] } }), /classes: expected 3 dims/);
  const zero = optionsOf('sstext');
  zero.pictures.data.fill(0, WIDTH, 2 * WIDTH);
  refused(zero, /row 1 is 0, which has no direction/);
});
